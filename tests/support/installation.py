"""What tests of whole programs share: a build's programs, mediators of their own, and programs run through them.

Every mediator listens on sockets in a private folder and on ports that the kernel chose, and is stopped by its
process id, also when a test fails. Nothing outside that folder is written.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
PORT_ATTEMPTS = 3
CARRIERS = ("memfd", "unix-stream", "tcp")


class Installation:
    """A build folder or an installed prefix, and the folder with the test programs."""

    def __init__(self, prefix, programs=None):
        self.prefix = pathlib.Path(prefix).resolve()
        self.programs = pathlib.Path(programs).resolve() if programs else self.prefix / "tests" / "programs"

    def program(self, build, name):
        return str(self.programs / build / name)

    @property
    def vgpuctl(self):
        return str(self.prefix / "bin" / "vgpuctl")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(**more):
    """Ours without what a developer's shell may hold for vgpu or for another libcuda."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("VGPU_") and name not in ("LD_LIBRARY_PATH", "LD_AUDIT", "LD_PRELOAD")}
    return {**kept, **{name: str(value) for name, value in more.items()}}


class Mediator:
    """A running vgpu-mediator with the CPU driver; use as a context manager."""

    def __init__(self, installation, settings=(), environment=None, cache=None):
        self.installation = installation
        problem = None
        for _ in range(PORT_ATTEMPTS):
            problem = self.begin(installation, settings, environment, cache)
            if problem is None or "address" not in problem:
                break
        if problem is not None:
            raise RuntimeError(f"the mediator did not start: {problem}")

    def begin(self, installation, settings, environment, cache):
        """What went wrong, or None. Another process may have taken a port that was free when it was chosen."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-test-"))
        self.socket = self.folder / "mediator.sock"
        self.control = self.folder / "control.sock"
        self.port, self.metrics_port = free_port(), free_port()
        self.log = open(self.folder / "mediator.log", "w+")
        words = [str(installation.prefix / "bin" / "vgpu-mediator"), "--configuration", "/dev/null"]
        for setting in (f'endpoints=["unix:{self.socket}", "tcp:127.0.0.1:{self.port}"]',
                        f"control.socket={self.control}", f"metrics.address=127.0.0.1:{self.metrics_port}",
                        f"cache.directory={cache or self.folder / 'cache'}", "executor.driver=cpu", "drain.wait=2s",
                        *settings):
            words += ["--set", setting]
        ready, told = os.pipe()
        self.process = subprocess.Popen(words + ["--ready-fd", str(told)], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, pass_fds=(told,),
                                        env=clean_environment(**(environment or {})))
        os.close(told)
        with open(ready) as answer:
            line = answer.readline().strip()
        if line == "ready":
            return None
        self.stop()
        return line

    def endpoint(self, carrier="memfd"):
        return {"memfd": f"unix:{self.socket}", "unix-stream": f"unix-stream:{self.socket}",
                "tcp": f"tcp:127.0.0.1:{self.port}"}[carrier]

    def logged(self):
        return (self.folder / "mediator.log").read_text(errors="replace")

    def metrics(self, name):
        """The samples of one metric: (labels, value) each."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for labels, value in found]

    def metric(self, name, **labels):
        """The sum of the samples that carry these labels; 0 when there are none."""
        return sum(value for has, value in self.metrics(name) if labels.items() <= has.items())

    def executors(self):
        """Process ids of its children."""
        done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return [int(word) for word in done.stdout.split()]

    def control_tool(self, command):
        """What `vgpuctl COMMAND` prints of this mediator."""
        return subprocess.run([self.installation.vgpuctl, command, "--control", str(self.control)],
                              capture_output=True, text=True, check=True, timeout=60).stdout

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # Programs through this mediator.
    def command(self, program, *arguments):
        return [self.installation.vgpuctl, "run", "--", program, *arguments]

    def environment(self, carrier="memfd", **more):
        return clean_environment(**{"VGPU_ENDPOINT": self.endpoint(carrier), **more})

    def run(self, program, *arguments, carrier="memfd", timeout=300, **more):
        return subprocess.run(self.command(program, *arguments), env=self.environment(carrier, **more),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=timeout)

    def start(self, program, *arguments, carrier="memfd", **more):
        return subprocess.Popen(self.command(program, *arguments), env=self.environment(carrier, **more),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                errors="replace")


def wait_until(condition, seconds=30):
    """Whether a condition becomes true; for events that have no descriptor to wait for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
