# SPDX-License-Identifier: MIT
"""Long campaigns against everything that can go wrong, one after the other: python3 -m soak [NAME…]. Each ends with the history
checker; the last lines are a table of what was done and what was found. STUDYD_BUILD says which binaries, SOAK_FAULTS how
many faults each campaign has, SOAK_SEED repeats the choices of an earlier run (though not its timing)."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

import pytest

from harness.stores import Mariadb, SqliteStore
from soak import scenarios

# What runs, how often its fault comes, and on which stores.
SOAK = [
    ("kills", 100, "sqlite"), ("kills", 100, "mysql"),
    ("bad network", 15, "sqlite"), ("bad network", 15, "mysql"),
    ("database kills", 20, "mysql"),
    ("fail-overs", 10, "sqlite"), ("fail-overs", 10, "mysql"),
    ("frozen owners", 5, "mysql"),
    ("everything", 20, "sqlite"), ("everything", 20, "mysql"),
    ("full disk", 5, "sqlite"),
    ("optuna beside", 10, "sqlite"), ("optuna beside", 10, "mysql"),
    ("workers", 10, "sqlite"), ("workers", 10, "mysql"),
    ("large", 5, "sqlite"), ("large", 5, "mysql"),
]
# "slowest" fail-over and restart, in seconds from the kill until somebody serves; "s" is the campaign's own time.
COUNTS = ("answered", "acknowledged", "repeated", "network faults", "studyd kills", "database faults", "fail-overs", "violations")
COLUMNS = (*COUNTS, "slowest", "restart", "s")


@contextlib.contextmanager
def stage(kind):
    """(directory, store, server or None), all gone afterwards."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    server = None
    try:
        if kind == "mysql":
            (directory / "db").mkdir()
            server = Mariadb(directory / "db").start()
        yield directory, server.new_database() if server else SqliteStore(directory), server
    finally:
        if server and server.is_running():
            server.kill()
        shutil.rmtree(directory)


def run(name, n_faults, kind, seed):
    """A row of the table."""
    begin = time.monotonic()
    with stage(kind) as (directory, store, server):
        try:
            campaign, violations = scenarios.SCENARIOS[name](directory, store, server, n_faults, seed)
            row = campaign.counts()
        except pytest.skip.Exception as skipped:
            return {"name": f"{name}, {kind}", "skipped": str(skipped), "violations": 0}
        except Exception:
            traceback.print_exc()
            row, violations = {}, ["it did not come to its end"]
    for sentence in violations[:20]:
        print(f"{name}, {kind}: {sentence}", file=sys.stderr)
    return {**row, "name": f"{name}, {kind}", "violations": len(violations), "s": round(time.monotonic() - begin)}


def line(cells):
    return f"{cells[0]:24}" + "".join(f"{cell!s:>{max(9, len(column) + 2)}}" for cell, column in zip(cells[1:], COLUMNS))


def main():
    names = sys.argv[1:]
    if unknown := set(names) - set(scenarios.SCENARIOS):
        sys.exit(f"soak: no campaign is called {', '.join(unknown)}; there are: {', '.join(scenarios.SCENARIOS)}")
    seed = int(os.environ.get("SOAK_SEED", time.time_ns() % 10**6))
    print(f"SOAK_SEED={seed}\n\n" + line(["", *COLUMNS]), flush=True)
    rows = []
    for name, n_faults, kind in SOAK:
        n_faults = int(os.environ.get("SOAK_FAULTS", n_faults))
        if not names or name in names:
            rows.append(run(name, n_faults, kind, seed))
            print(f"{rows[-1]['name']:24}  skipped: {rows[-1]['skipped']}" if "skipped" in rows[-1] else
                  line([rows[-1]["name"], *(rows[-1].get(column, "-") for column in COLUMNS)]), flush=True)
    print(line(["all", *(sum(row.get(column, 0) for row in rows) for column in COUNTS)]))
    sys.exit(1 if not rows or any(row["violations"] for row in rows) else 0)


if __name__ == "__main__":
    main()
