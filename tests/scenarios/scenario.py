"""What the scenarios share: the build under test (VGPU_BUILD, a build folder or an installed prefix; build/release
when unset), and a test case whose mediator and programs end with the test."""
import os
import pathlib
import subprocess
import sys
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tests" / "support"))
from installation import CARRIERS, Installation, Mediator, clean_environment, wait_until  # noqa: E402,F401

BUILD = "nvcc13-shared"
TIMEOUT_SECONDS = 120


class Scenario(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.installation = Installation(TOP / os.environ.get("VGPU_BUILD", "build/release"),
                                        os.environ.get("VGPU_PROGRAMS"))
        cls.cache = cls.installation.prefix / "tests" / "scenario-cache"

    def mediator(self, *settings, **options):
        started = Mediator(self.installation, settings, cache=options.pop("cache", self.cache), **options)
        self.addCleanup(started.stop)
        return started

    def program(self, name, build=BUILD):
        return self.installation.program(build, name)

    def started(self, mediator, name, *arguments, says=None, build=BUILD, **options):
        """A program under way, killed with the test; with `says`, once it has printed that line."""
        process = mediator.start(self.program(name, build), *arguments, **options)
        self.addCleanup(self.end, process)
        if says is not None:
            self.assertEqual(process.stdout.readline(), says + "\n")
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def finish(self, process, timeout=TIMEOUT_SECONDS):
        """Closes a program's standard input and gives exit code, standard output and standard error."""
        output, errors = process.communicate(timeout=timeout)
        return process.returncode, output, errors

    def assertOk(self, done):
        """A finished program (or what `finish` gave) ended well and printed nothing but its own line."""
        code, output, errors = done if isinstance(done, tuple) else (done.returncode, done.stdout, done.stderr)
        self.assertEqual((code, errors), (0, ""), output)
        self.assertRegex(output.splitlines()[-1], "^ok ")

    def compile(self, source, name, *options):
        """A program that nvcc compiles for this test, as users do."""
        toolkit = next(pathlib.Path(os.environ.get("VGPU_CACHE") or pathlib.Path.home() / ".cache/vgpu").glob("cuda-13.*"))
        folder = self.temporary_folder()
        (folder / "program.cu").write_text(source)
        output = folder / name
        subprocess.run([toolkit / "bin" / "nvcc", f"-I{TOP}", folder / "program.cu", "-o", output, *options], check=True)
        return str(output), toolkit

    def temporary_folder(self):
        import tempfile
        folder = tempfile.TemporaryDirectory(prefix="vgpu-scenario-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)
