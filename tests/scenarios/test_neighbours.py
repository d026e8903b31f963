"""Several programs at once: they go on side by side, and what ends one does not touch the others."""
import os
import select
import signal
import unittest

from scenario import CARRIERS, Scenario, wait_until


class Neighbours(Scenario):
    def test_given_two_programs_when_they_run_at_once_then_both_are_right(self):
        mediator = self.mediator()
        names = ("nbody", "reduction", "vector_add", "streams_events")
        running = [self.started(mediator, name, carrier=carrier)
                   for name, carrier in zip(names, (*CARRIERS, "memfd"))]
        for process in running:
            self.assertOk(self.finish(process))

    def test_given_a_program_that_crashes_when_another_runs_then_that_goes_on(self):
        mediator = self.mediator()
        steady = self.started(mediator, "steady", says="running")
        for kind in ("null-store", "after-free", "past-the-end"):
            self.assertOk(mediator.run(self.program("crash"), kind))
        self.assertIsNone(steady.poll())
        self.assertOk(self.finish(steady))

    def test_given_an_endless_kernel_when_its_program_is_killed_then_its_session_ends_and_others_go_on(self):
        for carrier in CARRIERS:
            with self.subTest(carrier=carrier):
                mediator = self.mediator()
                steady = self.started(mediator, "steady", says="running")
                before = mediator.metric("vgpu_sessions")
                endless = self.started(mediator, "endless_kernel", says="running", carrier=carrier)
                self.assertEqual(mediator.metric("vgpu_sessions"), before + 1)
                endless.send_signal(signal.SIGKILL)
                self.assertTrue(wait_until(lambda: mediator.metric("vgpu_sessions") == before), mediator.logged())
                self.assertOk(self.finish(steady))

    def test_given_a_child_that_lives_on_when_the_program_is_killed_then_its_session_ends_within_a_second(self):
        mediator = self.mediator()
        steady = self.started(mediator, "steady", says="running")
        for carrier in CARRIERS:
            for child in ("fork", "clone"):
                with self.subTest(carrier=carrier, child=child):
                    endless = self.started(mediator, "endless_kernel", child, says="running", carrier=carrier)
                    self.assertEqual(mediator.metric("vgpu_sessions"), 2)
                    endless.send_signal(signal.SIGKILL)
                    self.assertTrue(wait_until(lambda: mediator.metric("vgpu_sessions") == 1, seconds=1), mediator.logged())
                    # The child still has all that it inherited: it holds our end of standard output.
                    self.assertEqual(select.select([endless.stdout], [], [], 0)[0], [])
        self.assertOk(self.finish(steady))

    def test_given_a_killed_executor_when_its_program_calls_then_it_gets_an_error_and_others_work(self):
        for carrier in CARRIERS:
            with self.subTest(carrier=carrier):
                mediator = self.mediator()
                steady = self.started(mediator, "steady", says="running", carrier=carrier)
                for executor in mediator.executors():
                    os.kill(executor, signal.SIGKILL)
                code, output, _ = self.finish(steady)
                self.assertEqual(code, 1)
                self.assertIn("cudaError", output)
                self.assertOk(mediator.run(self.program("vector_add"), carrier=carrier))

    def test_given_ctrl_c_when_a_kernel_never_ends_then_only_the_program_ends(self):
        mediator = self.mediator()
        endless = self.started(mediator, "endless_kernel", says="running")
        endless.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(endless)[0], -signal.SIGINT)
        self.assertOk(mediator.run(self.program("vector_add")))


if __name__ == "__main__":
    unittest.main()
