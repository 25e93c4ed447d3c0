# SPDX-License-Identifier: MIT
"""Crowds of clients that mean no good, or are dead: memory stays bounded, the log says it once, the others are served."""

import contextlib
import os
import signal
import threading
import time

import pytest

from harness import child
from harness.child import wait_until
from harness.clients import answer_of, connections, peak_mib

SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random", "seed": 1}}
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
MIB = 1 << 20


def serves_others(studyd, times=10):
    """A trial is asked for and told, again and again, while whatever goes on goes on."""
    for _ in range(times):
        before = time.monotonic()
        trial = studyd.ask_one("one")
        studyd.tell("one", trial["number"], trial["lease"], 1.0)
        assert time.monotonic() - before < 5


@contextlib.contextmanager
def frozen_clients(studyd, count, request):
    """Connections of a process that sends this on each and is stopped then: its kernel goes on taking what comes, and
    nobody ever reads it, closes it, or says good-bye."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            child.die_with_parent()
            with connections(studyd, count, request):
                os.write(tell, b"x")
                signal.pause()
        os._exit(1)
    try:
        os.close(tell)
        assert os.read(ready, 1) == b"x", "the clients could not connect"
        os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.release
def test_trickled_headers_are_small(start_studyd, sqlite):
    """Two thousand heads of 14 KiB that lack their last byte take what a connection may take, and no more."""
    studyd = start_studyd(sqlite)
    studyd.create(SPEC)
    before = peak_mib(studyd)
    with connections(studyd, 2000, HEALTH + b"X: " + b"x" * 14000):
        serves_others(studyd)
    assert peak_mib(studyd) - before < 2000 * 24 / 1024


@pytest.mark.release
def test_a_flood_of_connections(start_studyd, sqlite):
    """Thousands that come beyond max_connections cost nothing, who is inside is served, and the log says it once."""
    studyd = start_studyd(sqlite, "--max-connections", "50")
    studyd.create(SPEC)
    before = peak_mib(studyd)
    with connections(studyd, 3000, HEALTH + b"\r\n") as outside:
        studyd.wait_for_log("no more connections are taken")
        serves_others(studyd)
        waiting = outside[1000]
        waiting.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.recv(100)
        assert peak_mib(studyd) - before < 8
        for connection in outside[:1000]:
            connection.close()
        waiting.settimeout(60)
        assert answer_of(waiting)[0] == 200
    assert studyd.log().count("no more connections") == 1


@pytest.mark.release
def test_endless_bodies(start_studyd, sqlite):
    """A body that is announced with 10 GB is not taken in, and its client is cut off before it has sent many."""
    studyd = start_studyd(sqlite)
    studyd.create(SPEC)
    before = peak_mib(studyd)
    begin = (b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             b"Content-Length: 10000000000\r\n\r\n")
    sent = []

    def send():
        n_bytes = 0
        with connections(studyd, 1, begin) as (connection,), contextlib.suppress(ConnectionError):
            while True:
                n_bytes += connection.send(b" " * MIB)
        sent.append(n_bytes)

    floods = [threading.Thread(target=send) for _ in range(8)]
    for flood in floods:
        flood.start()
    serves_others(studyd)
    for flood in floods:
        flood.join()
    assert len(sent) == 8 and max(sent) < 64 * MIB
    assert peak_mib(studyd) - before < 30


@pytest.mark.release
def test_answers_that_nobody_takes(start_studyd, sqlite):
    """Who sends request after request and reads no answer is not read from either, and costs one answer."""
    studyd = start_studyd(sqlite)
    studyd.create(SPEC)
    before = peak_mib(studyd)
    piled = (b"GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n") * 1000
    with connections(studyd, 100, b"", receive_buffer=4096) as clients:
        for client in clients:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while client.send(piled):
                    pass
        serves_others(studyd)
        assert peak_mib(studyd) - before < 350  # the sanitizers keep what was freed; without them it is below 20


def test_dead_polls_do_not_keep_the_door_shut(start_studyd, sqlite):
    """Asks whose clients have died without a word end when their time is up, and make room for others."""
    studyd = start_studyd(sqlite, "--request-timeout-s", "1", "--max-connections", "20")
    studyd.create({**SPEC, "max_trials": 1})
    studyd.ask_one("one")
    body = b'{"wait_s": 3}'
    ask = (b"POST /v1/studies/one/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           b"Content-Length: %d\r\n\r\n" % len(body)) + body
    studyd.http.close()
    with frozen_clients(studyd, 20, ask):
        studyd.wait_for_log("no more connections are taken")
        with connections(studyd, 1, HEALTH + b"\r\n") as (alive,):
            assert answer_of(alive)[0] == 200
    assert studyd.show("one")["waiting_asks"] == 0


def test_a_dead_poll_gets_a_trial(start_studyd, sqlite):
    """A trial that is given to who has died without a word is handed on when its lease is over."""
    studyd = start_studyd(sqlite)
    studyd.create({**SPEC, "max_trials": 1, "lease_s": 1})
    trial = studyd.ask_one("one")
    body = b'{"wait_s": 60}'
    ask = (b"POST /v1/studies/one/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           b"Content-Length: %d\r\n\r\n" % len(body)) + body
    with frozen_clients(studyd, 1, ask):
        wait_until("the dead one to wait", lambda: studyd.show("one")["waiting_asks"] == 1)
        studyd.tell("one", 0, trial["lease"], state="waiting")
        wait_until("it to be given the trial", lambda: studyd.trial("one", 0)["attempt"] == 2)
        again = studyd.ask("one", wait_s=60)["trials"]
    assert [(offer["number"], offer["attempt"]) for offer in again] == [(0, 3)]
