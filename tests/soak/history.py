# SPDX-License-Identifier: MIT
"""What was asked of studyd and what it answered, as the clients saw it."""

import dataclasses
import itertools
import threading


@dataclasses.dataclass
class Event:
    """One request with its final answer; those that got none, or 503 or 429, were repeated as they are until there was one."""

    client: str
    op: str  # create, delete, patch, ask, enqueue, report, heartbeat, tell; reads: trial, study, page, best
    study: str  # its uid
    request: dict
    status: int
    answer: dict
    begin: float  # when it was first sent
    end: float  # when the answer was there
    number: int = None  # of the trial
    tries: int = 1
    deaths: tuple = (0, 0)  # how often a studyd had died at the beginning, and at the end

    @property
    def is_done(self):
        return self.status < 300

    @property
    def problem(self):
        return self.answer.get("type", "").removeprefix("urn:studyd:") if self.status >= 400 else ""


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.events = []
        self.ids = itertools.count(1)  # for request_ids, values and outcomes that are each there once
        self.troubles = []  # what is wrong whatever the end is: an answer that took too long, a 503 without Retry-After
        self.n_sent = self.n_repeated = self.n_refused_for_now = self.n_unanswered = 0

    def add(self, event):
        with self.lock:
            self.events.append(event)
            self.n_sent += event.tries
            self.n_repeated += event.tries - 1

    def of(self, op, study=None):
        return [event for event in self.events if event.op == op and study in (None, event.study)]

    @property
    def n_changes(self):
        return sum(event.op not in READS for event in self.events)

    @property
    def n_acknowledged(self):
        return sum(event.is_done and event.op not in READS for event in self.events)


READS = ("trial", "study", "page", "best")
