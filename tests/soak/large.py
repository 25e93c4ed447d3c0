# SPDX-License-Identifier: MIT
"""How long nobody serves after a kill -9 of a studyd with a large database: with a standby, and without."""

from soak.stage import Stage

N_TRIALS = 100_000
LIMIT_S = 5
SPEC = {"name": "s", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random", "seed": 1}}
COPIES = {  # a told trial's rows: table, what counts up with the trials, and the rest
    "trials": (["trial_id", "number"], "study_id, state, datetime_start, datetime_complete"),
    "trial_params": (["trial_id"], "param_name, param_value, distribution_json"),
    "trial_values": (["trial_id"], "objective, value, value_type"),
    "studyd_trials": (["trial_id"], "uid, attempt, retries, lease, worker, request, sampled_seq, asked_seq, finished_seq, outcome, params"),
}


def fill(store, studyd):
    """A study with many told trials: one, and then twice as many again and again."""
    studyd.create(SPEC)
    trial = studyd.ask_one("s")
    studyd.tell("s", 0, trial["lease"], 0.5)
    studyd.stop()
    first = int(store.query("SELECT trial_id FROM trials")[0][0])
    n_trials = 1
    while n_trials < N_TRIALS:
        for table, (counting, rest) in COPIES.items():
            later = ", ".join(f"{column} + {n_trials}" for column in counting)
            store.execute(f"INSERT INTO {table} ({', '.join(counting)}, {rest}) SELECT {later}, {rest} FROM {table} "
                          f"WHERE trial_id < {first + N_TRIALS - n_trials}")
        n_trials = min(2 * n_trials, N_TRIALS)


class Large(Stage):
    def begin(self):
        fill(self.store, self.studyds[0].start())
        self.begin_studyds()
        return self

    def go_on(self, n_trials):
        """What was there is there, and it goes on."""
        studyd = self.wait_until_served()
        found = []
        if sum(studyd.show("s")["counts"].values()) != n_trials:
            found.append(f"{n_trials} trials are wanted: {studyd.show('s')['counts']}")
        trial = studyd.ask_one("s")
        if trial["number"] != n_trials or studyd.tell("s", n_trials, trial["lease"], 0.25)["state"] != "complete":
            found.append(f"after {n_trials} trials there came {trial}")
        return found

    def violations(self, n_rounds):
        """In each the owner is killed, once with a standby and once without."""
        found = []
        for index in range(n_rounds):
            self.kill_studyd()
            found += self.go_on(N_TRIALS + 2 * index)
            waiting = next(studyd for studyd in self.studyds if not self.serves(studyd))
            waiting.stop()
            self.studyds.remove(waiting)
            self.kill_studyd()
            found += self.go_on(N_TRIALS + 2 * index + 1)
            self.studyds.append(waiting.start())
        for what, took_s in (("a fail-over", self.slowest_failover_s), ("a restart", self.slowest_restart_s)):
            if took_s > LIMIT_S:
                found.append(f"{what} took {took_s:.1f} s")
        return found
