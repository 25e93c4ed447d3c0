# SPDX-License-Identifier: MIT
"""Optuna works on a database while studyd serves it: what comes, changes and goes there is seen here."""

import concurrent.futures
import time

from harness import child
from harness.http_json import Refused, path
from harness.optuna_scripts import CONTINUE, READ

SHARED = {
    "name": "shared",
    "directions": ["minimize"],
    "space": {"x": {"type": "float", "low": 0, "high": 1}, "kind": {"type": "categorical", "choices": ["a", "b"]}},
    "sampler": {"type": "random", "seed": 1},
}


# argv[3]: how many are asked for; or whose numbers are told, with commas.
ASK = """
import sys, optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
study = optuna.load_study(study_name=sys.argv[1], storage=sys.argv[2])
for _ in range(int(sys.argv[3])):
    study.ask({"x": FloatDistribution(0, 1), "kind": CategoricalDistribution(["a", "b"])})
"""
TELL = """
import sys, optuna
study = optuna.load_study(study_name=sys.argv[1], storage=sys.argv[2])
for number in sys.argv[3].split(","):
    study.tell(int(number), 0.5)
"""
CREATE = """
import sys, optuna
optuna.create_study(study_name=sys.argv[1], storage=sys.argv[2])
"""
DELETE = """
import sys, optuna
optuna.delete_study(study_name=sys.argv[1], storage=sys.argv[2])
"""
COPY = """
import sys, optuna
optuna.copy_study(from_study_name=sys.argv[1], from_storage=sys.argv[2], to_storage=sys.argv[2], to_study_name=sys.argv[3])
"""
# Another study under the name, with other trials, right after the first is deleted.
REPLACE = DELETE + CREATE + CONTINUE


class Follower:
    """Reads what changed, with one cursor over all restarts."""

    def __init__(self):
        self.since = 0
        self.states = {}

    def read(self, studyd):
        while True:
            answer = studyd.http.get(path("studies", "shared", "trials") + f"?since={self.since}&limit=2")
            assert answer["next"] >= self.since
            self.since = answer["next"]
            self.states.update((trial["number"], trial["state"]) for trial in answer["trials"])
            if not answer["trials"]:
                return self.states

    def waits_for(self, studyd, states):
        child.wait_until(f"{states}", lambda: [state for _, state in sorted(self.read(studyd).items())] == states)


def test_a_cursor_survives_restarts(optuna5, store, start_studyd):
    """Who follows the changes misses none: not what Optuna did before a restart, during it, or after it."""
    studyd = start_studyd(store)
    studyd.create(SHARED)
    follower = Follower()
    optuna5.run(ASK, "shared", store.optuna_url, 3)
    follower.waits_for(studyd, ["running"] * 3)
    optuna5.run(TELL, "shared", store.optuna_url, "0,1")
    follower.waits_for(studyd, ["complete"] * 2 + ["running"])
    studyd.stop()
    optuna5.run(TELL, "shared", store.optuna_url, "2")
    studyd.start()
    follower.waits_for(studyd, ["complete"] * 3)
    studyd.stop()
    studyd.start()
    optuna5.run(CONTINUE, "shared", store.optuna_url, 1)
    follower.waits_for(studyd, ["complete"] * 4)


RETRY = """
import sys, optuna
from optuna.distributions import FloatDistribution
study = optuna.load_study(study_name=sys.argv[1], storage=sys.argv[2])
study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING, params={"x": 0.75},
                                          distributions={"x": FloatDistribution(0, 1)},
                                          system_attrs={"fixed_params": {"x": 0.75}, "failed_trial": 0}))
"""


def test_a_waiting_trial_with_some_of_its_parameters(optuna5, store, start_studyd):
    """What Optuna's retry of a trial that died between two suggests leaves: the parameter that is there stays, the other is
    sampled and stored; Optuna reads them together. The same after a restart."""
    studyd = start_studyd(store)
    studyd.create({"name": "half", "space": {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 2, "high": 3}}})
    for restarts in (False, True):
        optuna5.run(RETRY, "half", store.optuna_url)
        waiting = optuna5.run(READ, "half", store.optuna_url)["trials"][-1]["number"]
        if restarts:
            studyd.stop()
            studyd.start()
        offer = studyd.ask_one("half")
        if offer["number"] != waiting:  # the ask that found it had its number already
            offer = studyd.ask_one("half")
        assert offer["number"] == waiting
        assert offer["params"]["x"] == 0.75 and 2 <= offer["params"]["y"] <= 3
        studyd.tell("half", waiting, offer["lease"], 1)
        read = optuna5.run(READ, "half", store.optuna_url)["trials"][waiting]
        assert read["state"] == "complete" and read["params"] == offer["params"]


def test_what_optuna_does_to_trials_of_ours(optuna5, store, start_studyd):
    """Optuna runs what we enqueued, and tells what we have handed out: who goes on reading sees it, without an ask or a restart."""
    studyd = start_studyd(store)
    studyd.create(SHARED)
    asked = studyd.ask_one("shared")
    studyd.enqueue("shared", {"x": 0.5})
    optuna5.run(TELL, "shared", store.optuna_url, "0")
    optuna5.run(CONTINUE, "shared", store.optuna_url, 1)
    child.wait_until("both to be complete", lambda: studyd.show("shared")["counts"]["complete"] == 2)
    assert studyd.trial("shared", 1)["params"]["x"] == 0.5
    assert refusal(studyd.tell, "shared", 0, asked["lease"], 7) == "already-finished"


def appears(studyd, name):
    """A GET that is answered 404 is answered 200 some seconds later."""
    begin = time.monotonic()

    def show():
        answer = studyd.http.request("GET", path("studies", name))
        assert answer.status in (200, 404), answer.text()
        return answer.status == 200 and answer.json()

    study = child.wait_until(f"the study {name} to appear", show)
    assert time.monotonic() - begin < 10  # 2 s, and what a busy machine adds
    return study


def test_a_new_study_appears(optuna5, store, start_studyd):
    """Optuna makes a study while studyd runs: it is shown without a restart, empty as it is; and goes on here when it
    has trials, with all their parameters."""
    studyd = start_studyd(store)
    optuna5.run(CREATE, "shared", store.optuna_url)
    assert sum(appears(studyd, "shared")["counts"].values()) == 0
    assert [study["name"] for study in studyd.http.get(path("studies"))["studies"]] == ["shared"]
    refused = studyd.http.request("POST", path("studies", "shared", "ask"), {})
    assert refused.status == 409 and refused.json()["type"] == "urn:studyd:no-space"
    optuna5.run(CONTINUE, "shared", store.optuna_url, 3)
    trial = studyd.ask_one("shared")
    assert trial["number"] == 3 and set(trial["params"]) == {"x", "kind"}
    studyd.tell("shared", 3, trial["lease"], 0.25)
    read = optuna5.run(READ, "shared", store.optuna_url)["trials"]
    assert [trial["state"] for trial in read] == ["complete"] * 4
    studyd.stop()
    studyd.start()
    assert studyd.ask_one("shared")["number"] == 4


def test_who_waits_for_any_study_gets_a_new_one(optuna5, store, start_studyd):
    """An ask of all studies, that began when there was none, and a list that somebody reads now and then. How many of Optuna's two
    trials are there when the study is found depends on who is faster: all three have numbers of their own."""
    studyd = start_studyd(store)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ask = pool.submit(studyd.http.post, path("ask"), {"wait_s": 60})
        optuna5.run(CREATE + CONTINUE, "shared", store.optuna_url, 2)
        trial, = ask.result()["trials"]
    read = optuna5.run(READ, "shared", store.optuna_url)["trials"]
    assert trial["study"] == "shared" and [each["number"] for each in read] == [0, 1, 2]
    assert [each["state"] for each in read if each["number"] != trial["number"]] == ["complete"] * 2
    optuna5.run(CREATE, "other", store.optuna_url)
    child.wait_until("the other study in the list",
                     lambda: [study["name"] for study in studyd.http.get(path("studies"))["studies"]] ==
                     ["other", "shared"])


def test_creating_what_optuna_has_made(optuna5, store, start_studyd):
    """With exist_ok it is that study, with its trials and our spec; without, 409."""
    studyd = start_studyd(store)
    optuna5.run(CREATE + CONTINUE, "shared", store.optuna_url, 2)
    answer = studyd.http.request("POST", "/v1/studies?exist_ok=true", SHARED)
    assert answer.status == 200, answer.text()
    assert answer.json()["counts"]["complete"] == 2
    assert answer.json()["spec"]["sampler"]["type"] == "random"
    refused = studyd.http.request("POST", "/v1/studies", SHARED)
    assert refused.status == 409 and refused.json()["type"] == "urn:studyd:exists"


def refusal(call, *arguments, **body):
    try:
        call(*arguments, **body)
    except Refused as refused:
        return refused.type
    return None


def test_optuna_deletes_a_study(optuna5, store, start_studyd):
    """Whoever asks, reports or tells is answered 404 or 409 soon, and nothing of it is an error of the database's. A
    study of the same name, made at once, is another one: the old one's leases are worth nothing there."""
    studyd = start_studyd(store)
    studyd.create({**SHARED, "max_trials": 3})
    trials = [studyd.ask_one("shared") for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ask = pool.submit(refusal, studyd.ask, "shared", wait_s=60)
        child.wait_until("the ask to wait", lambda: studyd.show("shared")["waiting_asks"] == 1)
        optuna5.run(REPLACE, "shared", store.optuna_url, 1)
        assert refusal(studyd.tell, "shared", 1, trials[1]["lease"], 0.5) == "not-found"
        assert ask.result() == "not-found"
    child.wait_until("the new study", lambda: not refusal(studyd.show, "shared"))
    child.wait_until("the new study's trial", lambda: studyd.show("shared")["counts"]["complete"] == 1)
    assert refusal(studyd.tell, "shared", 0, trials[0]["lease"], 0.5) == "already-finished"
    assert refusal(studyd.heartbeat, "shared", 2, trials[2]["lease"]) == "not-found"
    trial = studyd.ask_one("shared")
    assert trial["number"] == 1
    studyd.tell("shared", 1, trial["lease"], 0.5)
    assert [trial["values"] for trial in optuna5.run(READ, "shared", store.optuna_url)["trials"]][1] == [0.5]
    assert "error:" not in studyd.log()


def test_optuna_deletes_what_nobody_serves(optuna5, store, start_studyd):
    """Deleted and made again between two calls: each change of the old study is refused, none reaches the new one."""
    studyd = start_studyd(store)
    studyd.create(SHARED)
    trials = [studyd.ask_one("shared") for _ in range(2)]
    optuna5.run(DELETE + CREATE + ASK, "shared", store.optuna_url, 2)  # in SQLite with the same ids
    before = optuna5.run(READ, "shared", store.optuna_url)
    studyd.report("shared", 0, trials[0]["lease"], 1, 0.5)  # answered from memory
    assert refusal(studyd.tell, "shared", 1, trials[1]["lease"], 0.5) in ("not-found", "already-finished")
    assert refusal(studyd.http.patch, path("studies", "shared"), {"user_attrs": {"a": 1}}) == "not-found"
    appears(studyd, "shared")
    assert optuna5.run(READ, "shared", store.optuna_url) == before
    assert "error:" not in studyd.log()


def test_optuna_copies_a_study(optuna5, store, start_studyd):
    """A copy has the original's attributes, ours among them, and is a study of its own all the same: what is done to it does not
    reach the original, not after a restart either."""
    studyd = start_studyd(store)
    studyd.create(SHARED)
    kept = studyd.ask_one("shared")
    for copy in ("one", "two"):
        optuna5.run(COPY, "shared", store.optuna_url, copy)
        child.wait_until("the copy", lambda copy=copy: copy in [study["name"] for study in studyd.http.get("/v1/studies")["studies"]])
        trial = studyd.ask_one(copy)
        assert trial["number"] == 1
        studyd.tell(copy, 1, trial["lease"], 0.5)
        studyd.http.patch(path("studies", copy), {"state": "stopped"})
    assert len({studyd.show(name)["uid"] for name in ("shared", "one", "two")}) == 3
    studyd.http.delete(path("studies", "two"))
    for _ in range(2):
        assert (studyd.show("shared")["state"], studyd.show("one")["state"]) == ("running", "stopped")
        studyd.heartbeat("shared", 0, kept["lease"])
        studyd.stop()
        studyd.start()
    assert studyd.tell("shared", 0, kept["lease"], 1.0)["state"] == "complete"
    assert [study["name"] for study in studyd.http.get("/v1/studies")["studies"]] == ["one", "shared"]
