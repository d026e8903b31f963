"""Virtual GPUs: who reaches a vGPU's socket has that vGPU, and its programs share its memory."""
import os
import signal
import unittest

from scenario import Scenario, wait_until


class Vgpus(Scenario):
    SLICES = "vgpus.slices=[{name: small, memory: 64MiB, share: 20}, {name: large, memory: 256MiB, share: 50}]"

    def with_vgpus(self, *settings):
        folder = self.temporary_folder()
        mediator = self.mediator(f"vgpus.directory={folder}", self.SLICES, *settings)
        return mediator, folder

    def holder(self, mediator, folder, vgpu, kind, mebibytes):
        """A program that wants memory of a vGPU: the process, and the two lines that it has printed."""
        process = self.started(mediator, "memory_holder", kind, str(mebibytes),
                               VGPU_ENDPOINT=f"unix:{folder}/{vgpu}/vgpu.sock")
        return process, process.stdout.readline().strip(), process.stdout.readline().strip()

    def test_given_a_vgpu_when_its_programs_take_memory_then_they_have_its_limit_together(self):
        for kind in ("linear", "array", "pool"):
            with self.subTest(kind=kind):
                mediator, folder = self.with_vgpus()
                first, told, outcome = self.holder(mediator, folder, "small", kind, 40)
                self.assertEqual((told, outcome), ("total 64 free 64", "running"))
                second, told, outcome = self.holder(mediator, folder, "small", kind, 40)
                self.assertEqual((told, outcome), ("total 64 free 24", "out of memory"))
                other, told, outcome = self.holder(mediator, folder, "large", kind, 200)
                self.assertEqual((told, outcome), ("total 256 free 256", "running"))
                self.assertEqual(mediator.metric("vgpu_memory_used_bytes", vgpu="small"), 40 << 20)
                self.assertEqual(mediator.metric("vgpu_memory_used_bytes", vgpu="large"), 200 << 20)
                self.assertOk(self.finish(first))
                self.assertTrue(wait_until(lambda: mediator.metric("vgpu_memory_used_bytes", vgpu="small") == 0))
                third, told, outcome = self.holder(mediator, folder, "small", kind, 64)
                self.assertEqual((told, outcome), ("total 64 free 64", "running"))
                for process in (second, third, other):
                    self.assertOk(self.finish(process))

    def test_given_a_program_that_is_killed_then_its_memory_is_free_within_a_second(self):
        mediator, folder = self.with_vgpus()
        first, _, outcome = self.holder(mediator, folder, "small", "linear", 64)
        self.assertEqual(outcome, "running")
        first.send_signal(signal.SIGKILL)
        self.assertTrue(wait_until(lambda: mediator.metric("vgpu_memory_used_bytes", vgpu="small") == 0, seconds=1),
                        mediator.logged())
        self.assertEqual(mediator.metric("vgpu_sessions_on_vgpu"), 0)

    def test_given_a_killed_executor_then_its_memory_is_free(self):
        mediator, folder = self.with_vgpus("executor.prestart=false")
        self.holder(mediator, folder, "small", "linear", 64)
        for executor in mediator.executors():
            os.kill(executor, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: mediator.metric("vgpu_memory_used_bytes", vgpu="small") == 0))

    def test_given_the_general_endpoint_then_it_has_the_whole_device(self):
        mediator, _ = self.with_vgpus()
        process = self.started(mediator, "memory_holder", "linear", "300")
        self.assertNotEqual(process.stdout.readline().split()[1], "64")
        self.assertEqual(process.stdout.readline().strip(), "running")
        self.assertOk(self.finish(process))

    def test_given_vgpus_then_vgpuctl_shows_them_and_who_is_on_them(self):
        mediator, folder = self.with_vgpus()
        process, _, _ = self.holder(mediator, folder, "small", "linear", 16)
        # Health is known once an executor that waits for a guest has told what the driver has.
        self.assertTrue(wait_until(lambda: mediator.metric("vgpu_healthy", vgpu="small") == 1))
        shown = [line.split() for line in mediator.control_tool("vgpus").splitlines()]
        self.assertEqual(shown[0][0], "VGPU")
        self.assertEqual([line[0] for line in shown[1:]], ["large", "small"])
        self.assertEqual(" ".join(shown[2]), "small 0 default 64.0 MiB 16.0 MiB 20 % 1 healthy")
        sessions = [line.split() for line in mediator.control_tool("ps").splitlines()]
        self.assertEqual(sessions[1][sessions[0].index("VGPU")], "small")
        self.assertOk(self.finish(process))

    def test_given_more_than_the_gpu_has_then_the_vgpus_are_unhealthy(self):
        mediator, _ = self.with_vgpus("executor.device_memory=300MiB")
        self.assertTrue(wait_until(lambda: mediator.metrics("vgpu_info")))
        self.assertTrue(wait_until(lambda: mediator.metrics("vgpu_info")[0][0]["gpu_uuid"]))
        self.assertEqual([value for _, value in mediator.metrics("vgpu_healthy")], [0, 0])


if __name__ == "__main__":
    unittest.main()
