#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What finished trials cost: 1,000, 100,000 and 1,000,000 of 6 parameters, on MariaDB and SQLite. How long a start and a
take-over by a standby last, memory, and what asks, tells and reads take. scale.py [TRIALS]... [mariadb|sqlite]... runs
some of it alone."""

import http.client
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "bench" / "scale"))

from fill import SPACE, fill
from harness import child
from harness.http_json import path
from harness.stores import Mariadb, SqliteStore
from harness.studyd import Studyd

SIZES = (1_000, 100_000, 1_000_000)
N_PAIRS = 30
BUFFER_POOL = "--innodb-buffer-pool-size=512M"  # else a million trials' rows come from the disk each time


def timed(action):
    begin = time.monotonic()
    result = action()
    return time.monotonic() - begin, result


def median_ms(action, times=9):
    return 1000 * statistics.median(timed(action)[0] for _ in range(times))


def started(studyd):
    """Until it serves."""
    return timed(lambda: studyd.start(600))[0]


def taken_over(directory, store, owner):
    """From the owner's death until the standby, which has waited, serves."""
    standby = Studyd(directory, store)
    standby.log_path = directory / "standby.log"
    child.Daemon.start(standby)
    standby.wait_for_log("standby", 60)
    begin = time.monotonic()
    owner.kill()
    standby.wait_for_log("serving", 600)
    took_s = time.monotonic() - begin
    standby.stop()
    return took_s


def pair_ms(studyd, study):
    """An ask and its tell, one after the other: medians of each."""
    asks, tells = [], []
    for _ in range(N_PAIRS):
        took_s, trial = timed(lambda: studyd.ask_one(study, worker="w"))
        asks.append(took_s)
        tells.append(timed(lambda: studyd.tell(study, trial["number"], trial["lease"], 0.5))[0])
    return 1000 * statistics.median(asks), 1000 * statistics.median(tells)


def csv_table(studyd, study):
    """All trials: how long, and how many lines."""
    connection = http.client.HTTPConnection(studyd.http.address, timeout=600)
    connection.request("GET", path("studies", study, "trials"), headers={"Accept": "text/csv"})
    answer, n_lines = connection.getresponse(), 0
    while piece := answer.read(1 << 20):
        n_lines += piece.count(b"\n")
    connection.close()
    studyd.http.close()  # it was silent for long
    return n_lines


def measure(directory, store, n_trials, cells):
    """`cells` takes what is measured, by name."""
    studyd = Studyd(directory, store).start()
    for name, sampler in (("tpe", "tpe"), ("random", "random")):
        studyd.create({"name": name, "directions": ["minimize"], "space": SPACE, "sampler": {"type": sampler, "seed": 1}})
    studyd.stop()
    print(f"filled in {timed(lambda: fill(store, 'tpe', n_trials))[0]:.1f} s", file=sys.stderr)

    starts = []
    for _ in range(3):
        starts.append(started(studyd))
        memory = studyd.memory_mib(), studyd.memory_mib("VmHWM")
        page = path("studies", "tpe", "trials")
        cells_of_reads = {
            "status page": lambda: studyd.http.request("GET", "/"),
            "GET study": lambda: studyd.show("tpe"),
            "GET /v1/studies": lambda: studyd.http.get("/v1/studies"),
            "GET best": lambda: studyd.best("tpe"),
            "a trial": lambda: studyd.trial("tpe", n_trials // 2),
            "first 1,000 trials": lambda: studyd.http.get(page),
            "last 100 changes": lambda: studyd.http.get(f"{page}?since={2 * n_trials - 200}&limit=100"),
        }
        if len(starts) < 3:
            studyd.stop()
    cells["start"] = f"{statistics.median(starts):.2f} s"
    cells["memory, and most while it starts"] = f"{memory[0]:.0f}, {memory[1]:.0f} MiB"
    for name, read in cells_of_reads.items():
        cells[name] = f"{median_ms(read):.2f} ms"
    took_s, n_lines = timed(lambda: csv_table(studyd, "tpe"))
    assert n_lines == n_trials + 1, n_lines
    cells["CSV of all"] = f"{took_s:.2f} s, {1e6 * took_s / n_trials:.1f} us a trial"
    cells["memory then, at most"] = f"{studyd.memory_mib('VmHWM'):.0f} MiB"
    cells["ask, tell beside it (random)"] = "{:.2f}, {:.2f} ms".format(*pair_ms(studyd, "random"))
    took_s, answer = timed(lambda: studyd.http.request("POST", path("studies", "tpe", "ask"), b'{"worker": "w"}'))
    cells["first ask (tpe)"] = f"{1000 * took_s:.0f} ms" + ("" if answer.status == 200 else f", answered {answer.status}")
    cells["ask, tell (tpe)"] = "{:.2f}, {:.2f} ms".format(*pair_ms(studyd, "tpe"))
    cells["memory with TPE's index"] = f"{studyd.memory_mib():.0f} MiB"
    cells["take-over by a standby"] = f"{taken_over(directory, store, studyd):.2f} s"


def table(columns):
    """`columns`: by title, cells by name."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in next(iter(columns.values())):
        lines.append(f"| {name} | " + " | ".join(cells.get(name, "-") for cells in columns.values()) + " |")
    return "\n".join(lines)


def main():
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()] or SIZES
    kinds = [word for word in sys.argv[1:] if not word.isdigit()] or ["mariadb", "sqlite"]
    columns = {}
    for kind in kinds:
        for n_trials in sizes:
            directory = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
            database = directory / "db"
            database.mkdir()
            server = Mariadb(database)
            server.command.append(BUFFER_POOL)
            try:
                store = server.start().new_database() if kind == "mariadb" else SqliteStore(directory)
                cells = columns[f"{kind}, {n_trials:,}"] = {}
                measure(directory, store, n_trials, cells)
                print(f"{kind}, {n_trials:,}: {cells}", file=sys.stderr)
            finally:
                if server.is_running():
                    server.stop()
                shutil.rmtree(directory)
    print(table(columns))


main()
