"""What /metrics shows adds up to what the programs did."""
import unittest

from scenario import CARRIERS, Scenario, wait_until

# tests/programs/vector_add.cu: 1,000,003 floats in each of three allocations, two copies up, one down, one launch.
VECTOR_BYTES = 1_000_003 * 4
RECORD_BYTES = 64 * 1024  # what the records, the module and the handshake may take beside the payload


class Metrics(Scenario):
    def test_given_a_finished_program_then_calls_and_bytes_are_what_it_did(self):
        for carrier in CARRIERS:
            with self.subTest(carrier=carrier):
                mediator = self.mediator()
                self.assertOk(mediator.run(self.program("vector_add"), carrier=carrier))
                self.assertTrue(wait_until(lambda: mediator.metric("vgpu_sessions") == 0))
                self.assertEqual(mediator.metric("vgpu_sessions_started_total"), 1)
                self.assertEqual(mediator.metric("vgpu_calls_total", call="Launch"), 1)
                self.assertEqual(mediator.metric("vgpu_calls_total", call="MapDevice"), 3)
                self.assertEqual(mediator.metric("vgpu_calls_total", call="UnmapDevice"), 3)
                up, down = (mediator.metric("vgpu_bytes_total", direction=direction, carrier=carrier)
                            for direction in ("from_guest", "to_guest"))
                self.assertEqual(mediator.metric("vgpu_bytes_total"), up + down)
                self.assertGreaterEqual(up, 2 * VECTOR_BYTES)
                self.assertLess(up, 2 * VECTOR_BYTES + RECORD_BYTES)
                self.assertGreaterEqual(down, VECTOR_BYTES)
                self.assertLess(down, VECTOR_BYTES + RECORD_BYTES)
                self.assertEqual(mediator.metric("vgpu_rejected_records_total"), 0)
                self.assertEqual(mediator.metric("vgpu_executor_restarts_total"), 0)

    def test_given_a_running_program_then_its_allocations_are_shown_and_end_with_it(self):
        mediator = self.mediator()
        steady = self.started(mediator, "steady", says="running")
        held = [(labels, value) for labels, value in mediator.metrics("vgpu_session_allocated_bytes")]
        self.assertEqual([labels["program"] for labels, _ in held], ["steady"])
        self.assertGreaterEqual(held[0][1], 1024)
        self.assertOk(self.finish(steady))
        self.assertTrue(wait_until(lambda: not mediator.metrics("vgpu_session_allocated_bytes")))

    def test_given_a_program_with_errors_then_they_are_counted_by_call(self):
        mediator = self.mediator()
        self.assertEqual(mediator.run(self.program("errors")).returncode, 0)
        self.assertGreater(sum(value for _, value in mediator.metrics("vgpu_call_errors_total")), 0)


if __name__ == "__main__":
    unittest.main()
