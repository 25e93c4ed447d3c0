# SPDX-License-Identifier: MIT
"""How a study-worker ends, in order and otherwise, and what becomes of the trials it held."""

import json
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from harness.child import wait_until
from harness.runners import spec, write_runner
from harness.studyd import Worker, sanitizer_env

# The first attempt writes its process id and works for ever; later ones are quick.
ENDLESS = """
    if trial["attempt"] == 1:
        with open("{pid}.part", "w") as file:
            file.write(str(os.getpid()))
        os.rename("{pid}.part", "{pid}")
        time.sleep(600)
    say(op="done", values=[trial["attempt"]])
"""


def is_alive(pid):
    """Not gone, and no zombie that nobody has buried yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Job:
    """A study, a runner for it, and workers that run it."""

    def __init__(self, studyd, directory, start_worker, body=ENDLESS, **more):
        self.studyd = studyd
        self.directory = directory
        self.start_worker = start_worker
        self.pid_path = directory / "pid"
        self.runner = write_runner(directory, body.format(pid=self.pid_path))
        studyd.create(spec(**{"max_trials": 1, "lease_s": 60, **more}))

    def worker(self, *options, name="first", stopped=143):
        return self.start_worker(self.studyd, "--runner", self.runner, "--study", "s", "--gpus", "none", *options, name=name,
                                 stopped=stopped)

    def wait_until_it_runs(self):
        """The process id of the runner that works on the trial."""
        wait_until("the trial to run", self.pid_path.exists)
        return int(self.pid_path.read_text())

    def trial(self):
        return self.studyd.trial("s", 0)


@pytest.fixture
def job(start_studyd, sqlite, directory, start_worker):
    """job(**spec): a Job on a fresh studyd."""
    return lambda *options, **more: Job(start_studyd(sqlite, *options), directory, start_worker, **more)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_hands_the_trial_back(job, number):
    """The trial is free at once, long before its lease is over, and no retry is spent; the runner is gone; another worker runs it
    again."""
    work = job(retries=0)
    worker = work.worker()
    pid = work.wait_until_it_runs()
    worker.process.send_signal(number)
    assert worker.wait() == 143
    assert not is_alive(pid)
    assert work.trial()["state"] == "waiting"
    assert work.worker("--exit-when-finished", name="second").wait() == 0
    assert (work.trial()["state"], work.trial()["attempt"]) == ("complete", 2)


def test_an_idle_worker_stops_at_once(start_studyd, sqlite, start_worker, directory):
    """The ask that waits at studyd does not hold the worker up."""
    worker = start_worker(start_studyd(sqlite), "--runner", write_runner(directory, "pass"))
    worker.wait_for_log("started")
    worker.stop(expect=143, timeout_s=5)


def test_end_of_stdin(job, directory):
    """With --stop-on-stdin-eof the launcher's end is the worker's: its pipe closes, the trial is handed back."""
    work = job()
    worker = Worker(directory, work.studyd.url, "--runner", work.runner, "--study", "s", "--stop-on-stdin-eof")
    process = subprocess.Popen(worker.command, stdin=subprocess.PIPE, env=sanitizer_env())
    pid = work.wait_until_it_runs()
    process.stdin.close()
    assert process.wait(30) == 143
    assert not is_alive(pid)
    assert work.trial()["state"] == "waiting"


def test_stdin_must_be_a_pipe(job):
    """/dev/null is at its end from the start: refused instead of stopping at once."""
    worker = job().worker("--stop-on-stdin-eof")
    assert worker.wait() == 2
    assert "stop_on_stdin_eof needs a pipe" in worker.log()


def test_a_runner_that_ignores_sigterm(job, directory):
    """Two signals that come together are one wish to stop in order. A later one ends the worker at once, with the runner and what that
    has started."""
    child_path = directory / "child"
    work = job(body="signal.signal(signal.SIGTERM, signal.SIG_IGN)\nimport subprocess\n"
               f"open('{child_path}', 'w').write(str(subprocess.Popen(['sleep', '600']).pid))\n" + ENDLESS.replace("\n    ", "\n"))
    worker = work.worker()
    pid = work.wait_until_it_runs()
    worker.process.send_signal(signal.SIGTERM)
    worker.process.send_signal(signal.SIGHUP)
    wait_until("the hand-back", lambda: work.trial()["state"] == "waiting")
    child = int(child_path.read_text())
    assert is_alive(pid) and is_alive(child)
    assert "leaving at once" not in worker.log()
    wait_until("the worker's end", lambda: worker.process.send_signal(signal.SIGTERM) or not worker.is_running(), 4)
    assert worker.wait() == 143
    wait_until("the runner's end", lambda: not is_alive(pid) and not is_alive(child))
    assert "leaving at once" in worker.log()


def test_sigkill_takes_the_runner_along(job):
    """The worker is killed: its runner dies with it, the lease lapses, another worker runs the trial again."""
    work = job(lease_s=1)
    worker = work.worker()
    pid = work.wait_until_it_runs()
    worker.kill()
    wait_until("the runner's end", lambda: not is_alive(pid))
    assert work.worker("--exit-when-finished", name="second").wait() == 0
    assert (work.trial()["state"], work.trial()["attempt"]) == ("complete", 2)


def test_a_runner_s_children_end_with_it(job):
    """What a runner started is killed with its process group."""
    work = job(body="""
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        with open("{pid}.part", "w") as file:
            file.write(str(child.pid))
        os.rename("{pid}.part", "{pid}")
        os._exit(1)
        """, retries=0)
    assert work.worker("--exit-when-finished").wait() == 0
    assert not is_alive(work.wait_until_it_runs())


def test_studyd_restarts_while_a_trial_runs(start_studyd, sqlite, directory, start_worker):
    """The result of a trial that ran on through a restart of studyd arrives, from the same attempt."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    studyd = start_studyd(sqlite, "--listen", address)
    go = directory / "go"
    body = f"open('{{pid}}', 'w').write('1')\nwhile not os.path.exists('{go}'):\n    time.sleep(0.01)\nsay(op='done', values=[4])"
    work = Job(studyd, directory, start_worker, body=body, max_trials=1)
    worker = Worker(directory, f"http://{address}", "--runner", work.runner, "--study", "s", "--exit-when-finished")
    worker.start()
    wait_until("the trial to run", work.pid_path.exists)
    studyd.kill()
    go.touch()
    worker.wait_for_log("no answer from the coordinator")
    studyd.start()
    assert worker.wait() == 0, worker.log()
    worker.check_log()
    assert "the coordinator answers" in worker.log()
    assert (work.trial()["state"], work.trial()["value"], work.trial()["attempt"]) == ("complete", 4, 1)


def test_max_idle(start_studyd, sqlite, start_worker, directory):
    """A worker without work ends after max_idle_s, with 0."""
    studyd = start_studyd(sqlite)
    worker = start_worker(studyd, "--max-idle-s", "0.2", "--runner", write_runner(directory, "pass"))
    assert worker.wait() == 0
    assert "no trial for max_idle_s" in worker.log()


def test_a_long_trial_is_not_idle(job):
    """Only a worker without a trial is idle."""
    work = job(body='time.sleep(1)\nsay(op="done", values=[1])')
    assert work.worker("--max-idle-s", "0.5").wait() == 0
    assert work.trial()["state"] == "complete"


def test_an_objective_that_always_fails(job):
    """After ten trials, all failed by the objective, the worker ends with 1, and the rest of the budget is still there."""
    work = job(body='say(op="fail", reason="NameError: x")', max_trials=100)
    worker = work.worker("--exit-when-finished", stopped=1)
    assert worker.wait() == 1
    assert "the objective has failed in every trial so far" in worker.log()
    counts = work.studyd.show("s")["counts"]
    assert 10 <= counts["fail"] <= 12 and counts["running"] == 0


def test_some_failures_are_no_reason_to_stop(job):
    """One result shows that the objective can be computed: failures alone do not end the worker then."""
    work = job(body='say(op="done", values=[1]) if trial["number"] == 8 else say(op="fail", reason="diverged")', max_trials=30)
    assert work.worker("--exit-when-finished").wait() == 0
    assert work.studyd.show("s")["counts"]["fail"] == 29


def test_summary(job, directory):
    """--report writes what was done and where the time went."""
    work = job(body='time.sleep(0.1)\nsay(op="done", values=[1])', max_trials=4)
    path = directory / "summary.json"
    work.worker("--exit-when-finished", "--slots", "2", "--name", "node1", "--report", str(path)).wait()
    summary = json.loads(path.read_text())
    assert summary["worker"] == "node1" and summary["exit_code"] == 0
    assert summary["trials"] == {"complete": 4, "pruned": 0, "fail": 0, "handed_back": 0}
    assert 0.4 <= summary["seconds"]["running"] <= 2 * summary["wall_s"]
    assert sum(summary["seconds"].values()) <= 2 * summary["wall_s"] + 0.1
    assert [slot["slot"] for slot in summary["slots"]] == ["0", "1"]
    assert sum(slot["trials"]["complete"] for slot in summary["slots"]) == 4
    assert os.stat(path).st_size < 2000
