# SPDX-License-Identifier: MIT
"""One of the peer's two processes: Optuna + PyMySQL + Python XGBoost, half of the trials, as the seed's notebook has it.

    peer.py STUDY STORAGE SPEC CSV TRIALS     says in JSON: seconds in training, and when the first round had been boosted
"""

import json
import sys
import time

import numpy
import optuna
import xgboost

name, storage, spec_path, csv_path, n_trials = sys.argv[1:]
with open(spec_path, encoding="utf-8") as file:
    spec = json.load(file)
objective_spec = spec["objective"]
optuna.logging.set_verbosity(optuna.logging.ERROR)

with open(csv_path, encoding="utf-8") as file:
    names = [field.strip('"\n') for field in next(file).split(objective_spec["delimiter"])]
    table = numpy.loadtxt(file, delimiter=objective_spec["delimiter"], dtype=numpy.float32)
label = names.index(objective_spec["label"])
order = numpy.random.default_rng(objective_spec["split_seed"]).permutation(len(table))
n_test = round(len(table) * objective_spec["test_size"])
test, train = table[order[:n_test]], table[order[n_test:]]
train_x, train_y = numpy.delete(train, label, axis=1), train[:, label]
test_x, test_y = numpy.delete(test, label, axis=1), test[:, label]

train_s = 0.0
first_round_at = None


class FirstRound(xgboost.callback.TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        global first_round_at
        first_round_at = first_round_at or time.time()
        return False


def objective(trial):
    global train_s
    params = dict(objective_spec["params"])
    for key, range_ in spec["space"].items():
        if range_["type"] == "int":
            params[key] = trial.suggest_int(key, range_["low"], range_["high"])
        else:
            params[key] = trial.suggest_float(key, range_["low"], range_["high"], log=range_.get("log", False))
    rounds = params.pop("n_estimators")
    matrix = xgboost.QuantileDMatrix(train_x, train_y, nthread=1)
    validation = xgboost.QuantileDMatrix(test_x, test_y, ref=matrix, nthread=1)
    begin = time.perf_counter() # evaluated each round, as ours is: the same work
    booster = xgboost.train(params, matrix, rounds, evals=[(validation, "validation")], verbose_eval=False,
                            callbacks=[] if first_round_at else [FirstRound()])
    train_s += time.perf_counter() - begin
    return float(numpy.sqrt(numpy.mean((booster.inplace_predict(test_x) - test_y) ** 2)))


study = optuna.load_study(study_name=name, storage=storage,
                          sampler=optuna.samplers.TPESampler(seed=spec["sampler"]["seed"]))
study.optimize(objective, n_trials=int(n_trials))
print(json.dumps({"train_s": train_s, "first_round_at": first_round_at}))
