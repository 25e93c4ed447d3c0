# SPDX-License-Identifier: MIT
"""The seed of every Optuna tutorial, as a runner: conf/studies/quadratic.json is its study."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "worker"))
from study_runner import run


def objective(trial):
    x = trial.suggest_float("x", -100, 100)
    y = trial.suggest_float("y", -100, 100)
    return (x - 2) ** 2 + (y - 3) ** 2


if __name__ == "__main__":
    run(objective)
