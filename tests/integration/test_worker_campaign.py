# SPDX-License-Identifier: MIT
"""Runners, workers and studyd are killed, stopped and restarted while two studies run: both end whole, with nothing lost or doubled."""

import contextlib
import os
import random
import signal
import socket

import pytest

from harness.child import wait_until
from harness.runners import find_runners, spec, told_trials, write_runner
from harness.studyd import Studyd, Worker

pytestmark = pytest.mark.release

LEASE_S = 1
FAST = """
    value = trial["params"]["x"] + trial["number"]
    say(op="report", step=1, value=value, number=trial["number"])
    time.sleep(0.02 + 0.03 * trial["params"]["x"])
    say(op="done", values=[value], number=trial["number"])
"""
TREES = {
    "name": "trees",
    "space": {"max_depth": {"type": "int", "low": 1, "high": 4}, "eta": {"type": "float", "low": 0.05, "high": 0.5}},
    "objective": {"runner": "xgboost", "data": "table", "label": "y", "metric": "rmse", "params": {"n_estimators": 20}},
    "max_trials": 100_000,
    "lease_s": LEASE_S,
    "retries": 100,
}


def write_table(path):
    rng = random.Random(1)
    rows = [(rng.random(), rng.random()) for _ in range(300)]
    path.write_text("a,b,y\n" + "".join(f"{a:.4f},{b:.4f},{2 * a + b * b:.4f}\n" for a, b in rows))


class Campaign:
    """studyd with two studies, and two workers with three slots each: one for whatever runs, one that was given both names."""

    def __init__(self, directory, store, daemons):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = "127.0.0.1:%d" % probe.getsockname()[1]
        write_table(directory / "table.csv")
        self.directory = directory
        self.studyd = Studyd(directory, store, "--listen", address).start()
        self.studyd.create(spec("fast", max_trials=100_000, lease_s=LEASE_S, retries=100))
        self.studyd.create(TREES)
        options = ["--runner", write_runner(directory, FAST), "--data", f"table={directory}/table.csv", "--slots", "3", "--gpus", "none",
                   "--threads", "1", "--model-dir", str(directory / "models"), "--exit-when-finished"]
        self.workers = [Worker(directory, f"http://{address}", *options, "--name", name, *more, name=name)
                        for name, more in (("w0", []), ("w1", ["--study", "fast", "--study", "trees"]))]
        daemons += [(self.studyd, 0)] + [(worker, 0) for worker in self.workers]
        for worker in self.workers:
            worker.start()

    def n_complete(self):
        return sum(study["counts"]["complete"] for study in self.studyd.http.get("/v1/studies")["studies"])

    def go_on(self):
        """Until some more trials are complete."""
        before = self.n_complete()
        wait_until("more results", lambda: self.n_complete() >= before + 20, 60)

    def finish(self):
        """Gives each study an end that it has not reached yet; returns how many trials it then has."""
        ends = {}
        for name in ("fast", "trees"):
            ends[name] = sum(self.studyd.show(name)["counts"].values()) + 50
            self.studyd.http.patch(f"/v1/studies/{name}", {"max_trials": ends[name]})
        return ends

    def running(self):
        """Who has the trials that run now."""
        return [trial["worker"] for name in ("fast", "trees") for trial in self.studyd.trials(name) if trial["state"] == "running"]

    def kill_runners(self):
        """One of each kind, in whatever it does."""
        for program in ("r.py", "study-xgboost"):
            pids = wait_until(f"a process of {program}", lambda program=program: find_runners(program, self.directory))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[len(pids) // 2], signal.SIGKILL)

    def freeze(self, worker):
        """Stops it for so long that its leases lapse and the other worker has its trials; then it goes on."""
        worker.process.send_signal(signal.SIGSTOP)
        wait_until("its trials to be handed on", lambda: worker.name not in self.running())
        self.go_on()
        worker.process.send_signal(signal.SIGCONT)


@pytest.fixture
def campaign(directory, sqlite, daemons):
    return Campaign(directory, sqlite, daemons)


def check_trials(trials, n_trials):
    """As many as were asked for, with dense numbers and a result each, whatever happened."""
    assert [trial["number"] for trial in trials] == list(range(n_trials))
    assert {trial["state"] for trial in trials} == {"complete"}


def check_told(logs, studyd):
    """Each result that a worker knows to be told is the trial's result, and no trial has two."""
    told = told_trials(logs)
    assert len(told) > 100
    for study in ("fast", "trees"):
        for trial in studyd.trials(study):
            if (study, trial["number"]) in told:
                assert told[study, trial["number"]] == [(trial["attempt"], pytest.approx(trial["value"], rel=1e-8))]


def test_campaign(campaign):
    """Everything is killed, frozen or restarted once or more, each time in the middle of its work."""
    first, second = campaign.workers
    campaign.go_on()
    campaign.kill_runners()
    campaign.go_on()
    campaign.freeze(first)
    campaign.go_on()
    second.kill()
    campaign.studyd.kill()
    campaign.studyd.start()
    second.start()
    campaign.go_on()
    first.stop(143)
    first.start()
    campaign.freeze(second)
    ends = campaign.finish()
    assert [worker.wait(60) for worker in campaign.workers] == [0, 0]

    for name in ("fast", "trees"):
        check_trials(campaign.studyd.trials(name), ends[name])
    for trial in campaign.studyd.trials("fast"):
        value = trial["params"]["x"] + trial["number"]
        assert trial["value"] == value and trial["intermediate_values"] in ({"1": value}, {})  # a killed studyd may forget a report
    check_told(first.log() + second.log(), campaign.studyd)
    assert len(list((campaign.directory / "models" / "trees").glob("trial-*.ubj"))) == 1
    assert not find_runners("r.py", campaign.directory) and not find_runners("study-xgboost", campaign.directory)
