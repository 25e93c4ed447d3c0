# SPDX-License-Identifier: MIT
"""kill -9 under load: whatever was acknowledged is there afterwards, once."""

import http.client
import threading
import time

import pytest

from harness.child import wait_until
from harness.http_json import Refused, path

pytestmark = pytest.mark.release

N_CLIENTS = 6
N_TRIALS = 600
SPEC = {
    "name": "campaign",
    "directions": ["minimize"],
    "space": {"x": {"type": "float", "low": 0, "high": 1}, "k": {"type": "int", "low": 1, "high": 9}},
    "sampler": {"type": "random", "seed": 3},
    "max_trials": N_TRIALS,
}


class Clients:
    """Threads that ask, report and tell until the study is finished, and repeat each request until it is acknowledged."""

    def __init__(self, studyd):
        self.studyd = studyd
        self.lock = threading.Lock()
        self.told = {}  # number -> value, as acknowledged
        self.problems = []
        self.deadline = time.monotonic() + 120
        self.threads = [threading.Thread(target=self.run, args=(index,), daemon=True) for index in range(N_CLIENTS)]
        for thread in self.threads:
            thread.start()

    def insist(self, target, body):
        """Repeats a request until there is an answer: only what was acknowledged counts."""
        while time.monotonic() < self.deadline:
            try:
                return self.studyd.http.post(target, body)
            except Refused as refused:
                if refused.status != 503:
                    raise
            except (OSError, http.client.HTTPException):
                pass  # studyd is dead, or its connection is
            time.sleep(0.01)
        raise AssertionError(f"no answer to {target} in time")

    def run(self, index):
        try:
            for turn in range(N_TRIALS):
                asked = self.insist(path("studies", "campaign", "ask"),
                                    {"worker": f"client{index}", "request_id": f"{index}-{turn}"})
                if asked["state"] == "finished" or not asked["trials"]:
                    return
                trial = asked["trials"][0]
                base = ("studies", "campaign", "trials", trial["number"])
                for step in (1, 2):
                    self.insist(path(*base, "report"), {"lease": trial["lease"], "step": step, "value": step + index})
                value = index + turn / 1000
                self.insist(path(*base, "tell"), {"lease": trial["lease"], "value": value})
                with self.lock:
                    if trial["number"] in self.told:
                        raise AssertionError(f"trial {trial['number']} was given to two clients")
                    self.told[trial["number"]] = value
        except Exception as problem:  # shown by the test
            self.problems.append(problem)

    def wait_for(self, count):
        """Until so many tells are acknowledged."""
        wait_until(f"{count} acknowledged tells", lambda: self.problems or len(self.told) >= count, 120)
        assert not self.problems, self.problems

    def join(self):
        for thread in self.threads:
            thread.join()
        assert not self.problems, self.problems


def check(clients, studyd, store):
    """Every number once, dense, complete, with the value that was acknowledged; in the API and in the tables. A report is
    durable with its trial's tell: one that a killed studyd still held in memory may be missing, none may differ."""
    assert sorted(clients.told) == list(range(N_TRIALS))
    trials = studyd.trials("campaign")
    assert [trial["number"] for trial in trials] == list(range(N_TRIALS))
    for trial in trials:
        assert trial["state"] == "complete"
        assert trial["value"] == clients.told[trial["number"]]
        assert trial["attempt"] == 1
        index = int(clients.told[trial["number"]])
        assert trial["intermediate_values"].items() <= {"1": 1 + index, "2": 2 + index}.items()
    assert studyd.show("campaign")["state"] == "finished"
    stored = store.query("SELECT number, value FROM trials JOIN trial_values USING (trial_id) ORDER BY number, value")
    assert [(int(number), float(value)) for number, value in stored] == sorted(clients.told.items())
    assert store.query("SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'") == [[str(N_TRIALS)]]


def test_nothing_acknowledged_is_lost_when_studyd_is_killed(studyd, store):
    """studyd is killed three times under load, and started again on the same database."""
    studyd.create(SPEC)
    clients = Clients(studyd)
    for count in (100, 250, 400):
        clients.wait_for(count)
        studyd.kill()
        studyd.start()
    clients.join()
    check(clients, studyd, store)


def test_nothing_acknowledged_is_lost_when_the_database_is_killed(mariadb, start_studyd):
    """MariaDB is killed under load; studyd waits for it and goes on. Then studyd dies too, and reads it all again."""
    store = mariadb.new_database()
    studyd = start_studyd(store)
    studyd.create(SPEC)
    clients = Clients(studyd)
    clients.wait_for(150)
    mariadb.kill()
    mariadb.start()
    clients.wait_for(350)
    studyd.kill()
    studyd.start()
    clients.join()
    check(clients, studyd, store)


def test_a_new_attempt_after_a_restart(studyd):
    """What an attempt before the restart has reported is gone with the first report of the next one."""
    studyd.create({**SPEC, "name": "s"})
    trial = studyd.ask_one("s")
    for step in (1, 2, 3):
        studyd.report("s", 0, trial["lease"], step, step)
    studyd.tell("s", 0, trial["lease"], state="waiting")
    studyd.kill()
    studyd.start()
    again = studyd.ask_one("s")
    assert (again["number"], again["attempt"]) == (0, 2)
    studyd.report("s", 0, again["lease"], 1, 0.5)
    studyd.tell("s", 0, again["lease"], state="pruned")
    told = studyd.trial("s", 0)
    assert (told["value"], told["intermediate_values"]) == (0.5, {"1": 0.5})
