# SPDX-License-Identifier: MIT
"""What the real Optuna is made to do, as text for harness.peers.Peer. Each takes study name and storage URL."""

READ = """
import json, sys, optuna
study = optuna.load_study(study_name=sys.argv[1], storage=sys.argv[2])

def seconds(time):
    return time and time.isoformat(timespec="seconds")

print(json.dumps({
    "directions": [direction.name.lower() for direction in study.directions],
    "user_attrs": study.user_attrs,
    "trials": [{
        "number": trial.number,
        "state": trial.state.name.lower(),
        "params": trial.params,
        "distributions": {name: json.loads(optuna.distributions.distribution_to_json(distribution))
                          for name, distribution in trial.distributions.items()},
        "values": trial.values,
        "intermediate_values": trial.intermediate_values,
        "user_attrs": trial.user_attrs,
        "datetime_start": seconds(trial.datetime_start),
        "datetime_complete": seconds(trial.datetime_complete),
    } for trial in study.get_trials()],
}))
"""

# A study with everything that Optuna can put into one.
MAKE = """
import math, sys, optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(study_name=sys.argv[1], storage=sys.argv[2], direction="maximize",
                            sampler=optuna.samplers.RandomSampler(seed=1))
study.set_user_attr("team", "wine")

def ask():
    trial = study.ask({
        "float": FloatDistribution(-1.5, 2.5), "float_log": FloatDistribution(1e-8, 1.0, log=True),
        "float_step": FloatDistribution(0.0, 1.0, step=0.25), "int": IntDistribution(-3, 3),
        "int_log": IntDistribution(1, 1000, log=True), "int_step": IntDistribution(0, 100, step=10),
        "choice": CategoricalDistribution(["gbtree", "\\u65e5\\u672c", None, True, 2, 1.5])})
    trial.set_user_attr("who", f"optuna {trial.number}")
    return trial

for value in (0.1, 1e300, math.inf, -math.inf, -0.0, 5e-324):
    trial = ask()
    for step, point in enumerate((0.5, math.nan, math.inf, -math.inf)):
        trial.report(point, step)
    study.tell(trial, value)
trial = ask()
trial.report(0.25, 3)
study.tell(trial, state=optuna.trial.TrialState.PRUNED)
study.tell(ask(), state=optuna.trial.TrialState.FAIL)
study.tell(ask(), math.nan)
ask()
study.enqueue_trial({"float": 1.25, "choice": None})
"""

# Goes on with a study whose space is {"x": float 0 to 1, "kind": a or b}: argv[3] trials.
CONTINUE = """
import sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name=sys.argv[1], storage=sys.argv[2])

def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    return x + (kind == "b")

study.optimize(objective, n_trials=int(sys.argv[3]))
"""
