# SPDX-License-Identifier: MIT
"""Child processes that never outlive the test run, and waiting for what they do."""

import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, **options):
    """As Popen. From the main thread only: the kernel ends the child with the thread that started it."""
    return subprocess.Popen(command, preexec_fn=die_with_parent, stdin=subprocess.DEVNULL, **options)


def free_port():
    """For a program that cannot take one by itself and say which."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_until(what, probe, timeout_s=30.0):
    """The first true thing that `probe()` returns; fails, saying `what` was waited for, when it never does."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.01)


class Daemon:
    """A program of ours that runs beside the test, with its log in a file."""

    # What must not be in a log: sanitizers' reports, leaks, broken invariants.
    FORBIDDEN = ("Sanitizer", "runtime error:", "require")

    def __init__(self, name, command, log_path, env=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log_path = log_path
        self.env = env
        self.process = None

    def start(self):
        assert not self.is_running(), f"{self.name} runs already"
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = start(self.command, stdout=log, stderr=log, env=self.env)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def memory_mib(self, what="VmRSS"):
        """VmRSS: what it has; VmHWM: the most that it has had so far."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"{what}:\s+(\d+)", status.read()).group(1)) / 1024

    def cpu_s(self):
        """What all its threads have used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wakeups(self):
        """How often its threads have gone to sleep."""
        return sum(int(re.search(r"voluntary_ctxt_switches:\s+(\d+)", status.read_text()).group(1))
                   for status in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/status"))

    def log(self):
        """All it has said, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_of_this_start(self):
        return self.log_path.read_bytes()[self.log_start:].decode(errors="replace")

    def wait_for_log(self, text, timeout_s=30.0):
        """The line of this start's log that holds `text`."""
        def line():
            found = [line for line in self.log_of_this_start().splitlines(keepends=True)
                     if text in line and line.endswith("\n")]
            if not found and not self.is_running():
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
            return found and found[0].rstrip("\n")
        return wait_until(f"{text!r} in the log of {self.name}", line, timeout_s)

    def wait(self, timeout_s=30.0):
        """Waits for its end; returns the exit code, negative for a signal."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} is still running after {timeout_s:g} s:\n{self.log()}") from None

    def stop(self, expect=0, timeout_s=30.0):
        """Asks it to stop as an operator would, and holds it to its exit code."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        code = self.wait(timeout_s)
        assert code == expect, f"{self.name} ended with {code}, not {expect}:\n{self.log()}"

    def kill(self):
        """As an OOM killer or a power cut would."""
        self.process.kill()
        self.process.wait()

    def check_log(self):
        bad = [line for line in self.log().splitlines() if any(word in line for word in self.FORBIDDEN)]
        assert not bad, f"{self.name} said:\n" + "\n".join(bad) + "\n\n" + self.log()
