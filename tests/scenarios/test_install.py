"""What leaves the build folder works where it arrives: an installed prefix that was moved, the bundle for GPU machines."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from scenario import TIMEOUT_SECONDS, TOP, Scenario, clean_environment


def readelf_dynamic(folder):
    """The dynamic sections of all programs and libraries below a folder."""
    files = [str(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return subprocess.run(["readelf", "-dW", *files], capture_output=True, text=True).stdout


class Elsewhere(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.build = cls.installation.prefix
        if not (cls.build / "cmake_install.cmake").exists():
            raise unittest.SkipTest(f"{cls.build} is no build folder")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-elsewhere-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def test_given_a_prefix_that_was_moved_then_programs_run_from_it(self):
        first, prefix = self.folder / "first", self.folder / "moved" / "vgpu"
        subprocess.run(["cmake", "--install", self.build, "--prefix", first], check=True, stdout=subprocess.DEVNULL)
        prefix.parent.mkdir()
        first.rename(prefix)
        dynamic = readelf_dynamic(prefix)
        self.assertIn("libcuda.so.1", dynamic)
        self.assertNotIn(str(TOP), dynamic)
        runtime = self.folder / "runtime"
        runtime.mkdir(mode=0o700)
        environment = clean_environment(XDG_RUNTIME_DIR=runtime)
        for build in ("nvcc13-shared", "nvcc13-static", "clang12-shared"):
            self.assertOk(subprocess.run([prefix / "bin" / "vgpuctl", "run", self.program("vector_add", build)],
                                         env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                         timeout=TIMEOUT_SECONDS))

    def test_given_a_machine_without_a_gpu_then_the_bundle_says_so_and_checks_the_calls(self):
        bundle = self.folder / "bundle"
        subprocess.run([TOP / "tools/gpu_bundle/make", self.build, bundle], check=True, stdout=subprocess.DEVNULL)
        if "not found" not in subprocess.run(["ldd", bundle / "tests/driver_api_conformance"], env=clean_environment(),
                                             capture_output=True, text=True).stdout:
            self.skipTest("this machine has an NVIDIA driver")
        moved = self.folder / "copied"
        bundle.rename(moved)
        done = subprocess.run([moved / "run"], env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=TIMEOUT_SECONDS)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("This machine has no NVIDIA driver", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-2:],
                         ["no NVIDIA driver: nothing was checked on a GPU", "3 passed, 0 failed"])


if __name__ == "__main__":
    unittest.main()
