# SPDX-License-Identifier: MIT
"""What is asked, told and enqueued counts once, whatever is repeated; budgets are exact; failures are recorded with their trial."""

import json
import threading

import pytest

from harness.child import wait_until
from harness.http_json import Http, Refused, path

SPEC = {"name": "s", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random", "seed": 1}}


def refusal(call, *arguments, **options):
    with pytest.raises(Refused) as problem:
        call(*arguments, **options)
    return problem.value.type


def restart(studyd):
    studyd.kill()
    studyd.start()


class Told:
    """A trial whose lease is in a certain state, and how a tell of it is answered."""

    def __init__(self, studyd):
        self.studyd = studyd
        studyd.create({**SPEC, "lease_s": 1, "retries": 5})
        self.offer = studyd.ask_one("s")

    def tell(self, value=1.0):
        return self.studyd.tell("s", 0, self.offer["lease"], value)["state"]

    def lapse(self):
        self.studyd.wait_for_log("lease lapsed study=\"s\" number=0 attempt=1")

    def hand_on(self):
        return self.studyd.ask("s", wait_s=10)["trials"][0]


def tell_current(told):
    assert told.tell() == "complete"


def tell_lapsed(told):
    told.lapse()
    assert told.tell() == "complete"


def tell_again(told):
    told.tell()
    assert told.tell() == "complete"


def tell_otherwise(told):
    told.tell()
    assert refusal(told.tell, 2.0) == "already-finished"
    assert told.studyd.trial("s", 0)["value"] == 1


def tell_superseded(told):
    told.lapse()
    second = told.hand_on()
    assert (second["number"], second["attempt"]) == (0, 2)
    assert refusal(told.tell) == "lease-superseded"
    told.studyd.tell("s", 0, second["lease"], 3.0)
    assert refusal(told.tell, 3.0) == "already-finished"
    assert told.studyd.trial("s", 0)["value"] == 3


def tell_deleted(told):
    told.studyd.http.delete("/v1/studies/s?force=true")
    assert refusal(told.tell) == "not-found"
    told.studyd.create(SPEC)
    told.studyd.ask_one("s")
    assert refusal(told.tell) == "lease-superseded"   # the name is another study's now


@pytest.mark.parametrize("is_restarted", (False, True), ids=("served", "restarted"))
@pytest.mark.parametrize("row", (tell_current, tell_lapsed, tell_again, tell_otherwise, tell_superseded, tell_deleted),
                         ids=lambda row: row.__name__)
def test_what_a_tell_gets(start_studyd, sqlite, row, is_restarted):
    """By its lease; the same when studyd was killed between the ask and what follows."""
    studyd = start_studyd(sqlite)
    told = Told(studyd)
    if is_restarted:
        restart(studyd)
    row(told)


def test_a_request_id_is_kept(studyd):
    """As long as the study: over a restart and the trial's end; the same id with another body is refused, for ask and enqueue."""
    studyd.create(SPEC)
    first = studyd.ask("s", worker="w", count=2, request_id="a")["trials"]
    assert studyd.enqueue("s", {"x": 0.5}, request_id="e") == {"number": 2}
    for _ in range(2):
        again = studyd.ask("s", worker="w", count=2, request_id="a")["trials"]
        assert sorted((each["number"], each["lease"], each["params"]["x"]) for each in again) == \
            sorted((each["number"], each["lease"], each["params"]["x"]) for each in first)
        assert studyd.enqueue("s", {"x": 0.5}, request_id="e") == {"number": 2}
        assert refusal(studyd.ask, "s", worker="w", count=1, request_id="a") == "request-id-reused"
        assert refusal(studyd.enqueue, "s", {"x": 0.25}, request_id="e") == "request-id-reused"
        for trial in first:
            studyd.tell("s", trial["number"], trial["lease"], 1.0)
        restart(studyd)
    assert len(studyd.trials("s")) == 3


def test_a_report_is_repeated_by_its_step(studyd):
    """The first value of a step stands, whatever comes again under it."""
    studyd.create(SPEC)
    lease = studyd.ask_one("s")["lease"]
    for step, value in ((1, 0.5), (1, 0.5), (1, 0.75), (2, 0.25), (1, 9)):
        studyd.report("s", 0, lease, step, value)
    studyd.tell("s", 0, lease, 1.0)
    restart(studyd)
    assert studyd.trial("s", 0)["intermediate_values"] == {"1": 0.5, "2": 0.25}


CLASSES = {"objective": False, "nan": False, "oom": True, "timeout": True, "killed": True, "lost": True}


def test_failures_are_recorded(studyd, store):
    """The class and the reason stand with the trial and in Optuna's system attributes; only the machine's classes are tried again."""
    studyd.create({**SPEC, "retries": 1})
    for number, (failure, is_again) in enumerate(CLASSES.items()):
        for attempt in range(1, 3 if is_again else 2):
            offer = studyd.ask_one("s")
            assert (offer["number"], offer["attempt"]) == (number, attempt)
            became = studyd.tell("s", number, offer["lease"], state="fail", **{"class": failure, "reason": f"why {attempt}"})["state"]
            assert became == ("waiting" if is_again and attempt == 1 else "fail")
            assert studyd.trial("s", number)["reason"] == f"{failure}: why {attempt}"
    stored = store.query("SELECT value_json FROM trial_system_attributes WHERE `key` = 'studyd:failure' ORDER BY trial_id")
    assert [json.loads(row[0]) for row in stored] == \
        [{"class": failure, "reason": f"why {1 + is_again}"} for failure, is_again in CLASSES.items()]


def test_a_lost_attempt_is_recorded(studyd):
    """A trial that is handed on says of whom it was lost, also when it is complete; the log names worker, study, number, attempt."""
    studyd.create({**SPEC, "lease_s": 1, "max_trials": 1})
    studyd.ask_one("s", worker="node7")
    offer = studyd.ask("s", worker="node8", wait_s=20)["trials"][0]
    line = studyd.wait_for_log('warning: lease lapsed study="s" number=0 attempt=1 worker="node7"')
    assert "handed on" in line
    studyd.tell("s", 0, offer["lease"], 1.0)
    trial = studyd.trial("s", 0)
    assert (trial["state"], trial["attempt"], trial["reason"]) == ("complete", 2, "lost: worker node7 was silent for 1 s in attempt 1")


class Crowd:
    """Clients that ask and tell until they hear that the study is finished, stopped, or that they shall end."""

    def __init__(self, studyd, count):
        self.studyd, self.numbers, self.problems, self.is_ended = studyd, [], [], False
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        http = Http(self.studyd.url)
        try:
            while not self.is_ended:
                answer = http.post("/v1/studies/s/ask", {"worker": f"w{i}", "count": 1 + i % 3, "wait_s": 1})
                for trial in answer["trials"]:
                    self.numbers.append(trial["number"])
                    http.post(path("studies", "s", "trials", trial["number"], "tell"), {"lease": trial["lease"], "value": 1.0})
                if answer["state"] in ("finished", "stopped"):
                    return
        except Exception as problem:   # the test's thread says so
            self.problems.append(problem)

    def join(self):
        for thread in self.threads:
            thread.join()
        assert not self.problems, self.problems

    def wait_for(self, count):
        wait_until(f"{count} trials", lambda: len(self.numbers) >= count or self.problems)


def test_max_trials_is_exact(studyd):
    """Eight clients; the budget is raised, and lowered while they wait for a paused study: no number too many, none too few."""
    studyd.create({**SPEC, "max_trials": 60})
    crowd = Crowd(studyd, 8)
    crowd.join()
    assert sorted(crowd.numbers) == list(range(60))
    assert studyd.show("s")["reason"] == "max_trials reached (60)"
    assert studyd.http.patch("/v1/studies/s", {"max_trials": 2000})["state"] == "running"
    crowd = Crowd(studyd, 8)
    crowd.wait_for(20)
    studyd.http.patch("/v1/studies/s", {"state": "paused"})
    n_paused = sum(studyd.show("s")["counts"].values())
    assert studyd.ask("s", wait_s=0.2) == {"state": "paused", "trials": []}
    assert sum(studyd.show("s")["counts"].values()) == n_paused
    studyd.http.patch("/v1/studies/s", {"state": "running", "max_trials": n_paused + 7})
    crowd.join()
    assert sorted(crowd.numbers) == list(range(60, n_paused + 7))
    study = studyd.show("s")
    assert (study["counts"]["complete"], study["reason"]) == (n_paused + 7, f"max_trials reached ({n_paused + 7})")
    answer = studyd.http.patch("/v1/studies/s", {"max_trials": 50})
    assert (answer["state"], answer["reason"]) == ("finished", "max_trials reached (50)")


def test_a_stop_is_heard_by_all(studyd):
    """A stop ends all who wait; what is open may still be told, nothing more is given out."""
    studyd.create({**SPEC, "max_trials": 1})
    offer = studyd.ask_one("s")
    crowd = Crowd(studyd, 4)
    wait_until("four who wait", lambda: studyd.show("s")["waiting_asks"] == 4)
    studyd.http.patch("/v1/studies/s", {"state": "stopped", "max_trials": 10})
    crowd.join()
    assert studyd.tell("s", 0, offer["lease"], 1.0)["state"] == "complete"
    assert studyd.ask("s", wait_s=10) == {"state": "stopped", "trials": []}
    assert crowd.numbers == []


def is_given(studyd):
    """Is there a new trial at once? It is told."""
    trials = studyd.ask("s")["trials"]
    for trial in trials:
        studyd.tell("s", trial["number"], trial["lease"], 1.0)
    return bool(trials)


def test_max_seconds_counts_from_the_first_ask(studyd):
    """Over a restart, too: no new trial starts then, those that are open may finish, and the study says why it is over."""
    studyd.create({**SPEC, "max_seconds": 3})
    first = studyd.show("s")["first_ask"]
    offer = studyd.ask_one("s")
    assert first is None
    first = studyd.show("s")["first_ask"]
    restart(studyd)
    assert studyd.show("s")["first_ask"] == first
    crowd = Crowd(studyd, 2)
    crowd.wait_for(1)
    wait_until("no new trial", lambda: not is_given(studyd))
    assert studyd.show("s")["state"] == "running"
    assert studyd.tell("s", 0, offer["lease"], 1.0)["state"] == "complete"
    crowd.join()
    study = studyd.show("s")
    assert (study["state"], study["reason"]) == ("finished", "max_seconds reached (3 s)")
