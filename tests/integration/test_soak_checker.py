# SPDX-License-Identifier: MIT
"""The history checker of tests/soak: an honest history has no violation, and each planted one is reported by its rule."""

import copy

import pytest

from soak import checker, state
from soak.history import Event, History

UID, GONE = "a" * 32, "b" * 32
PARAMS = [{"x": 0.5, "k": 1}, {"x": 7.5, "k": 2}, {"x": 0.25, "k": 3}]


def trial(number, **more):
    return {"state": "complete", "values": [number + 0.5], "params": PARAMS[number], "intermediate_values": {}, "user_attrs": {"tell": number},
            "constraints": None, "attempt": 1, "worker": "u", "reason": None, "is_ours": True, "retries": 0, "n_rows": 1, **more}


def offer(number, lease, attempt=1):
    return {"number": number, "params": PARAMS[number], "lease": lease, "attempt": attempt}


class Honest:
    """Three trials: one reported and told; one enqueued, handed on after its worker was frozen, and told; one that failed twice."""

    def __init__(self):
        self.history = History()
        self.now = 0.0
        self.events = {}
        self.add("create", "create", UID, {"name": "s"}, {"uid": UID}, status=201)
        self.add("create gone", "create", GONE, {"name": "t"}, {"uid": GONE}, status=201)
        self.add("delete", "delete", GONE, {}, {}, status=204)
        self.add("patch", "patch", UID, {"user_attrs": {"a": 1}, "max_trials": 3}, {})
        self.add("ask 0", "ask", UID, {"request_id": "r0"}, {"state": "running", "trials": [offer(0, "l0")]})
        self.add("ask 0 again", "ask", UID, {"request_id": "r0"}, {"state": "running", "trials": [offer(0, "l0")]})
        self.refuse("ask 0 otherwise", "ask", UID, {"request_id": "r0", "count": 2}, 422, "request-id-reused")
        self.add("report", "report", UID, {"lease": "l0", "step": 1, "value": 0.1}, {"prune": False}, 0)
        self.add("tell 0", "tell", UID, {"lease": "l0", "state": "complete", "value": 0.5, "user_attrs": {"tell": 0}}, {"state": "complete"}, 0)
        self.add("read 0", "trial", UID, {}, {"number": 0, "seq": 5, **trial(0, intermediate_values={"1": 0.1})})
        self.add("study", "study", UID, {}, {"uid": UID, "seq": 5})
        self.add("enqueue", "enqueue", UID, {"request_id": "r1", "params": {"x": 7.5}}, {"number": 1}, status=201)
        self.add("enqueue again", "enqueue", UID, {"request_id": "r1", "params": {"x": 7.5}}, {"number": 1}, status=201)
        self.add("ask 1", "ask", UID, {"request_id": "r2"}, {"state": "running", "trials": [offer(1, "l1")]})
        self.add("heartbeat", "heartbeat", UID, {"lease": "l1"}, {"lease_s": 1}, 1)
        self.add("ask 1 on", "ask", UID, {"request_id": "r3"}, {"state": "running", "trials": [offer(1, "l2", 2)]})
        self.refuse("late", "tell", UID, {"lease": "l1", "state": "complete", "value": 9.0, "user_attrs": {"tell": 9}}, 409, "lease-superseded", 1)
        self.add("tell 1", "tell", UID, {"lease": "l2", "state": "complete", "value": 1.5, "user_attrs": {"tell": 1}}, {"state": "complete"}, 1)
        self.add("ask 2", "ask", UID, {"request_id": "r4"}, {"state": "running", "trials": [offer(2, "l3")]})
        self.add("fail", "tell", UID, {"lease": "l3", "state": "fail", "class": "oom", "reason": "r3", "user_attrs": {"tell": 3}}, {"state": "waiting"}, 2)
        self.add("ask 2 on", "ask", UID, {"request_id": "r5"}, {"state": "running", "trials": [offer(2, "l4", 2)]})
        self.add("tell 2", "tell", UID, {"lease": "l4", "state": "pruned", "user_attrs": {"tell": 2}}, {"state": "pruned"}, 2)
        self.add("study later", "study", UID, {}, {"uid": UID, "seq": 12})
        self.stored = {UID: {"name": "s", "state": "finished", "max_trials": 3, "retries": 2, "directions": ["minimize"], "user_attrs": {"a": 1},
                             "trials": {0: trial(0, intermediate_values={"1": 0.1}), 1: trial(1, attempt=2),
                                        2: trial(2, attempt=2, state="pruned", values=[], reason="oom: r3", retries=1)}}}
        self.foreign = {}

    def add(self, name, op, uid, request, answer, number=None, status=200):
        event = Event("u", op, uid, request, status, answer, self.now, self.now + 0.5, number)
        self.now += 1
        self.events[name] = event
        self.history.add(event)

    def refuse(self, name, op, uid, request, status, kind, number=None):
        self.add(name, op, uid, request, {"type": f"urn:studyd:{kind}"}, number, status)

    def case(self):
        """As it would be read from a studyd that agrees with the database; a follower saw the same."""
        shown = getattr(self, "shown", None) or copy.deepcopy(state.shown(self.stored))
        followed = getattr(self, "followed", None) or {UID: copy.deepcopy(shown[UID]["trials"])}
        return checker.Case(self.history, self.stored, shown, followed, foreign=self.foreign)


def stored(honest, number):
    return honest.stored[UID]["trials"][number]


def lose_trial(honest):
    del honest.stored[UID]["trials"][1]


def double_number(honest):
    stored(honest, 1)["n_rows"] = 2


def show_another(honest):
    honest.shown = copy.deepcopy(state.shown(honest.stored))
    honest.shown[UID]["trials"][0]["values"] = [0.75]


def leave_running(honest):
    stored(honest, 1)["state"] = "running"


def retry_too_often(honest):
    stored(honest, 2)["retries"] = 3


def exceed_budget(honest):
    honest.stored[UID]["max_trials"] = 2


def stop_short_of_budget(honest):
    honest.stored[UID]["max_trials"] = 4


def take_two_results(honest):
    late = honest.events["late"]
    late.status, late.answer = 200, {"state": "complete"}


def lose_result(honest):
    stored(honest, 0)["values"] = [0.75]


def lose_attributes(honest):
    stored(honest, 0)["user_attrs"] = {}


def lose_failure(honest):
    stored(honest, 2)["reason"] = None


def blame_told_attempt(honest):
    stored(honest, 2)["reason"] = "lost: worker u was silent for 1 s in attempt 1"


def make_up_result(honest):
    stored(honest, 1)["user_attrs"] = {"tell": 77}


def lose_optunas_trial(honest):
    honest.foreign = {UID: {1: 4.5}}


def be_told_by_both(honest):
    honest.foreign = {UID: {1: 1.5}}


def change_params(honest):
    stored(honest, 0)["params"] = {"x": 0.75, "k": 1}


def forget_attempt(honest):
    stored(honest, 1)["attempt"] = 1


def give_away_twice(honest):
    honest.events["ask 1 on"].answer["trials"][0]["attempt"] = 1


def answer_repeated_ask_otherwise(honest):
    honest.events["ask 0 again"].answer["trials"] = [offer(1, "l9")]


def answer_repeated_ask_with_nothing(honest):
    honest.events["ask 0 again"].answer["trials"] = []


def hand_on_to_optuna_unasked(honest):
    honest.foreign = {UID: {0: 0.5}}
    answer_repeated_ask_otherwise(honest)


def take_another_body(honest):
    otherwise = honest.events["ask 0 otherwise"]
    otherwise.status, otherwise.answer = 200, {"state": "running", "trials": []}


def enqueue_twice(honest):
    stored(honest, 2)["params"] = PARAMS[1]


def enqueue_elsewhere(honest):
    honest.events["enqueue again"].answer["number"] = 2


def lose_enqueued(honest):
    stored(honest, 1)["params"] = {"x": 0.125, "k": 2}


def take_late_report(honest):
    honest.add("late report", "report", UID, {"lease": "l1", "step": 1, "value": 0.3}, {"prune": False}, 1)


def refuse_current_lease(honest):
    honest.refuse("refused", "heartbeat", UID, {"lease": "l2"}, 409, "lease-superseded", 1)


def forget_trial(honest):
    honest.refuse("forgotten", "heartbeat", UID, {"lease": "l2"}, 404, "not-found", 1)


def lose_report(honest):
    stored(honest, 0)["intermediate_values"] = {}


def make_up_report(honest):
    stored(honest, 1)["intermediate_values"] = {"4": 0.5}


def lose_patch(honest):
    honest.stored[UID]["user_attrs"] = {}


def lose_study(honest):
    honest.shown = {UID: copy.deepcopy(state.shown(honest.stored)[UID])}
    honest.stored = {}
    honest.followed = {}


def keep_deleted(honest):
    honest.stored[GONE] = {**copy.deepcopy(honest.stored[UID]), "trials": {}, "state": "running"}


def show_deleted(honest):
    honest.add("ghost", "study", GONE, {}, {"uid": GONE, "seq": 1})


def take_back_what_was_shown(honest):
    honest.events["read 0"].answer["values"] = [0.75]


def show_old_state(honest):
    honest.events["read 0"].answer["state"] = "running"


def go_back(honest):
    honest.events["study later"].answer["seq"] = 4


def miss_change(honest):
    honest.followed = {UID: {0: {**stored(honest, 0), "state": "running"}, 1: stored(honest, 1), 2: stored(honest, 2)}}


def answer_late(honest):
    honest.history.troubles.append("an answer took 60.0 s")


PLANTED = {
    "numbers_are_dense": [lose_trial, double_number], "daemon_shows_what_is_stored": [show_another],
    "states_are_legal": [leave_running, retry_too_often], "budgets_are_exact": [exceed_budget, stop_short_of_budget],
    "trials_have_one_result": [take_two_results], "tells_are_stored": [lose_result, lose_attributes, lose_failure, blame_told_attempt],
    "results_were_told": [make_up_result], "optunas_trials_are_there": [lose_optunas_trial, be_told_by_both], "offers_are_stored": [change_params, forget_attempt],
    "attempts_have_one_lease": [give_away_twice],
    "repeated_asks_get_the_same": [answer_repeated_ask_otherwise, answer_repeated_ask_with_nothing, hand_on_to_optuna_unasked, take_another_body],
    "enqueues_are_applied_once": [enqueue_twice, enqueue_elsewhere, lose_enqueued], "superseded_leases_are_refused": [take_two_results, take_late_report],
    "current_leases_are_not_refused": [refuse_current_lease, forget_trial], "reports_are_stored": [lose_report, make_up_report],
    "patches_are_stored": [lose_patch], "studies_come_and_go": [lose_study, keep_deleted, show_deleted],
    "reads_show_what_stays": [take_back_what_was_shown, show_old_state], "reads_go_forward": [go_back], "cursors_miss_nothing": [miss_change],
    "answers_are_well_formed": [answer_late],
}


def test_an_honest_history():
    assert checker.violations(Honest().case()) == []


def test_a_report_may_be_lost_with_studyd():
    """It was in memory only when studyd died before the tell."""
    honest = Honest()
    lose_report(honest)
    honest.events["read 0"].answer["intermediate_values"] = {}
    honest.events["tell 0"].deaths = (1, 1)
    assert checker.violations(honest.case()) == []


def test_a_silent_worker():
    """studyd itself says why a trial was handed on, where nobody told."""
    honest = Honest()
    stored(honest, 1)["reason"] = "lost: worker u was silent for 1 s in attempt 1"
    assert checker.violations(honest.case()) == []


@pytest.mark.parametrize(("rule", "plant"), [(rule, plant) for rule, plants in PLANTED.items() for plant in plants])
def test_a_planted_violation(rule, plant):
    honest = Honest()
    plant(honest)
    found = checker.violations(honest.case())
    assert any(sentence.startswith(f"{rule}: ") for sentence in found), found


def test_each_rule_can_fail():
    assert PLANTED.keys() == {rule.__name__ for rule in checker.RULES}
