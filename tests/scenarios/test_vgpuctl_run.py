"""`vgpuctl run` becomes the program: its process, its output, its exit code; and starts a mediator of its own."""
import os
import pathlib
import signal
import subprocess
import unittest

from scenario import TOP, Scenario, TIMEOUT_SECONDS, clean_environment, wait_until

SMALL = """
#include <cstdio>
__global__ void set(int* where) { *where = 42; }
int main() {
  int *device, host = 0;
  cudaError_t status = cudaMalloc(&device, sizeof(int));
  set<<<1, 1>>>(device);
  if (status == cudaSuccess) status = cudaGetLastError();
  if (status == cudaSuccess) status = cudaMemcpy(&host, device, sizeof(int), cudaMemcpyDeviceToHost);
  if (status == cudaSuccess) std::printf("ok %d\\n", host);
  else std::printf("%s\\n", cudaGetErrorName(status));
  return status == cudaSuccess && host == 42 ? 0 : 1;
}
"""


class Run(Scenario):
    def vgpuctl(self, *words, environment=None, **options):
        options = {"stdin": subprocess.DEVNULL, **options}
        return subprocess.run([self.installation.vgpuctl, *words], env=environment or clean_environment(),
                              capture_output=True, text=True, timeout=TIMEOUT_SECONDS, **options)

    def through(self, mediator, *words, **options):
        return self.vgpuctl("run", "--", *words, environment=mediator.environment(), **options)

    def test_given_a_program_without_cuda_then_it_behaves_as_without_us(self):
        mediator = self.mediator()
        done = self.through(mediator, "sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "out\n", "err\n"))
        self.assertEqual(self.through(mediator, "cat", input="typed", stdin=None).stdout, "typed")
        self.assertEqual(self.through(mediator, "sh", "-c", "kill -TERM $$").returncode, -signal.SIGTERM)
        self.assertEqual(self.through(mediator, "no-such-program").returncode, 127)
        self.assertEqual(self.through(mediator, "/etc/passwd").returncode, 126)

    def test_given_a_program_then_it_is_the_same_process(self):
        mediator = self.mediator()
        process = subprocess.Popen([self.installation.vgpuctl, "run", "sh", "-c", "echo $$"], env=mediator.environment(),
                                   stdout=subprocess.PIPE, text=True)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        self.assertEqual(output, f"{process.pid}\n")

    def test_given_a_shell_that_starts_programs_then_each_has_its_session(self):
        mediator = self.mediator()
        program = self.program("vector_add")
        done = self.through(mediator, "sh", "-c", f"{program} && ls / >/dev/null && {program}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(done.stdout.splitlines()), 2)
        self.assertEqual(mediator.metric("vgpu_sessions_started_total"), 2)

    def test_given_no_mediator_then_one_is_started_and_ends_after_its_last_program(self):
        runtime = self.temporary_folder()
        environment = clean_environment(XDG_RUNTIME_DIR=runtime, XDG_CACHE_HOME=runtime / "cache")
        for _ in range(2):
            self.assertOk(self.vgpuctl("run", self.program("vector_add"), environment=environment))

        def mediators():
            found = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True).stdout
            return [line for line in found.splitlines() if str(runtime) in line and "vgpu-mediator" in line]
        self.assertTrue(wait_until(lambda: not mediators(), 60), mediators())

    def test_given_an_rpath_to_nvidias_runtime_then_ours_is_used(self):
        mediator = self.mediator()
        for tags in ("--disable-new-dtags", "--enable-new-dtags"):
            with self.subTest(tags=tags):
                program, toolkit = self.compile(SMALL, "rpath", "-cudart", "shared", "-arch=compute_80")
                subprocess.run(["patchelf", *(["--force-rpath"] if tags.startswith("--disable") else []),
                                "--set-rpath", str(toolkit / "lib"), program], check=True)
                self.assertOk(self.through(mediator, program))

    def test_given_a_stripped_program_with_the_runtime_linked_in_then_one_line_says_how_to_link(self):
        mediator = self.mediator()
        program, _ = self.compile(SMALL, "stripped", "-arch=compute_80")
        self.assertOk(self.through(mediator, program))
        subprocess.run(["strip", program], check=True)
        done = self.through(mediator, program)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("-cudart shared", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_given_machine_code_only_then_a_line_says_how_to_build_with_ptx(self):
        mediator = self.mediator()
        program, _ = self.compile(SMALL, "machine_code", "-cudart", "shared", "-gencode=arch=compute_80,code=sm_80")
        done = self.through(mediator, program)
        self.assertEqual((done.returncode, done.stdout), (1, "cudaErrorNoKernelImageForDevice\n"))
        self.assertIn("PTX", done.stderr)

    def test_given_a_folder_of_libraries_under_a_prefix_then_an_installed_tree_works(self):
        if not (self.installation.prefix / "CMakeCache.txt").exists():
            self.skipTest("an installed tree is under test already")
        prefix = self.temporary_folder() / "prefix"
        subprocess.run(["cmake", "--install", self.installation.prefix, "--prefix", prefix], check=True,
                       stdout=subprocess.DEVNULL)
        mediator = self.mediator()
        done = subprocess.run([prefix / "bin" / "vgpuctl", "run", self.program("vector_add")],
                              env=mediator.environment(), capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        self.assertOk(done)


if __name__ == "__main__":
    unittest.main()
