#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A thousand workers on one studyd, as they are (trials of 1 to 5 s, a report every 200 ms) and as fast as they can; ten
thousand asks that wait for nothing; and nobody at all: how long answers take, what studyd's memory and CPU are
meanwhile. Six parameters; on MariaDB and SQLite. fleet.py [workers] [flood] [polls] [idle] runs some of it alone."""

import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from harness import child
from harness.child import wait_until
from harness.http_json import path
from harness.stores import Mariadb, SqliteStore
from harness.studyd import BUILD, Studyd

SPACE = {f"x{index}": {"type": "float", "low": 0, "high": 1} for index in range(6)}
N_WORKERS = 1000
SECONDS = 20
N_POLLS = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100)
IDLE_SECONDS = 30


def create(studyd, name, **more):
    studyd.create({"name": name, "directions": ["minimize"], "space": SPACE, **more})


def fleet(studyd, study, n_workers, seconds, *behaviour):
    port = studyd.url.rpartition(":")[2].rstrip("/")
    command = [BUILD / "tests" / "bench" / "fleet", port, study, *map(str, (n_workers, seconds, *behaviour))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=child.die_with_parent)


def result_of(process):
    said = process.communicate()[0]
    assert process.returncode == 0
    return json.loads(said)


def measure_fleet(studyd, name, *behaviour):
    create(studyd, name, sampler={"type": "tpe", "seed": 1})
    before_s, begin = studyd.cpu_s(), time.monotonic()
    result = result_of(fleet(studyd, name, N_WORKERS, SECONDS, *behaviour))
    result["cpu"] = (studyd.cpu_s() - before_s) / (time.monotonic() - begin)
    result["memory_mib"] = studyd.memory_mib("VmHWM")
    return result


def fleet_row(label, result):
    cells = [f"{result[kind + 's'] / result['seconds']:.0f}/s, {result[kind + '_p50_ms']:.1f}, {result[kind + '_p99_ms']:.1f}, "
             f"{result[kind + '_max_ms']:.0f} ms" for kind in ("ask", "report", "tell")]
    return (f"| {label} | {' | '.join(cells)} | {result['errors']} | {result['memory_mib']:.0f} MiB | "
            f"{100 * result['cpu']:.0f} % |")


def measure_polls(studyd, name):
    """Nobody gets anything for 30 s; then each a trial (at random: a sampler would take longer than the asks); and a
    second crowd is sent away when its time is up."""
    create(studyd, name, max_trials=1, sampler={"type": "random"})
    studyd.ask_one(name)
    before_mib = studyd.memory_mib()
    process = fleet(studyd, name, N_POLLS, IDLE_SECONDS + 25, 60000, 60000, 0, 60)
    wait_until("all to wait", lambda: studyd.show(name)["waiting_asks"] == N_POLLS, 60)
    time.sleep(1)
    before_s, begin = studyd.cpu_s(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    idle = (studyd.cpu_s() - before_s) / (time.monotonic() - begin)
    poll_kib = 1024 * (studyd.memory_mib() - before_mib) / N_POLLS
    begin = time.monotonic()
    studyd.http.call("PATCH", path("studies", name), {"max_trials": N_POLLS + 1})
    wait_until("all to be given a trial", lambda: studyd.show(name)["counts"]["running"] == N_POLLS + 1, 300)
    given_s = time.monotonic() - begin
    assert studyd.show(name)["waiting_asks"] == 0
    process.kill()
    process.wait()
    studyd.http.delete(path("studies", name) + "?force=true")

    create(studyd, name, max_trials=1, sampler={"type": "random"})
    studyd.ask_one(name)
    late = result_of(fleet(studyd, name, N_POLLS, 15, 0, 0, 0, 10))
    assert late["errors"] == 0 and late["lates"] == N_POLLS, late
    return (f"| {N_POLLS} | {poll_kib:.1f} KiB | {100 * idle:.2f} % | {given_s:.1f} s | {late['late_p50_ms']:.0f}, "
            f"{late['late_p99_ms']:.0f} ms |")


def measure_idle(studyd):
    """A study of a hundred trials, and nobody there."""
    create(studyd, "idle", sampler={"type": "tpe", "seed": 1})
    for _ in range(100):
        trial = studyd.ask_one("idle", worker="w")
        studyd.tell("idle", trial["number"], trial["lease"], 0.5)
    studyd.http.close()
    time.sleep(5)  # what reads have begun has ended then
    wakeups, before_s, begin = studyd.wakeups(), studyd.cpu_s(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    took_s = time.monotonic() - begin
    return (f"| {(studyd.wakeups() - wakeups) / took_s:.2f} | {100 * (studyd.cpu_s() - before_s) / took_s:.2f} % | "
            f"{studyd.memory_mib():.1f} MiB |")


def main():
    wanted = sys.argv[1:] or ["idle", "workers", "flood", "polls"]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    database = directory / "db"
    database.mkdir()
    server = Mariadb(database).start()
    idle, rows, polls = [], [], []
    try:
        for kind, store in (("MariaDB", server.new_database()), ("SQLite", SqliteStore(directory))):
            studyd = Studyd(directory, store, "--max-connections", str(N_POLLS + 10)).start()
            if "idle" in wanted:
                idle.append(f"| {kind} {measure_idle(studyd)}")
            if "workers" in wanted:
                rows.append(fleet_row(f"{kind}, 1 to 5 s a trial", measure_fleet(studyd, "workers", 1000, 5000, 200, 30)))
            if "flood" in wanted:
                rows.append(fleet_row(f"{kind}, no time a trial", measure_fleet(studyd, "flood", 0, 0, 1, 30)))
            if "polls" in wanted:
                polls.append(f"| {kind} {measure_polls(studyd, 'polls')}")
            studyd.stop()
    finally:
        server.stop()
        shutil.rmtree(directory)
    if idle:
        print("With nobody there\n\n| store | wake-ups a second | CPU | studyd's memory |\n|---|---|---|---|")
        print("\n".join(idle) + "\n")
    if rows:
        print(f"{N_WORKERS} workers: how many a second; p50, p99 and longest time of an answer\n\n"
              "| store | asks | reports | tells | errors | studyd's memory | its CPU |\n|---|---|---|---|---|---|---|")
        print("\n".join(rows))
    if polls:
        print(f"\nAsks that wait for {IDLE_SECONDS} s; then there are trials; and those that end without (their delay: p50, p99)\n\n"
              "| store | asks | memory of each | CPU while they wait | until all have a trial | sent away too late by |\n"
              "|---|---|---|---|---|---|")
        print("\n".join(polls))


main()
