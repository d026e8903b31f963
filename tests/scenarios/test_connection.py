"""No mediator, the wrong one, no permission: the fitting error, and one line that names address and remedy."""
import os
import pathlib
import socket
import subprocess
import threading
import unittest

from scenario import Scenario, TIMEOUT_SECONDS, clean_environment


class Connection(Scenario):
    def attempt(self, endpoint, user=None, **more):
        return subprocess.run([self.installation.vgpuctl, "run", "--", self.program("vector_add")], user=user,
                              env=clean_environment(VGPU_ENDPOINT=endpoint, **more), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=TIMEOUT_SECONDS)

    def assertRefused(self, endpoint, error, *words, **options):
        done = self.attempt(endpoint, **options)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(error, done.stdout)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in (endpoint, *words):
            self.assertIn(word, done.stderr)

    def test_given_no_mediator_when_a_program_starts_then_one_line_says_what_to_do(self):
        absent = self.temporary_folder() / "absent.sock"
        for endpoint in (f"unix:{absent}", f"unix-stream:{absent}", "tcp:127.0.0.1:1"):
            with self.subTest(endpoint=endpoint):
                self.assertRefused(endpoint, "cudaErrorNoDevice", "vgpuctl run")

    def test_given_vgpu_log_off_when_there_is_no_mediator_then_nothing_is_said(self):
        done = self.attempt("unix:/nonexistent/mediator.sock", VGPU_LOG="off")
        self.assertEqual((done.returncode, done.stderr), (1, ""))

    def test_given_a_bad_endpoint_when_a_program_starts_then_the_line_names_the_variable(self):
        done = self.attempt("carrier-pigeon:7")
        self.assertEqual(done.returncode, 1)
        self.assertIn("VGPU_ENDPOINT", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_given_no_permission_when_a_program_starts_then_the_error_says_so(self):
        mediator = self.mediator("socket_mode=0600")
        os.chmod(mediator.folder, 0o755)
        nobody = 65534
        reachable = subprocess.run(["test", "-x", self.program("vector_add")], user=nobody).returncode == 0
        if not reachable:
            self.skipTest("the build folder is closed to other users")
        self.assertRefused(mediator.endpoint(), "cudaErrorNotPermitted", "permission", user=nobody)

    def answering(self, answer):
        """The endpoint of something that accepts one connection, sends `answer` and closes."""
        path = self.temporary_folder() / "other.sock"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        server.settimeout(TIMEOUT_SECONDS)

        def serve():
            with server, server.accept()[0] as peer:
                if answer is not None:
                    peer.recv(1)
                    peer.sendall(answer)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        return f"unix-stream:{path}"

    def test_given_something_else_that_answers_when_a_program_starts_then_the_versions_do_not_match(self):
        self.assertRefused(self.answering(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 4096),
                           "cudaErrorSystemDriverMismatch")

    def test_given_a_peer_that_hangs_up_when_a_program_starts_then_it_gets_an_error(self):
        done = self.attempt(self.answering(None))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
