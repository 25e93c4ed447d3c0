#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Time of one TPE ask, ours (tests/bench/sampler/ask.c) and Optuna 5's with an in-memory study, in one run: 6 and 20
parameters, 100, 1,000 and 10,000 finished trials, medians. On TPE's own history Optuna's time is that of the uniform
one: it does not depend on the values."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
N_TRIALS = (100, 1000, 10000)
N_PARAMS = (6, 20)

# Medians in microseconds, one line a history; a trial is told before the next is asked for.
OPTUNA = """
import json, random, statistics, sys, time, optuna
from optuna.distributions import FloatDistribution
optuna.logging.set_verbosity(optuna.logging.ERROR)
n_params, rng = int(sys.argv[1]), random.Random(1)
space = {f"x{index}": FloatDistribution(0, 1) for index in range(n_params)}
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
for n_trials in map(int, sys.argv[2:]):
    missing = n_trials - len(study.get_trials(deepcopy=False))
    study.add_trials([optuna.trial.create_trial(params=params, distributions=space,
                                                value=sum((v - 0.3) ** 2 for v in params.values()))
                      for params in ({name: rng.random() for name in space} for _ in range(missing))])
    times = []
    for _ in range(8):
        begin = time.perf_counter()
        trial = study.ask()
        value = sum((trial.suggest_float(name, 0, 1) - 0.3) ** 2 for name in space)
        times.append(time.perf_counter() - begin)
        study.tell(trial, value)
    print(json.dumps({"trials": n_trials, "median_us": 1e6 * statistics.median(times[1:])}), flush=True)
"""


def run(command):
    """What it says, a JSON object a line, by number of trials."""
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    return {line["trials"]: line for line in map(json.loads, said.splitlines())}


def ours(build, n_params, history):
    return run([build / "tests" / "bench" / "ask", str(n_params), history, *map(str, N_TRIALS)])


def optunas(python, n_params):
    if not python.exists():
        print("Optuna is not there: scripts/make-peers could not reach PyPI", file=sys.stderr)
        return {}
    return run([python, "-W", "ignore", "-c", OPTUNA, str(n_params), *map(str, N_TRIALS)])


def row(label, n_params, n_trials, mine, peer):
    times_us = f"{mine['median_us']:.0f} | {mine['p99_us']:.0f} | {mine['baseline_us']:.0f}"
    if not peer:
        return f"| {n_params} | {n_trials} | {label} | {times_us} | - | - |"
    return (f"| {n_params} | {n_trials} | {label} | {times_us} | {peer['median_us']:.0f} | "
            f"{peer['median_us'] / mine['median_us']:.0f} |")


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build")
    python = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / ".venv" / "optuna5" / "bin" / "python")
    print("| parameters | trials | history | studyd, µs | p99 | without AVX2 | Optuna 5, µs | times Optuna |")
    print("|---|---|---|---|---|---|---|---|")
    for n_params in N_PARAMS:
        peers = optunas(python, n_params)
        for history in ("uniform", "own"):
            mine = ours(build, n_params, history)
            for n_trials in N_TRIALS:
                print(row(history, n_params, n_trials, mine[n_trials], peers.get(n_trials)), flush=True)


main()
