# SPDX-License-Identifier: MIT
"""Optuna works on a database while studyd serves it: what comes, changes and goes there is seen here."""

from harness import child
from harness.http_json import path
from harness.optuna_scripts import CONTINUE

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
