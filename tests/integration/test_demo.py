# SPDX-License-Identifier: MIT
"""`make demo` as a newcomer sees it: a result within two minutes, and nothing left behind."""

import os
import pathlib
import signal
import subprocess

import pytest

from harness import child
from harness.studyd import ROOT

pytestmark = [pytest.mark.demo, pytest.mark.xdist_group("demo")]  # each has build/demo to itself


def processes_of(directory):
    """Command lines of all living processes that were started with this TMPDIR: the demo's, whatever their session."""
    found = []
    for environ in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TMPDIR={directory}".encode() in environ.read_bytes().split(b"\0"):
                found.append((environ.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            pass  # it has just ended, or is none of ours
    return found


@pytest.fixture
def start_demo(directory):
    """start_demo(*arguments): the demo in a session of its own, with its temporary files in a private directory."""
    def start(*arguments):
        return subprocess.Popen([ROOT / "scripts" / "demo", *arguments], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                env=dict(os.environ, TMPDIR=str(directory)))
    return start


@pytest.mark.parametrize("store", ["sqlite", "mysql"])
def test_demo_ends_with_a_result_and_leaves_nothing_running(start_demo, directory, store):
    """The best trial with its six parameters, where the time went, what to type next; no process, no temporary file."""
    demo = start_demo(store)
    said, _ = demo.communicate(timeout=150)
    assert demo.returncode == 0, said
    assert "100/100 trials" in said
    assert "best trial: number " in said
    for parameter in ("n_estimators", "learning_rate", "max_depth", "subsample", "colsample_bytree", "min_child_weight"):
        assert f"    {parameter} = " in said
    assert "% of it training" in said
    assert "curl http://127.0.0.1" in said
    assert processes_of(directory) == []
    assert list(directory.iterdir()) == []


def test_demo_takes_ones_own_data(start_demo, tmp_path):
    """DATA=path is what is trained on."""
    table = tmp_path / "mine.csv"
    table.write_bytes(subprocess.run([ROOT / "scripts" / "make-wine"], capture_output=True, check=True).stdout)
    demo = start_demo("sqlite", str(table))
    said, _ = demo.communicate(timeout=150)
    assert demo.returncode == 0, said
    assert str(table) in said


@pytest.mark.parametrize("store", ["sqlite", "mysql"])
def test_ctrl_c_stops_everything(start_demo, directory, store):
    """Ctrl-C in the middle: nothing is left running."""
    demo = start_demo(store)
    for line in demo.stdout:
        if line.startswith("study-worker tunes"):
            break
    # The line comes when the worker is forked, which may be before it is study-worker.
    child.wait_until("the worker to run", lambda: "study-worker --coordinator" in " ".join(processes_of(directory)))
    running = " ".join(processes_of(directory))
    assert "studyd --listen" in running and ("mariadbd" in running) == (store == "mysql")
    os.killpg(demo.pid, signal.SIGINT)
    said, _ = demo.communicate(timeout=30)
    assert demo.returncode == 130, said
    child.wait_until("the demo's processes to end", lambda: processes_of(directory) == [])
    assert list(directory.iterdir()) == []


def test_a_wrong_path_is_named(start_demo):
    """DATA that cannot be read is said at once, by its name."""
    demo = start_demo("sqlite", "/no/such/table.csv")
    said, _ = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert said == "demo: DATA: '/no/such/table.csv' is no file that can be read\n"
