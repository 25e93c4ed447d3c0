#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The wine job, 100 trials on MariaDB, two slots of one thread: studyd and study-worker against two processes of Optuna +
PyMySQL + Python XGBoost, in the same run, with the same libxgboost. Wall time is over pure training time: the seconds in
boosting, divided by the two slots. Medians of three runs."""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from harness import child
from harness.stores import Mariadb
from harness.studyd import Studyd, Worker

RUNS = 3
SLOTS = 2
SPEC = ROOT / "conf" / "studies" / "wine.json"
PEER = ROOT / "tests" / "bench" / "stack" / "peer.py"


def run_peer(python, store, csv):
    """Wall time, training time, time from start to the first boosted round: a process each, half of the trials each."""
    make = "import sys, optuna; optuna.create_study(study_name=sys.argv[1], storage=sys.argv[2])"
    subprocess.run([python, "-W", "ignore", "-c", make, "wine", store.optuna_url], stderr=subprocess.DEVNULL, check=True)
    trials = json.loads(SPEC.read_text())["max_trials"] // SLOTS
    begin, begin_at = time.monotonic(), time.time()
    processes = [subprocess.Popen([python, "-W", "ignore", PEER, "wine", store.optuna_url, SPEC, csv, str(trials)],
                                  stdout=subprocess.PIPE, text=True, preexec_fn=child.die_with_parent)
                 for _ in range(SLOTS)]
    said = [json.loads(process.communicate()[0]) for process in processes]
    wall_s = time.monotonic() - begin
    first_s = min(each["first_round_at"] for each in said) - begin_at
    return wall_s, sum(each["train_s"] for each in said), first_s


def start_ours(directory, studyd, study, csv, library):
    worker = Worker(directory, studyd.url, "--study", study, "--slots", str(SLOTS), "--gpus", "none",
                    "--data", f"wine={csv}", "--libxgboost", library, "--exit-when-finished")
    worker.start()
    return worker


def first_round_s(directory, studyd, csv, library):
    """From a worker's start until a trial of a single round is complete: its first round ended before that."""
    spec = json.loads(SPEC.read_text())
    spec["space"]["n_estimators"] = {"type": "int", "low": 1, "high": 1}
    studyd.create({**spec, "name": "first", "max_trials": 1})
    begin = time.monotonic()
    worker = start_ours(directory, studyd, "first", csv, library)
    child.wait_until("the first round", lambda: studyd.show("first")["counts"]["complete"] == 1)
    first_s = time.monotonic() - begin
    assert worker.wait() == 0, worker.log()
    return first_s


def run_ours(directory, studyd, csv, library):
    """The same of a study-worker with two slots."""
    first_s = first_round_s(directory, studyd, csv, library)
    studyd.create(json.loads(SPEC.read_text()))
    begin = time.monotonic()
    worker = start_ours(directory, studyd, "wine", csv, library)
    assert worker.wait(600) == 0, worker.log()
    wall_s = time.monotonic() - begin
    trials = studyd.trials("wine")
    assert all(trial["state"] == "complete" for trial in trials), "a trial is not complete"
    return wall_s, sum(trial["user_attrs"]["train_s"] for trial in trials), first_s


def row(label, runs):
    ratios = [wall_s / (train_s / SLOTS) for wall_s, train_s, _ in runs]
    return (statistics.median(ratios), statistics.median(first_s for _, _, first_s in runs),
            f"| {label} | {statistics.median(wall_s for wall_s, _, _ in runs):.2f} s "
            f"| {statistics.median(train_s for _, train_s, _ in runs) / SLOTS:.2f} s "
            f"| {statistics.median(ratios):.3f} ({', '.join(f'{ratio:.3f}' for ratio in ratios)}) "
            f"| {1000 * statistics.median(first_s for _, _, first_s in runs):.0f} ms |")


def main():
    python = ROOT / ".venv" / "xgboost" / "bin" / "python"
    if not python.exists():
        sys.exit("stack: .venv/xgboost is not there: scripts/make-peers xgboost could not reach PyPI")
    library = subprocess.run([python, "-c", "import xgboost; print(xgboost.libpath.find_lib_path()[0])"],
                             stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    csv = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else directory / "wine.csv"
    if len(sys.argv) < 2:
        csv.write_bytes(subprocess.run([ROOT / "scripts" / "make-wine"], stdout=subprocess.PIPE, check=True).stdout)
    (directory / "db").mkdir()
    server = Mariadb(directory / "db").start()
    theirs, ours = [], []
    try:
        for _ in range(RUNS): # in turns, so that both have the same box
            theirs.append(run_peer(python, server.new_database(), csv))
            studyd = Studyd(directory, server.new_database()).start()
            ours.append(run_ours(directory, studyd, csv, library))
            studyd.stop()
    finally:
        server.stop()
        shutil.rmtree(directory)
    their_ratio, their_first_s, their_row = row("Optuna 5 + PyMySQL + XGBoost in Python, 2 processes", theirs)
    our_ratio, our_first_s, our_row = row("studyd + study-worker, 2 slots", ours)
    print("| who | wall time | pure training time | wall / training (runs) | start to first round |")
    print("|---|---|---|---|---|")
    print(their_row)
    print(our_row)
    print(f"\nThe same library: {library.rpartition('/site-packages/')[2]}. "
          f"Overhead {100 * (our_ratio - 1):.1f} % against {100 * (their_ratio - 1):.1f} %; "
          f"first round after {our_first_s / their_first_s:.3f} of their time.")


main()
