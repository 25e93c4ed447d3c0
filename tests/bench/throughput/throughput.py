#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Durable ask+tell pairs a second: studyd with 1, 8 and 64 clients on MariaDB and SQLite, the databases' own limit (the
same rows, written by themselves in batches), and Optuna 5 with 1 and 8 processes on the same MariaDB. Six parameters,
TPE; medians of three rounds, in each of which everybody has a turn.

How much a suggestion costs grows with the study. In its 8 s Optuna comes to some hundred trials; studyd makes studies of
1,000, one after the other, and in another row one study that grows as long as the turn lasts, to some thousand."""

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
LIMIT_SECONDS = 3
OPTUNA_SECONDS = 8
CLIENTS = (1, 8, 64)
WAIT_S = 30  # of an ask: where the study comes to its end it is told at once
MANY = 1_000_000  # trials, more than a turn has time for
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


def run_bench(name, *arguments):
    """What a program of this folder says."""
    said = subprocess.run([BUILD / "tests" / "bench" / name, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    return json.loads(said.stdout)


def studyd_rate(studyd, name, n_clients, n_trials):
    """Of studies of so many trials, as many as there is time for."""
    pairs, seconds, p99s = 0, 0, []
    studyd.http.close()  # by studyd, perhaps: the last turn is long ago
    while seconds < SECONDS:
        study = f"{name}-{len(p99s)}"
        studyd.create({"name": study, "directions": ["minimize"], "space": SPACE, "sampler": {"type": "tpe", "seed": 1}, "max_trials": n_trials})
        result = run_bench("fleet", studyd.url.rpartition(":")[2].rstrip("/"), study, n_clients, SECONDS, 0, 0, 0, WAIT_S)
        assert result["errors"] == 0
        pairs += result["tells"]
        seconds += result["seconds"]
        p99s.append(result["ask_p99_ms"])
    return pairs / seconds, statistics.median(p99s)


def limit_rate(store, n_trials, n_transactions):
    result = run_bench("limit", store.url, n_trials, LIMIT_SECONDS, n_transactions)
    return result["trials"] / result["seconds"], None


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


class Contestant:
    """A row of the table: who, and what a turn of it does. Shares are of the database's limit, if it has one."""

    def __init__(self, label, turn, limit=None):
        self.label = label
        self.turn = turn
        self.limit = limit
        self.rates = []
        self.p99s = []

    def take_turn(self, run):
        rate, p99 = self.turn(run)
        self.rates.append(rate)
        self.p99s += [] if p99 is None else [p99]
        print(f"{self.label}: {rate:.1f}/s", file=sys.stderr)

    @property
    def rate(self):
        return statistics.median(self.rates)


def optuna_contestants(server):
    python = ROOT / ".venv" / "optuna5" / "bin" / "python"
    if not python.exists():
        print("Optuna is not there: scripts/make-peers could not reach PyPI", file=sys.stderr)
        return []
    store = server.new_database()
    return [Contestant(f"Optuna 5, MariaDB, {n} process{'es' if n > 1 else ''}",
                       lambda run, n=n: optuna_rate(python, store, f"peer-{n}-{run}", n)) for n in (1, 8)]


def studyd_contestants(kind, studyd, limit_store):
    """The limit is taken once in one transaction a batch, and once in two: an ask's must be committed before its tell."""
    for n in CLIENTS:
        limit = Contestant(f"limit of {kind}, batch {n}", lambda run, n=n: limit_rate(limit_store, n, 1))
        yield limit
        yield Contestant(f"the same in two transactions, {kind}, batch {n}",
                         lambda run, n=n: limit_rate(limit_store, n, 2), limit)
        for what, n_trials in (("studies of 1,000", 1000), ("one study", MANY)):
            yield Contestant(f"studyd, {kind}, {n} client{'s' if n > 1 else ''}, {what}",
                             lambda run, n=n, most=n_trials: studyd_rate(studyd, f"bench-{n}-{most}-{run}", n, most), limit)


def report(contestants):
    rates = {contestant.label: contestant.rate for contestant in contestants}
    lines = ["| who | pairs/s (median) | rounds | ask p99 | times Optuna, 1 process | times Optuna, 8 processes | of the limit |",
             "|---|---|---|---|---|---|---|"]
    peers = [rates.get("Optuna 5, MariaDB, 1 process"), rates.get("Optuna 5, MariaDB, 8 processes")]
    for each in contestants:
        ratios = " | ".join(f"{each.rate / peer:.1f}" if peer else "-" for peer in peers)
        spread = ", ".join(f"{rate:.1f}" for rate in each.rates)
        p99 = f"{statistics.median(each.p99s):.1f} ms" if each.p99s else "-"
        share = f"{each.rate / each.limit.rate:.2f}" if each.limit else "-"
        lines.append(f"| {each.label} | {each.rate:.1f} | {spread} | {p99} | {ratios} | {share} |")
    return "\n".join(lines)


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    for name in ("server", "MariaDB", "SQLite", "limit"):
        (directory / name).mkdir()
    server = Mariadb(directory / "server").start()
    daemons = []
    try:
        contestants = optuna_contestants(server)
        for kind, store, limit_store in (("MariaDB", server.new_database(), server.new_database()),
                                         ("SQLite", SqliteStore(directory / "SQLite"), SqliteStore(directory / "limit"))):
            daemons.append(Studyd(directory / kind, store).start())
            contestants += studyd_contestants(kind, daemons[-1], limit_store)
        for run in range(RUNS):
            for contestant in contestants:
                contestant.take_turn(run)
        for daemon in daemons:
            daemon.stop()
    finally:
        server.stop()
        shutil.rmtree(directory)
    print(report(contestants))


main()
