# SPDX-License-Identifier: MIT
"""Clients that do whatever the API allows at random, and repeat each request until it is answered, as real ones do."""

import dataclasses
import http.client
import random
import threading
import time

from harness.http_json import Http, path
from soak.history import Event

ANSWER_LIMIT_S = 5  # studyd's own for a change
SLACK_S = 12  # for a machine under load
REFUSED_FOR_NOW = (429, 503)
CHOICES = ["a", "b", None]
SPACE = {"x": {"type": "float", "low": 0, "high": 1e6}, "k": {"type": "int", "low": 1, "high": 9},
         "c": {"type": "categorical", "choices": CHOICES}}


class GaveUp(Exception):
    """There was no answer in the campaign's time."""


@dataclasses.dataclass
class Study:
    name: str
    uid: str
    lease_s: float
    n_directions: int = 1
    has_waiting: bool = True  # trials are enqueued there, handed back, and tried again


@dataclasses.dataclass
class Held:
    """A trial that a client was given."""

    study: Study
    number: int
    lease: str
    step: int = 0


class Client(threading.Thread):
    """Runs `turn()` until the campaign ends, then `finish()`. What fails ends the campaign."""

    def __init__(self, campaign, name):
        super().__init__(daemon=True, name=name)
        self.campaign = campaign
        self.history = campaign.history
        self.random = random.Random(f"{campaign.seed} {name}")
        self.n_failures = 0  # in a row; who has failed tries the next address
        self.https = {}

    def http(self):
        urls = self.campaign.urls
        url = urls[self.n_failures % len(urls)]
        if url not in self.https:
            self.https[url] = Http(url, timeout_s=self.campaign.patience_s)
        return self.https[url]

    def exchange(self, method, target, body):
        """One attempt: (status, answer), or None where there was no answer, or one that says "not now"."""
        wait_s = (body or {}).get("wait_s", 0)
        begin = time.monotonic()
        try:
            response = self.http().request(method, target, body)
            answer = response.json() if response.body else {}
        except (OSError, http.client.HTTPException, ValueError):
            self.history.n_unanswered += 1
            self.n_failures += 1
            time.sleep(0.02)
            return None
        took_s = time.monotonic() - begin
        if took_s > wait_s + ANSWER_LIMIT_S + SLACK_S:
            self.history.troubles.append(f"an answer took {took_s:.1f} s: {method} {target} {response.status}")
        if response.status in REFUSED_FOR_NOW:
            if not response.headers.get("Retry-After"):
                self.history.troubles.append(f"{response.status} without Retry-After: {method} {target}")
            self.history.n_refused_for_now += 1
            self.n_failures += 1
            time.sleep(0.05)
            return None
        self.n_failures = 0 if self.n_failures % len(self.campaign.urls) == 0 else self.n_failures
        if response.status >= 500:
            self.history.troubles.append(f"{response.status}: {method} {target} {answer}")
        return response.status, answer

    def call(self, op, study, method, target, body=None, number=None):
        """Repeats the request until it is answered; the answer is part of the history."""
        event = Event(self.name, op, study.uid if study else "", body or {}, 0, {}, time.monotonic(), 0, number, 0)
        deaths = self.campaign.n_deaths
        while (answered := self.count_try(event, method, target, body)) is None:
            if time.monotonic() > self.campaign.deadline:
                raise GaveUp(f"{self.name}: no answer to {method} {target} {body}")
        event.status, event.answer = answered
        event.end, event.deaths = time.monotonic(), (deaths, self.campaign.n_deaths)
        self.history.add(event)
        return event

    def count_try(self, event, method, target, body):
        event.tries += 1
        return self.exchange(method, target, body)

    def trial_call(self, op, held, body):
        target = path("studies", held.study.name, "trials", held.number, op)
        return self.call(op, held.study, "POST", target, {"lease": held.lease, **body}, held.number)

    def turn(self):
        raise NotImplementedError

    def finish(self):
        pass

    def run(self):
        try:
            while not self.campaign.is_ending:
                self.turn()
            self.finish()
        except Exception as problem:  # shown by the campaign
            self.campaign.problems.append(problem)


class User(Client):
    """Asks, reports and tells, well and badly."""

    WEIGHTS = {"ask": 10, "tell": 9, "report": 8, "heartbeat": 2, "enqueue": 2, "ask_again": 2, "ask_otherwise": 1, "tell_again": 2,
               "tell_otherwise": 1, "enqueue_again": 1, "abandon": 1, "come_back": 2}

    def __init__(self, campaign, name):
        super().__init__(campaign, name)
        self.held, self.abandoned = [], []
        self.asked, self.told, self.enqueued = [], [], []  # what may be repeated

    def turn(self):
        getattr(self, self.random.choices(list(self.WEIGHTS), list(self.WEIGHTS.values()))[0])()

    def pick(self, things, n_last=20):
        return self.random.choice(things[-n_last:]) if things else None

    # ---- asking ----

    def ask(self, study=None, wait_s=None):
        study = study or self.random.choice(self.campaign.studies)
        if len(self.held) >= 8:
            return None
        body = {"worker": self.name, "count": self.random.choice((1, 1, 1, 2, 5)), "request_id": f"a{next(self.history.ids)}",
                "wait_s": wait_s if wait_s is not None else self.random.choice((0, 0, 0.2))}
        event = self.ask_with(study, body)
        self.asked.append((study, body))
        return event

    def ask_with(self, study, body):
        event = self.call("ask", study, "POST", path("studies", study.name, "ask"), body)
        known = {held.lease for held in self.held + self.abandoned}
        for offer in event.answer.get("trials", []):
            if offer["lease"] not in known:
                self.held.append(Held(study, offer["number"], offer["lease"]))
        return event

    def ask_again(self):
        if asked := self.pick(self.asked):
            self.ask_with(*asked)

    def ask_otherwise(self):
        if asked := self.pick(self.asked):
            study, body = asked
            self.ask_with(study, {**body, "count": body["count"] + 1})

    def enqueue(self):
        study = self.random.choice([study for study in self.campaign.studies if study.has_waiting])
        number = next(self.history.ids)
        self.enqueued.append((study, {"params": {"x": number + 0.5}, "request_id": f"e{number}"}))
        self.enqueue_with(*self.enqueued[-1])

    def enqueue_with(self, study, body):
        self.call("enqueue", study, "POST", path("studies", study.name, "enqueue"), body)

    def enqueue_again(self):
        if enqueued := self.pick(self.enqueued):
            study, body = enqueued
            other = {"params": {"x": body["params"]["x"] + 0.25}} if self.random.random() < 0.3 else {}
            self.enqueue_with(study, {**body, **other})

    # ---- while it runs ----

    def report(self):
        held = self.pick([held for held in self.held if held.study.n_directions == 1])
        if not held:
            return
        is_again = held.step and self.random.random() < 0.2
        held.step += not is_again
        if self.trial_call("report", held, {"step": held.step, "value": self.random.random()}).status != 200:
            self.drop(held)

    def heartbeat(self):
        held = self.pick(self.held)
        if held and self.trial_call("heartbeat", held, {}).status != 200:
            self.drop(held)

    def drop(self, held):
        """It is somebody else's, or over; now and then it is told all the same."""
        self.held.remove(held)
        self.abandoned.append(held)

    def abandon(self):
        held = self.pick([held for held in self.held if held.study.lease_s <= 2])
        if held:
            self.drop(held)

    # ---- telling ----

    def outcome(self, study):
        """One that nobody else tells."""
        number = next(self.history.ids)
        state = self.random.choices(("complete", "pruned", "fail", "waiting"), (70, 10, 15, 5 * study.has_waiting))[0]
        body = {"state": state}
        if state == "complete":
            values = [number + self.random.random() for _ in range(study.n_directions)]
            body.update({"values": values} if len(values) > 1 else {"value": values[0]})
        if state == "fail":
            classes = ("objective", "nan") + ("oom", "timeout", "killed", "lost") * study.has_waiting
            body.update({"class": self.random.choice(classes), "reason": f"r{number}"})
        if state != "waiting":
            body["user_attrs"] = {"tell": number}
        if state == "complete" and self.random.random() < 0.1:
            body["constraints"] = [self.random.random() - 0.5]
        return body

    def tell(self, held=None):
        held = held or self.pick(self.held)
        if not held:
            return
        self.held.remove(held)
        self.told.append((held, self.outcome(held.study)))
        self.trial_call("tell", *self.told[-1])

    def tell_again(self):
        if told := self.pick(self.told):
            self.trial_call("tell", *told)

    def tell_otherwise(self):
        if told := self.pick(self.told):
            self.trial_call("tell", told[0], self.outcome(told[0].study))

    def come_back(self):
        """Like one that was frozen past its lease."""
        if self.abandoned:
            held = self.abandoned.pop(0)
            self.told.append((held, self.outcome(held.study)))
            self.trial_call("tell", *self.told[-1])

    # ---- the end ----

    def finish(self):
        """Nothing may stay open: everybody tells what he holds, and runs what is left."""
        while self.abandoned:
            self.come_back()
        for study in self.campaign.studies:
            while True:
                for held in list(self.held):
                    self.tell(held)
                event = self.ask(study, wait_s=1)
                if not event.is_done or event.answer["state"] == "finished":
                    break


class Admin(Client):
    """Pauses, resumes, raises budgets, sets attributes; makes studies and deletes them."""

    WEIGHTS = {"pause": 2, "resume": 4, "raise_budget": 4, "set_attribute": 4, "make": 2, "delete": 2, "use": 4}

    def __init__(self, campaign, name):
        super().__init__(campaign, name)
        self.own = []  # studies that nobody else uses
        self.budgets = {study.uid: campaign.max_trials for study in campaign.studies}
        self.paused = []

    def turn(self):
        getattr(self, self.random.choices(list(self.WEIGHTS), list(self.WEIGHTS.values()))[0])()
        time.sleep(0.02)

    def patch(self, study, body):
        return self.call("patch", study, "PATCH", path("studies", study.name), body)

    def pause(self):
        study = self.random.choice(self.campaign.studies)
        if not self.paused and self.patch(study, {"state": "paused"}).is_done:
            self.paused.append(study)

    def resume(self):
        while self.paused:
            self.patch(self.paused[-1], {"state": "running"})
            self.paused.pop()

    def raise_budget(self):
        study = self.random.choice(self.campaign.studies)
        self.budgets[study.uid] += self.random.randrange(1, 2 * self.campaign.max_trials)
        self.patch(study, {"max_trials": self.budgets[study.uid]})

    def set_attribute(self):
        study = self.random.choice(self.campaign.studies)
        number = next(self.history.ids)
        self.patch(study, {"user_attrs": {f"key{number % 7}": number}})

    def make(self):
        """Sometimes under a name that was deleted before."""
        if len(self.own) < 3:
            free = {f"own{index}" for index in range(5)} - {study.name for study in self.own}
            self.own.append(self.campaign.create(self.random.choice(sorted(free)), client=self))

    def use(self, study=None, wait_s=0):
        """What nobody but this client does there."""
        study = study or (self.random.choice(self.own) if self.own else None)
        if study is None:
            return
        body = {"worker": self.name, "request_id": f"a{next(self.history.ids)}", "wait_s": wait_s}
        event = self.call("ask", study, "POST", path("studies", study.name, "ask"), body)
        for offer in event.answer.get("trials", []):
            number = next(self.history.ids)
            self.trial_call("tell", Held(study, offer["number"], offer["lease"]),
                            {"state": "complete", "value": float(number), "user_attrs": {"tell": number}})

    def delete(self):
        if self.own:
            study = self.own.pop(self.random.randrange(len(self.own)))
            self.call("delete", study, "DELETE", path("studies", study.name) + "?force=true")

    def finish(self):
        """A request that came once more when its study had been made anew may have left a trial there that nobody runs."""
        self.resume()
        for study in self.own:
            while self.call("study", study, "GET", path("studies", study.name)).answer["counts"]["running"]:
                self.use(study, wait_s=1)


class Reader(Client):
    """Looks at whatever there is. It counts its answers, so that others can see that reads go on."""

    def __init__(self, campaign, name):
        super().__init__(campaign, name)
        self.n_answers = 0

    def turn(self):
        study = self.random.choice(self.campaign.studies)
        what = self.random.choice(("study", "study", "best", "trial"))
        if what == "trial":
            event = self.read("trial", study, path("studies", study.name, "trials", self.random.randrange(200)))
        else:
            event = self.read(what, study, path("studies", study.name, *(["best"] if what == "best" else [])))
        self.n_answers += event is not None and event.is_done
        time.sleep(0.02)

    def read(self, op, study, target):
        """Reads are not repeated: 503 is an answer to a trial's details while the database is away."""
        begin = time.monotonic()
        answered = self.exchange("GET", target, None)
        if answered is None:
            return None
        event = Event(self.name, op, study.uid, {}, *answered, begin, time.monotonic())
        self.history.add(event)
        return event


class Follower(Client):
    """Follows a study by its cursor; what it has at the end must be what there is."""

    def __init__(self, campaign, name, study):
        super().__init__(campaign, name)
        self.study, self.cursor, self.trials = study, 0, {}

    def page(self):
        target = path("studies", self.study.name, "trials") + f"?since={self.cursor}&limit={self.random.choice((1, 7, 1000))}"
        answer = self.call("page", self.study, "GET", target).answer
        self.cursor = answer["next"]
        for trial in answer["trials"]:
            self.trials[trial["number"]] = trial
        return answer["trials"]

    def turn(self):
        self.page()
        time.sleep(0.05)

    def catch_up(self):
        """After all others have ended."""
        while self.page():
            pass
