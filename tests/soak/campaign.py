# SPDX-License-Identifier: MIT
"""One campaign: studyd on a database, clients that do what they like, faults meanwhile, and the check afterwards."""

import random
import time

from harness.child import wait_until
from harness.http_json import path
from soak import checker, state
from soak.clients import SPACE, Admin, Follower, Reader, Study, User
from soak.history import History
from soak.proxy import BadNetwork
from soak.stage import Stage

# The studies that all clients use: name, lease_s, and what else their specs say.
STUDIES = (("steady", 3, {}), ("hasty", 1, {"retries": 1000}), ("brittle", 1, {"retries": 1}), ("model", 3, {"sampler": {"type": "tpe", "seed": 2}}),
           ("pair", 2, {"directions": ["minimize", "maximize"]}))


class Campaign(Stage):
    def __init__(self, directory, store, n_users=6, n_studyds=1, has_bad_network=False, seed=None, limit_s=600, max_trials=100, patience_s=10,
                 may_be_stale=False, has_waiting=True):
        super().__init__(directory, store, n_studyds)
        self.seed = seed if seed is not None else random.SystemRandom().randrange(10**6)
        self.random = random.Random(self.seed)
        self.history = History()
        self.problems = []
        self.is_ending = False
        self.deadline = time.monotonic() + limit_s
        self.max_trials, self.patience_s, self.may_be_stale = max_trials, patience_s, may_be_stale
        self.has_waiting = has_waiting  # in the first study
        self.n_database_faults = 0
        self.n_users = n_users
        self.clients, self.networks = [], []
        self.foreign = {}  # what Optuna says of trials that it ran: {uid: {number: value}}
        if has_bad_network:
            self.networks = [BadNetwork(("127.0.0.1", port), self.seed) for port in self.ports]
        self.urls = [network.url for network in self.networks] or [f"http://127.0.0.1:{port}" for port in self.ports]

    # ---- the beginning ----

    def create(self, name, client, **spec):
        """Through a client, as all changes go. The name is free."""
        body = {"name": name, "space": SPACE, "sampler": {"type": "random", "seed": 1}, "lease_s": 3, "max_trials": self.max_trials, **spec}
        event = client.call("create", None, "POST", "/v1/studies", body)
        if event.problem == "exists" and event.tries > 1:  # the first answer was lost
            event.answer, event.status = client.call("study", None, "GET", f"/v1/studies/{name}").answer, 201
        assert event.is_done, event
        return Study(name, event.answer["uid"], body["lease_s"], len(body.get("directions", [1])))

    def begin(self):
        self.begin_studyds()
        self.studies = []
        admin = Admin(self, "admin0")
        self.studies += [self.create(name, admin, lease_s=lease_s, **spec) for name, lease_s, spec in STUDIES]
        self.studies[0].has_waiting = self.has_waiting
        admin.budgets = {study.uid: self.max_trials for study in self.studies}
        self.reader = Reader(self, "reader")
        self.followers = [Follower(self, f"follower of {study.name}", study) for study in self.studies]
        self.clients = [User(self, f"user{index}") for index in range(self.n_users)] + [admin, self.reader] + self.followers
        for client in self.clients:
            client.start()
        return self

    # ---- the course ----

    def fail_on_problems(self):
        if self.problems:
            raise self.problems[0]
        assert time.monotonic() < self.deadline, "the campaign has run out of time"

    def go_on(self, n_changes):
        """Until so many more changes are answered."""
        until = self.history.n_changes + n_changes
        wait_until(f"{n_changes} more answers", lambda: self.problems or self.history.n_changes >= until, 90)
        self.fail_on_problems()

    def go_on_a_little(self):
        self.go_on(self.random.randrange(1, 120))

    def freeze_studyd(self):
        with self.frozen_owner():
            self.go_on_a_little()

    def expect_refusals(self):
        """The database cannot be written just now: changes are refused soon, and reads go on."""
        self.n_database_faults += 1
        refused, read = self.history.n_refused_for_now, self.reader.n_answers
        wait_until("a change that is refused", lambda: self.problems or self.history.n_refused_for_now > refused, 20)
        wait_until("reads", lambda: self.problems or self.reader.n_answers > read + 3, 20)
        self.fail_on_problems()

    def kill_database(self, mariadb):
        """When it is back, another one may be the first to own it."""
        mariadb.kill()
        self.n_deaths += len(self.studyds) > 1
        self.expect_refusals()
        mariadb.start()
        self.wait_until_served()
        self.go_on(1)

    def fill_disk(self, disk):
        disk.fill()
        self.expect_refusals()
        disk.empty()
        self.go_on(1)

    # ---- the end ----

    def is_all_seen(self):
        """Has studyd looked since? Readers make it look, every 2 s."""
        stored = {(name, state.lower()): int(n) for name, state, n in self.store.query(
            "SELECT study_name, state, COUNT(*) FROM trials JOIN studies USING (study_id) GROUP BY study_name, state")}
        shown = {(study["name"], state): n for study in self.wait_until_served().http.get(path("studies"))["studies"]
                 for state, n in study["counts"].items() if n}
        for name, _ in stored:
            self.wait_until_served().show(name)
        return shown == stored

    def check_case(self):
        """Lets all finish what they hold; then everything stands still, and is compared."""
        self.is_ending = True
        users = [client for client in self.clients if client not in self.followers]
        for client in users:
            client.join(max(1.0, self.deadline - time.monotonic()))
            assert self.problems or not client.is_alive(), f"{client.name} has not ended"
        self.fail_on_problems()
        if self.foreign:
            wait_until("what Optuna did last to be seen", self.is_all_seen, 30)
        for follower in self.followers:
            follower.join(30)
            follower.catch_up()
        for network in self.networks:
            network.close()
        studyd = self.wait_until_served()
        wait_until("deleted studies to go", lambda: self.store.query("SELECT COUNT(*) FROM studyd_studies WHERE state = 'deleted'") == [["0"]], 60)
        return checker.Case(self.history, state.from_database(self.store), state.from_daemon(studyd),
                            {follower.study.uid: follower.trials for follower in self.followers}, self.may_be_stale, self.foreign)

    def violations(self):
        self.case = self.check_case()
        return checker.violations(self.case)

    def stop(self):
        """Whatever happened: nothing is left running, and the logs are looked at."""
        self.is_ending = True
        self.deadline = 0
        super().stop()

    def counts(self):
        history = self.history
        return {**super().counts(), "answered": history.n_changes, "acknowledged": history.n_acknowledged, "repeated": history.n_repeated,
                "network faults": sum(network.n_faults for network in self.networks), "database faults": self.n_database_faults}
