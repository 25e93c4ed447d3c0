# SPDX-License-Identifier: MIT
"""GET /metrics: what it says agrees with what happened, in the format that Prometheus reads."""

import re
import time

import pytest

from harness.child import wait_until
from harness.http_json import Refused
from harness.studyd import ROOT

SPEC = {"name": "wine", "directions": ["minimize"], "space": {"x": {"type": "float", "low": 0, "high": 1}}}
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def read(http):
    """{(name, label value…): number}. Each line is checked: a metric's head comes before its samples, and once."""
    answer = http.request("GET", "/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    kinds, found, helped = {}, {}, None
    assert answer.text().endswith("\n")
    for line in answer.text().splitlines():
        if line.startswith("# HELP "):
            helped = line.split()[2]
            assert helped not in kinds and line.endswith((".", ")"))
        elif line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name == helped and kind in ("counter", "gauge", "histogram")
            assert (kind == "counter") == name.endswith("_total")
            kinds[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            base = re.sub("_(bucket|sum|count)$", "", match[1]) if kinds[helped] == "histogram" else match[1]
            assert base == helped, line
            key = (match[1], *(value for _, value in LABEL.findall(match[2] or "")))
            assert key not in found, line
            found[key] = float(match[3])
    return found


def test_what_happened_is_counted(start_studyd, store):
    """Requests by route and status, transactions, the sampler, trials by state, the best value."""
    studyd = start_studyd(store)
    studyd.create(SPEC)
    studyd.create({**SPEC, "name": "two", "directions": ["minimize", "maximize"], "sampler": {"type": "random"}})
    for value in (3, 1, 2):
        trial = studyd.ask_one("wine", worker="node1")
        studyd.tell("wine", trial["number"], trial["lease"], value)
    studyd.ask_one("wine", worker="node2")
    with pytest.raises(Refused):
        studyd.show("absent")
    found = read(studyd.http)
    ask = ("POST", "/v1/studies/{study}/ask")
    assert found["studyd_http_requests_total", *ask, "200"] == 4
    assert found["studyd_http_request_duration_seconds_count", *ask] == 4
    assert found["studyd_http_request_duration_seconds_bucket", *ask, "+Inf"] == 4
    assert found["studyd_http_requests_total", "GET", "/v1/studies/{study}", "404"] == 1
    assert found["studyd_http_open_requests",] == 1
    assert found["studyd_store_records_total",] == 2 + 4 + 3
    assert 2 <= found["studyd_store_transaction_seconds_count",] <= 9
    assert found["studyd_store_queue_records",] == 0
    assert found["studyd_sampler_seconds_count",] == 4
    assert found["studyd_workers",] == 2
    assert found["studyd_study_state", "wine", "running"] == 1
    assert [found["studyd_study_trials", "wine", state] for state in ("complete", "running", "pruned", "fail", "waiting")] == [3, 1, 0, 0, 0]
    assert found["studyd_study_best_value", "wine"] == 1
    assert ("studyd_study_best_value", "two") not in found
    assert (found["studyd_ready",], found["studyd_standby",]) == (1, 0)
    assert found["process_resident_memory_bytes",] > 1e6 and found["process_open_fds",] > 3
    assert abs(found["process_start_time_seconds",] - time.time()) < 300


def test_a_restart_is_seen(start_studyd, sqlite):
    """Its time stays the same while a process lives, and is another one's afterwards."""
    studyd = start_studyd(sqlite)
    began = read(studyd.http)["process_start_time_seconds",]
    wait_until("the next second", lambda: time.time() >= began + 1)
    assert read(studyd.http)["process_start_time_seconds",] == began
    studyd.stop()
    studyd.start()
    assert read(studyd.http)["process_start_time_seconds",] > began


def test_lapsed_leases_are_counted(start_studyd, sqlite):
    studyd = start_studyd(sqlite)
    studyd.create({**SPEC, "lease_s": 1})
    studyd.ask_one("wine", worker="gone")
    wait_until("the lease to lapse", lambda: read(studyd.http)["studyd_leases_lapsed_total",] == 1)


def test_requests_without_a_route_are_counted(start_studyd, sqlite):
    studyd = start_studyd(sqlite)
    assert studyd.http.request("GET", "/nothing").status == 404
    assert studyd.http.request("HEAD", "/healthz").status == 200
    found = read(studyd.http)
    assert found["studyd_http_requests_total", "", "", "404"] == 1
    assert found["studyd_http_requests_total", "GET", "/healthz", "200"] == 1


def test_a_standby_is_watched_too(start_studyd, start_standby, sqlite):
    """It says so itself, and tells nothing of studies that it has not loaded."""
    start_studyd(sqlite).create(SPEC)
    found = read(start_standby(sqlite).http)
    assert (found["studyd_ready",], found["studyd_standby",]) == (0, 1)
    assert not any(key[0].startswith("studyd_study_") for key in found)


def test_each_metric_is_explained(start_studyd, sqlite):
    """docs/operations.md names what there is, and nothing else."""
    studyd = start_studyd(sqlite)
    text = (ROOT / "docs" / "operations.md").read_text()
    described = set(re.findall(r"`((?:studyd|process)_[a-z_]+)`", text.split("## Metrics")[1].split("\n## ")[0]))
    there = set(re.findall(r"^# TYPE (\S+)", studyd.http.request("GET", "/metrics").text(), re.MULTILINE))
    assert described == there
