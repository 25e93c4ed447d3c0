#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Durable ask+tell pairs a second: studyd with 1, 8 and 64 clients on MariaDB and SQLite, and Optuna 5 with 1 and 8
processes on the same MariaDB, in the same run. Six parameters, TPE; medians of three runs, each on a fresh study."""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from harness import child
from harness.stores import Mariadb, SqliteStore
from harness.studyd import BUILD, Studyd

RUNS = 3
SECONDS = 4
OPTUNA_SECONDS = 8
SPACE = {f"x{index}": {"type": "float", "low": 0, "high": 1} for index in range(6)}

# One of the peer's processes: it says that it is ready, waits for the word, and counts what it told in its time.
OPTUNA = """
import sys, time, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name=sys.argv[1], storage=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
pairs, begin = 0, time.monotonic()
while time.monotonic() - begin < float(sys.argv[3]):
    trial = study.ask()
    study.tell(trial, sum((trial.suggest_float(f"x{index}", 0, 1) - 0.3) ** 2 for index in range(6)))
    pairs += 1
print(pairs / (time.monotonic() - begin))
"""


def studyd_rate(studyd, name, n_clients):
    studyd.create({"name": name, "directions": ["minimize"], "space": SPACE, "sampler": {"type": "tpe", "seed": 1}})
    port = studyd.url.rpartition(":")[2].rstrip("/")
    said = subprocess.run([BUILD / "tests" / "bench" / "load", port, name, str(n_clients), str(SECONDS)],
                          stdout=subprocess.PIPE, check=True).stdout
    result = json.loads(said)
    return result["pairs"] / result["seconds"], result["ask_p99_ms"]


def optuna_rate(python, store, name, n_processes):
    make = "import sys, optuna; optuna.create_study(study_name=sys.argv[1], storage=sys.argv[2])"
    subprocess.run([python, "-W", "ignore", "-c", make, name, store.optuna_url], stderr=subprocess.DEVNULL, check=True)
    processes = [subprocess.Popen([python, "-W", "ignore", "-c", OPTUNA, name, store.optuna_url, str(OPTUNA_SECONDS)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  preexec_fn=child.die_with_parent) for _ in range(n_processes)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0]) for process in processes), None


def measure(rows, label, run):
    """Adds a row: the median rate, the three, the median p99 of an ask."""
    results = [run(index) for index in range(RUNS)]
    rates = [rate for rate, _ in results]
    p99s = [p99 for _, p99 in results if p99 is not None]
    rows.append((label, statistics.median(rates), rates, statistics.median(p99s) if p99s else None))
    print(f"{label}: {rows[-1][1]:.1f}/s", file=sys.stderr)


def report(rows):
    rates = {label: rate for label, rate, _, _ in rows}
    lines = ["| who | pairs/s (median) | runs | ask p99 | times Optuna, 1 process | times Optuna, 8 processes |",
             "|---|---|---|---|---|---|"]
    peers = [rates.get("Optuna 5, MariaDB, 1 process"), rates.get("Optuna 5, MariaDB, 8 processes")]
    for label, rate, runs, p99 in rows:
        ratios = " | ".join(f"{rate / peer:.1f}" if peer else "-" for peer in peers)
        spread = ", ".join(f"{run:.1f}" for run in runs)
        lines.append(f"| {label} | {rate:.1f} | {spread} | {f'{p99:.1f} ms' if p99 else '-'} | {ratios} |")
    return "\n".join(lines)


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    database = directory / "db"
    database.mkdir()
    server = Mariadb(database).start()
    rows = []
    try:
        python = ROOT / ".venv" / "optuna5" / "bin" / "python"
        if python.exists():
            store = server.new_database()
            for n in (1, 8):
                measure(rows, f"Optuna 5, MariaDB, {n} process{'es' if n > 1 else ''}",
                        lambda run, n=n: optuna_rate(python, store, f"peer-{n}-{run}", n))
        else:
            print("Optuna is not there: scripts/make-peers could not reach PyPI", file=sys.stderr)
        for kind, store in (("MariaDB", server.new_database()), ("SQLite", SqliteStore(directory))):
            studyd = Studyd(directory, store).start()
            for n in (1, 8, 64):
                measure(rows, f"studyd, {kind}, {n} client{'s' if n > 1 else ''}",
                        lambda run, n=n: studyd_rate(studyd, f"bench-{n}-{run}", n))
            studyd.stop()
    finally:
        server.stop()
        shutil.rmtree(directory)
    print(report(rows))


main()
