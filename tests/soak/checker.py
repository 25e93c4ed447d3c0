# SPDX-License-Identifier: MIT
"""Holds a history against what there is at the end. Each rule yields a sentence for each violation."""

import collections
import re

from soak import state

FINISHED = ("complete", "pruned", "fail")
SILENT = re.compile(r"lost: worker \S+ was silent for \S+ s in attempt (\d+)")


class Case:
    """A history, the end as the tables have it and as studyd shows it, and what those who followed cursors have."""

    def __init__(self, history, stored, shown, followed=None, may_be_stale=False, foreign=None):
        self.history = history
        self.stored = stored
        self.shown = shown
        self.followed = followed or {}  # uid -> {number: trial as read}
        self.may_be_stale = may_be_stale  # a studyd that was frozen may show, for a moment, what it knew
        self.foreign = foreign or {}  # what Optuna did in studies where it works, too: {uid: {number: value}}
        self.deletions = {event.study: event for event in history.of("delete")}
        self.offers = collections.defaultdict(list)  # (uid, number) -> [(offer, event)…] in the order of answers
        self.lease_offers = {}  # (uid, lease) -> offer
        for event in sorted(history.of("ask"), key=lambda event: event.end):
            for offer in event.answer.get("trials", []) if event.is_done else []:
                self.offers[event.study, offer["number"]].append((offer, event))
                self.lease_offers.setdefault((event.study, offer["lease"]), offer)
        self.sent_tells = collections.defaultdict(list)  # (uid, number) -> all
        self.tells = collections.defaultdict(list)  # acknowledged ones; none of trials that Optuna took over
        for event in history.of("tell"):
            self.sent_tells[event.study, event.number].append(event)
            if event.is_done and event.number not in self.foreign.get(event.study, {}):
                self.tells[event.study, event.number].append(event)

    def lives(self, uid):
        return uid not in self.deletions

    def trial(self, uid, number):
        """As stored; an empty one where there is none."""
        return self.stored.get(uid, {"trials": {}})["trials"].get(number, {})

    def stored_trials(self):
        for uid, study in self.stored.items():
            for number, trial in study["trials"].items():
                yield uid, study, number, trial

    def acknowledged(self, op):
        """Those of studies that are still there."""
        return [event for event in self.history.of(op) if event.is_done and self.lives(event.study)]

    def results(self):
        """Acknowledged tells that ended their trials, of studies that are still there."""
        return [tell for (uid, _), tells in self.tells.items() for tell in tells if self.lives(uid) and is_finishing(tell)]

    def attempt_of(self, event):
        offer = self.lease_offers.get((event.study, event.request["lease"]))
        return offer and offer["attempt"]


def is_finishing(tell):
    return tell.answer["state"] in FINISHED


def numbers_are_dense(case):
    for uid, study in case.stored.items():
        numbers = sorted(study["trials"])
        if numbers != list(range(len(numbers))):
            yield f"study {uid} has the numbers {numbers}"
    for uid, _, number, trial in case.stored_trials():
        if trial["n_rows"] != 1:
            yield f"study {uid} has {trial['n_rows']} trials with the number {number}"


def daemon_shows_what_is_stored(case):
    stored = state.shown(case.stored)
    for uid in stored.keys() | case.shown.keys():
        for place in ("stored", "shown"):
            if uid not in {"stored": stored, "shown": case.shown}[place]:
                yield f"study {uid} is not {place}"
        if uid not in stored or uid not in case.shown:
            continue
        mine, its = stored[uid], case.shown[uid]
        for key in mine.keys() - {"trials"}:
            if mine[key] != its[key]:
                yield f"study {uid}: {key} is {mine[key]} in the database, {its[key]} in studyd"
        for number in mine["trials"].keys() | its["trials"].keys():
            if mine["trials"].get(number) != its["trials"].get(number):
                yield f"study {uid}: trial {number} is {mine['trials'].get(number)} in the database, {its['trials'].get(number)} in studyd"


def states_are_legal(case):
    for uid, study, number, trial in case.stored_trials():
        where = f"study {uid}: trial {number}"
        if trial["state"] not in FINISHED:
            yield f"{where} is {trial['state']} at the end"
        elif trial["state"] == "complete" and len(trial["values"]) != len(study["directions"]):
            yield f"{where} is complete with the values {trial['values']}"
        elif trial["state"] == "fail" and trial["values"]:
            yield f"{where} has failed with the values {trial['values']}"
        if study["retries"] is not None and trial["retries"] > study["retries"]:
            yield f"{where} was tried again {trial['retries']} times, {study['retries']} are allowed"
    for uid, study in case.stored.items():
        if study["state"] not in ("running", "paused", "stopped", "finished"):
            yield f"study {uid} is {study['state']}"


def budgets_are_exact(case):
    """Optuna knows of none."""
    for uid, study in case.stored.items():
        if uid in case.foreign:
            continue
        n_trials, most = len(study["trials"]), study["max_trials"]
        if most is not None and n_trials > most:
            yield f"study {uid} has {n_trials} trials, its budget is {most}"
        if study["state"] == "finished" and n_trials != most:
            yield f"study {uid} is finished with {n_trials} trials, its budget is {most}"


def trials_have_one_result(case):
    for (uid, number), tells in case.tells.items():
        results = {(tell.request["lease"], tell.request.get("user_attrs", {}).get("tell")) for tell in tells if is_finishing(tell)}
        if len(results) > 1:
            yield f"study {uid}: trial {number} has acknowledged results {sorted(results, key=str)}"


def expected_values(tell, trial):
    if tell.answer["state"] == "complete":
        return tell.request.get("values", [tell.request.get("value")])
    points = trial["intermediate_values"]
    is_pruned = tell.answer["state"] == "pruned" and points
    return [points[max(points, key=int)]] if is_pruned else []


def is_possible_reason(case, tell, reason):
    """Its own failure's, or that of the last attempt before it that failed and was tried again: told, or given by studyd for a worker
    that was silent. Of a tell whose answer was lost and whose repetition came when the trial had been handed on, nobody knows whether it was
    applied."""
    if tell.answer["state"] == "fail":
        return reason == reason_of(tell)
    failures = [other for other in case.sent_tells[tell.study, tell.number]
                if "class" in other.request and case.attempt_of(other) < case.attempt_of(tell)]
    sure = max((case.attempt_of(failure) for failure in failures if failure.is_done), default=0)
    silent = SILENT.fullmatch(reason or "")
    if silent:
        return sure < int(silent[1]) < case.attempt_of(tell)
    return (reason is None and not sure) or any(reason == reason_of(failure) and (failure.is_done or failure.tries > 1)
                                                for failure in failures if case.attempt_of(failure) >= sure)


def reason_of(tell):
    return f"{tell.request['class']}: {tell.request['reason']}"


def tells_are_stored(case):
    for tell in case.results():
        trial = case.trial(tell.study, tell.number)
        expected = {"state": tell.answer["state"], "user_attrs": tell.request["user_attrs"],
                    "constraints": tell.request.get("constraints"), "attempt": case.attempt_of(tell)}
        expected["values"] = expected_values(tell, trial) if trial else None
        differing = {key: trial.get(key) for key in expected if trial.get(key) != expected[key]}
        if trial and not is_possible_reason(case, tell, trial["reason"]):
            differing["reason"] = trial["reason"]
        if differing:
            yield f"study {tell.study}: of trial {tell.number} was told {tell.request}, there is {differing}"


def results_were_told(case):
    """What is stored was acknowledged to somebody, or is studyd's own judgement of a trial whose worker was silent."""
    for uid, _, number, trial in case.stored_trials():
        told = {tell.request["user_attrs"]["tell"] for tell in case.tells[uid, number] if is_finishing(tell)}
        is_lost = trial["state"] == "fail" and trial["reason"].startswith("lost: worker") and not trial["user_attrs"] and not told
        is_optunas = not trial["is_ours"] or number in case.foreign.get(uid, {})
        if trial["state"] in FINISHED and not is_optunas and not is_lost and trial["user_attrs"].get("tell") not in told:
            yield f"study {uid}: trial {number} has a result that nobody told: {trial}"


def optunas_trials_are_there(case):
    """Those that it made, and ours that it found waiting."""
    for uid, values in case.foreign.items():
        trials = case.stored[uid]["trials"]
        for number in values.keys() | {number for number, trial in trials.items() if not trial["is_ours"]}:
            if number not in values or case.trial(uid, number).get("values") != [values[number]]:
                yield f"study {uid}: Optuna ran trial {number} with {values.get(number)}, stored is {case.trial(uid, number)}"
            if any(tell.is_done and tell.request["state"] == "complete" for tell in case.sent_tells[uid, number]):
                yield f"study {uid}: trial {number} was told by Optuna and by a client"


def offers_are_stored(case):
    for (uid, number), offers in case.offers.items():
        for offer, _ in offers if case.lives(uid) else []:
            trial = case.trial(uid, number)
            if trial.get("params") != offer["params"]:
                yield f"study {uid}: trial {number} was offered with {offer['params']}, stored with {trial.get('params')}"
            elif trial["attempt"] < offer["attempt"]:
                yield f"study {uid}: trial {number} was offered in attempt {offer['attempt']}, stored is {trial['attempt']}"


def attempts_have_one_lease(case):
    holders, numbers = {}, {}
    for (uid, number), offers in case.offers.items():
        for offer, event in offers:
            holder = offer["lease"], event.request["request_id"]
            if holders.setdefault((uid, number, offer["attempt"]), holder) != holder:
                yield f"study {uid}: attempt {offer['attempt']} of trial {number} was given away twice"
            if numbers.setdefault((uid, offer["lease"]), number) != number:
                yield f"study {uid}: one lease for trials {numbers[uid, offer['lease']]} and {number}"


def by_request(case, op):
    """[events with one request_id, in the order of their answers]"""
    found = collections.defaultdict(list)
    for event in sorted(case.history.of(op), key=lambda event: event.end):
        if "request_id" in event.request:
            found[event.study, event.request["request_id"]].append(event)
    return found.values()


def may_hand_back(tell, is_optunas):
    if is_optunas:
        return tell.request["state"] == "waiting" or "class" in tell.request
    return tell.answer["state"] == "waiting"


def was_handed_on(case, event, offer):
    """Had the offer's trial gone back, or to somebody else, by the time of this event's answer? Optuna takes what waits: whatever else it
    took, its lease had handed back, though the answer may be that it is Optuna's now."""
    place = event.study, offer["number"]
    later = any(other["attempt"] > offer["attempt"] and at.begin < event.end for other, at in case.offers[place])
    is_optunas = offer["number"] in case.foreign.get(event.study, {})
    back = any(tell.request["lease"] == offer["lease"] and tell.begin < event.end and may_hand_back(tell, is_optunas)
               for tell in (case.sent_tells if is_optunas else case.tells)[place])
    return later or back or case.trial(*place).get("attempt", offer["attempt"]) > offer["attempt"]


def repeated_asks_get_the_same(case):
    for first, *others in by_request(case, "ask"):
        before = {offer["lease"]: offer for offer in first.answer.get("trials", [])}
        for event in others if first.is_done else []:
            if event.request != first.request:
                if before and event.problem not in ("request-id-reused", "not-found") and not all(was_handed_on(case, event, offer)
                                                                                                  for offer in before.values()):
                    yield f"study {event.study}: another body with {first.request} got {event.status} {event.answer}"
                continue
            now = {offer["lease"]: offer for offer in event.answer.get("trials", [])} if event.is_done else before
            if now != before and any(before[lease] != now.get(lease) and not was_handed_on(case, event, before[lease]) for lease in before):
                yield f"study {event.study}: {first.request} was given {list(before.values())}, then {list(now.values())}"
            if before and now.keys() - before.keys() and not all(was_handed_on(case, event, offer) for offer in before.values()):
                yield f"study {event.study}: {first.request} was given other trials while it held its own: {list(now.values())}"
            before = now or before


def enqueues_are_applied_once(case):
    owners = {}
    for events in by_request(case, "enqueue"):
        done = [event for event in events if event.is_done and case.lives(event.study)]
        if not done:
            continue
        uid, request, number = done[0].study, done[0].request, done[0].answer["number"]
        if any(event.answer["number"] != number for event in done) or any(event.request != request for event in done):
            yield f"study {uid}: {request} was answered {[event.answer for event in done]}"
        if owners.setdefault((uid, number), request["request_id"]) != request["request_id"]:
            yield f"study {uid}: two requests have brought trial {number}"
        if request["params"].items() > case.trial(uid, number).get("params", {}).items():
            yield f"study {uid}: {request} was to be trial {number}, stored is {case.trial(uid, number)}"
        bearing = [place for place, trial in case.stored.get(uid, {"trials": {}})["trials"].items() if trial["params"].get("x") == request["params"]["x"]]
        if bearing != [number]:
            yield f"study {uid}: {request} is stored as the trials {bearing}"


def superseded_leases_are_refused(case):
    """Who comes back after his trial was handed on changes nothing."""
    for op in ("tell", "report", "heartbeat"):
        for event in case.history.of(op):
            attempt = case.attempt_of(event)
            if event.is_done and attempt and any(offer["attempt"] > attempt and given.end < event.begin
                                                 for offer, given in case.offers[event.study, event.number]):
                yield f"study {event.study}: {op} for attempt {attempt} of trial {event.number} was taken when it had been handed on"


def current_leases_are_not_refused(case):
    for op in ("tell", "report", "heartbeat"):
        for event in case.history.of(op):
            attempt, trial = case.attempt_of(event), case.trial(event.study, event.number)
            if not trial or not attempt or not case.lives(event.study):
                continue
            if event.problem == "lease-superseded" and trial["attempt"] <= attempt:
                yield f"study {event.study}: {op} for attempt {attempt} of trial {event.number}, the last one, got {event.answer}"
            if event.problem == "not-found":
                yield f"study {event.study}: {op} for trial {event.number} got {event.answer}"


def reports_are_stored(case):
    """At the latest with the tell; what a studyd held in memory when it died may be missing. None is made up."""
    firsts, sent = {}, collections.defaultdict(set)
    for event in sorted(case.history.of("report"), key=lambda event: event.end):
        sent[event.study, event.number, str(event.request["step"])].add(event.request["value"])
        if event.is_done:
            firsts.setdefault((event.study, event.number, event.request["lease"], str(event.request["step"])), event)
    for uid, _, number, trial in case.stored_trials():
        for step, value in trial["intermediate_values"].items():
            if trial["is_ours"] and value not in sent[uid, number, step]:
                yield f"study {uid}: trial {number} has {value} at step {step}, which nobody reported"
    tells = {(tell.study, tell.number, tell.request["lease"]): tell for tell in case.results()}
    for (uid, number, lease, step), report in firsts.items():
        tell = tells.get((uid, number, lease))
        if tell is None or report.begin > tell.begin or report.deaths[0] != tell.deaths[1]:
            continue
        if case.trial(uid, number).get("intermediate_values", {}).get(step) != report.request["value"]:
            yield f"study {uid}: trial {number} was told after {report.request}, stored is {case.trial(uid, number)}"


def patches_are_stored(case):
    expected = collections.defaultdict(dict)
    for event in case.acknowledged("patch"):  # one client changes, one by one
        expected[event.study].update(event.request.get("user_attrs", {}))
        if "max_trials" in event.request:
            expected[event.study]["max_trials"] = event.request["max_trials"]
    for uid, values in expected.items():
        study = case.stored.get(uid, {"user_attrs": {}, "max_trials": None})
        found = {key: study["max_trials"] if key == "max_trials" else study["user_attrs"].get(key) for key in values}
        if found != values:
            yield f"study {uid}: of it was asked {values}, stored is {found}"


def studies_come_and_go(case):
    for event in case.history.of("create"):
        if event.is_done and case.lives(event.answer["uid"]) and event.answer["uid"] not in case.stored:
            yield f"study {event.answer['uid']} was created and is not there"
    for uid, deletion in case.deletions.items():
        if deletion.is_done and (uid in case.stored or uid in case.shown):
            yield f"study {uid} was deleted and is there"
        for event in case.history.events:
            if event.is_done and event.answer.get("uid") == uid and deletion.is_done and event.begin > deletion.end and not case.may_be_stale:
                yield f"study {uid} was deleted and was shown afterwards"


def trials_shown(event):
    if event.op == "trial":
        return [event.answer]
    return event.answer["trials"] if event.op in ("page", "best") else []


def reads_show_what_stays(case):
    """What is shown is stored: it is never taken back, and an acknowledged result is shown from then on."""
    told = {}
    for tell in case.results():
        told.setdefault((tell.study, tell.number), tell.end)
    for event in case.history.events:
        for trial in trials_shown(event) if event.is_done and case.lives(event.study) else []:
            end = case.trial(event.study, trial["number"])
            differing = [field for field in state.FIELDS if trial["state"] in FINISHED and trial[field] != end.get(field)]
            if differing or trial["params"].items() > end.get("params", {}).items() or trial["attempt"] > end.get("attempt", 0):
                yield f"study {event.study}: {event.op} showed trial {trial}, stored is {end}"
            elif trial["state"] not in FINISHED and told.get((event.study, trial["number"]), event.begin) < event.begin and not case.may_be_stale:
                yield f"study {event.study}: {event.op} showed trial {trial['number']} as {trial['state']} after its tell was answered"


def reads_go_forward(case):
    latest = {}  # uid -> (end, seq) of the newest answer so far
    for event in sorted(case.history.of("study"), key=lambda event: event.begin):
        if not event.is_done or case.may_be_stale:
            continue
        ends = latest.setdefault(event.study, [])
        seen = max((seq for end, seq in ends if end < event.begin), default=0)
        if event.answer["seq"] < seen:
            yield f"study {event.study} was shown at seq {event.answer['seq']} after {seen}"
        ends.append((event.end, event.answer["seq"]))
        del ends[:-50]


def cursors_miss_nothing(case):
    for uid, trials in case.followed.items():
        for number, trial in case.shown.get(uid, {"trials": {}})["trials"].items():
            found = {field: trials.get(number, {}).get(field) for field in state.FIELDS}
            if found != trial:
                yield f"study {uid}: who followed it has trial {number} as {found}, it is {trial}"


def answers_are_well_formed(case):
    yield from case.history.troubles


RULES = [numbers_are_dense, daemon_shows_what_is_stored, states_are_legal, budgets_are_exact, trials_have_one_result, tells_are_stored,
         results_were_told, optunas_trials_are_there, offers_are_stored, attempts_have_one_lease, repeated_asks_get_the_same, enqueues_are_applied_once,
         superseded_leases_are_refused, current_leases_are_not_refused, reports_are_stored, patches_are_stored, studies_come_and_go,
         reads_show_what_stays, reads_go_forward, cursors_miss_nothing, answers_are_well_formed]


def violations(case):
    return [f"{rule.__name__}: {sentence}" for rule in RULES for sentence in rule(case)]
