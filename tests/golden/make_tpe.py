# SPDX-License-Identifier: MIT
"""Writes tpe.json: what the real Optuna 5.0.0's TPE makes of studies that tests/unit/test_tpe_golden.c gives to ours.

    .venv/optuna5/bin/python -W ignore tests/golden/make_tpe.py

For each study: who is on which side of the split, and the weights, means, bandwidths and log densities of both
mixtures. Optuna sorts observations with NumPy's default argsort, which orders ties as the CPU likes; here it is told to
keep them in the order of trial numbers, which is ours.
"""

import json
import math
import pathlib
import random

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe import parzen_estimator
from optuna.trial import TrialState, create_trial

assert optuna.__version__ == "5.0.0"
optuna.logging.set_verbosity(optuna.logging.ERROR)
N_POINTS = 30
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "fail": TrialState.FAIL,
          "running": TrialState.RUNNING}


class StableNumpy:
    """numpy, but for argsort."""

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def argsort(values):
        return np.argsort(values, kind="stable")


parzen_estimator.np = StableNumpy()


class RecordingSampler(optuna.samplers.TPESampler):
    """Keeps the estimators that it builds, and which trials are in them."""

    def __init__(self, **options):
        super().__init__(**options)
        self.built = []

    def _build_parzen_estimator(self, study, search_space, trials, handle_below):
        estimator = super()._build_parzen_estimator(study, search_space, trials, handle_below)
        numbers = [t.number for t in trials if search_space.keys() <= t.params.keys()]
        self.built.append((numbers, estimator))
        return estimator


def distribution(space):
    kind = {k: v for k, v in space.items() if k != "type"}
    return {"float": FloatDistribution, "int": IntDistribution, "categorical": CategoricalDistribution}[space["type"]](
        **kind)


def draw(rng, space):
    """A random value; a few favourite ones come up often, so that there are ties."""
    if space["type"] == "categorical":
        return rng.choice(space["choices"])
    low, high, step = space["low"], space["high"], space.get("step")
    if step:
        return low + step * rng.randint(0, round((high - low) / step))
    if rng.random() < 0.2:
        return rng.choice([low, high])
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if space.get("log") else rng.uniform(low, high)
    return round(value) if space["type"] == "int" else value


def make_trials(rng, space, states, missing=0.0):
    """One trial for each state named, with values, reports and constraints of all sorts."""
    trials = []
    for state in states:
        params = {name: draw(rng, d) for name, d in space.items() if rng.random() >= missing}
        trial = {"state": state, "params": params}
        if state == "complete":
            trial["value"] = rng.choice([rng.gauss(0, 1), rng.gauss(0, 1), 0.5, -0.0, math.inf, -math.inf])
        if state == "pruned" and rng.random() < 0.8:
            trial["last_step"] = rng.randint(0, 3)
            trial["last_value"] = rng.choice([rng.gauss(0, 1), 0.25, math.nan, math.inf])
        if state in ("complete", "pruned") and rng.random() < 0.1:
            trial["violation"] = rng.choice([0.5, rng.random()])
        trials.append(trial)
    return trials


def add_trial(study, trial, distributions):
    reports = {trial["last_step"]: trial["last_value"]} if "last_step" in trial else {}
    attrs = {"constraints": [trial["violation"], -1.0]} if "violation" in trial else {}
    study.add_trial(create_trial(
        state=STATES[trial["state"]], value=trial.get("value"), params=trial["params"],
        distributions={name: distributions[name] for name in trial["params"]}, intermediate_values=reports,
        system_attrs=attrs))


def describe(numbers, estimator, space, points):
    mixture = estimator._mixture_distribution
    internal = {name: np.array([distribution(space[name]).to_internal_repr(p[name]) for p in points])
                for name in estimator._search_space}
    return {
        "numbers": numbers,
        "weights": mixture.weights.tolist(),
        "mu": {n: d.mu.tolist() for n, d in zip(internal, mixture.distributions) if hasattr(d, "mu")},
        "sigma": {n: d.sigma.tolist() for n, d in zip(internal, mixture.distributions) if hasattr(d, "mu")},
        "log_density": estimator.log_pdf(internal).tolist(),
    }


def make_case(name, space, states, seed, direction="minimize", missing=0.0, **options):
    rng = random.Random(seed)
    trials = make_trials(rng, space, states, missing)
    points = [{name: draw(rng, d) for name, d in space.items()} for _ in range(N_POINTS)]
    distributions = {name: distribution(d) for name, d in space.items()}
    sampler = RecordingSampler(n_startup_trials=0, seed=1, **options)
    study = optuna.create_study(direction=direction, sampler=sampler)
    for trial in trials:
        add_trial(study, trial, distributions)
    asked = optuna.trial.FrozenTrial(len(trials), TrialState.RUNNING, None, None, None, {}, {}, {}, {}, {}, -1)
    together = options.get("multivariate", True)
    subspaces = [distributions] if together else [{n: d} for n, d in distributions.items()]
    estimators = []
    for subspace in subspaces:
        sampler.built.clear()
        sampler._sample(study, asked, subspace)
        below, above = (describe(*built, space, points) for built in sampler.built)
        estimators.append({"below": below, "above": above})
    return {"name": name, "direction": direction, "space": space, "options": options, "trials": trials,
            "points": points, "estimators": estimators}


FLOAT = {"type": "float", "low": -2.0, "high": 3.0}
LOG = {"type": "float", "low": 1e-5, "high": 10.0, "log": True}
STEP = {"type": "float", "low": 0.0, "high": 2.5, "step": 0.25}
INT = {"type": "int", "low": -3, "high": 12}
INT_STEP = {"type": "int", "low": 1, "high": 31, "step": 3}
INT_LOG = {"type": "int", "low": 1, "high": 1000, "log": True}
INT_WIDE = {"type": "int", "low": 0, "high": 1000000}  # Optuna loses the digits of narrower cells
CHOICE = {"type": "categorical", "choices": ["a", "b", "c"]}
BOOL = {"type": "categorical", "choices": [False, True]}
ALL = {"float": FLOAT, "log": LOG, "step": STEP, "int": INT, "int_step": INT_STEP, "int_log": INT_LOG, "choice": CHOICE,
       "bool": BOOL}


def mixed_states(seed, n):
    rng = random.Random(seed)
    return rng.choices(list(STATES), weights=[12, 3, 1, 1], k=n)


CASES = [
    make_case("no trial yet", {"x": FLOAT, "c": CHOICE}, [], 1),
    make_case("one trial", {"x": FLOAT, "n": INT, "c": CHOICE}, ["complete"], 2),
    make_case("two trials", {"x": FLOAT, "n": INT}, ["complete"] * 2, 3),
    make_case("continuous", {"x": FLOAT, "y": FLOAT}, ["complete"] * 30, 4),
    make_case("the ramp's first step", {"x": FLOAT, "y": LOG}, ["complete"] * 29, 5),
    make_case("the ramp's second step", {"x": FLOAT, "y": LOG}, ["complete"] * 30, 6),
    make_case("least bandwidth", {"x": FLOAT, "y": LOG}, ["complete"] * 125, 7),
    make_case("steps with ties", {"n": INT, "m": INT_STEP, "s": STEP}, ["complete"] * 60, 8),
    make_case("many on few values", {"n": {"type": "int", "low": 1, "high": 4}, "s": STEP}, ["complete"] * 90, 9),
    make_case("int on a log scale", {"n": INT_LOG}, ["complete"] * 50, 10),
    make_case("a million cells", {"n": INT_WIDE}, ["complete"] * 30, 11),
    make_case("categorical", {"c": CHOICE, "b": BOOL}, ["complete"] * 40, 12),
    make_case("all kinds and states", ALL, mixed_states(13, 110), 13),
    make_case("all kinds and states, maximized", ALL, mixed_states(14, 60), 14, direction="maximize"),
    make_case("pruned and infeasible only", {"x": FLOAT}, ["pruned"] * 45, 15),
    make_case("each parameter alone", ALL, mixed_states(16, 40), 16, multivariate=False),
    make_case("missing parameters", {"x": FLOAT, "c": CHOICE}, mixed_states(17, 60), 17, missing=0.3),
    make_case("running trials do not count", {"x": FLOAT}, mixed_states(18, 60), 18, constant_liar=False),
    make_case("a light prior", {"x": FLOAT, "n": INT, "c": CHOICE}, ["complete"] * 30, 19, prior_weight=0.25),
]
pathlib.Path(__file__).with_name("tpe.json").write_text(
    "[" + ",\n".join(json.dumps(case) for case in CASES).replace("NaN", '"NaN"').replace("-Infinity", '"-Infinity"')
    .replace(" Infinity", ' "Infinity"') + "]\n", encoding="utf-8")
