# SPDX-License-Identifier: MIT
"""What clients can take of studyd: slow ones, many, large requests, large answers. Meanwhile the others are served."""

import contextlib
import http.client
import json
import re
import resource
import socket
import threading
import time

import pytest

from harness import child
from harness.child import wait_until
from harness.clients import answer_of, connections, peak_mib
from harness.http_json import path

SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random", "seed": 1}}
POST = (b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
MIB = 1 << 20


def is_ended(connection, trickle):
    """Has studyd ended it? Else another byte of the request is sent."""
    connection.setblocking(False)
    try:
        if connection.recv(65536) == b"":
            return True
    except BlockingIOError:
        pass
    except OSError:
        return True
    with contextlib.suppress(OSError):
        connection.send(trickle)
    return False


# ---- time ----

SLOW = (b"G", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", POST + b"Content-Length: 1000000\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", POST + b"Transfer-Encoding: gzip\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nX: ",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nG", b"GET /healthz?" + b"a&" * 300)


def test_slow_clients_are_cut_off(start_studyd, sqlite):
    """A thousand requests that never come to their end are ended together, in one line of the log; meanwhile asks and
    health are answered, and an ask that waits for longer than that is not touched."""
    studyd = start_studyd(sqlite, "--request-timeout-s", "1")
    studyd.create({**SPEC, "max_trials": 1})
    trial = studyd.ask_one("one")
    waited = []
    poll = threading.Thread(target=lambda: waited.append(studyd.ask("one", wait_s=60)))
    poll.start()
    wait_until("the ask to wait", lambda: studyd.show("one")["waiting_asks"] == 1)
    studyd.http.close()
    begin = time.monotonic()
    with connections(studyd, 1000, *SLOW) as slow:
        left = list(slow)

        def all_ended():
            left[:] = [connection for connection in left if not is_ended(connection, b" ")]
            before = time.monotonic()
            assert studyd.http.get("/healthz")["status"] == "alive"
            assert studyd.ask("one") == {"state": "waiting", "trials": []}
            assert time.monotonic() - before < 5
            studyd.http.close()  # else it is silent for too long, where this machine is slow
            return not left

        wait_until("the slow ones to end", all_ended)
    assert time.monotonic() - begin >= 1
    said = studyd.wait_for_log("slow clients were cut off")
    assert int(re.search(r"count=(\d+)", said).group(1)) > 1 and "request_timeout_s" in said
    assert studyd.log().count("slow clients") == 1
    assert poll.is_alive()
    studyd.tell("one", 0, trial["lease"], state="waiting")
    poll.join(30)
    assert [answer["trials"][0]["number"] for answer in waited] == [0]


def test_slow_clients_do_not_keep_the_door_shut(start_studyd, sqlite):
    """Where they have taken all connections, who waits outside is served when they are cut off."""
    studyd = start_studyd(sqlite, "--request-timeout-s", "1", "--max-connections", "20")
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connections(studyd, 20, *SLOW[:4]), connections(studyd, 1, request) as (waits,):
        studyd.wait_for_log("no more connections are taken")
        assert answer_of(waits)[0] == 200


def test_silent_clients_are_not_worth_a_line(start_studyd, sqlite):
    """Who says nothing, or nothing more, is let go without a word."""
    studyd = start_studyd(sqlite, "--request-timeout-s", "1")
    with connections(studyd, 2, b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as silent:
        for connection in silent:
            while connection.recv(65536):
                pass
    studyd.stop()
    assert "slow clients" not in studyd.log()


def large_answers(studyd, mib):
    """A study whose list of trials is so large."""
    studyd.create(SPEC)
    for _ in range(mib):
        trial = studyd.ask_one("one")
        studyd.tell("one", trial["number"], trial["lease"], 1.0, user_attrs={str(key): "x" * 59000 for key in range(17)})
    return b"GET " + path("studies", "one", "trials").encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_an_answer_is_taken_in_time(start_studyd, sqlite):
    """Who takes a large answer in sips does not get to its end."""
    studyd = start_studyd(sqlite, "--request-timeout-s", "3")
    request = large_answers(studyd, 20)
    taken = 0
    with connections(studyd, 1, request, receive_buffer=65536) as (sipping,), contextlib.suppress(ConnectionError):
        while sip := sipping.recv(20000):
            taken += len(sip)
            time.sleep(0.01)
    assert 0 < taken < 15 * MIB
    studyd.wait_for_log("slow clients were cut off")


def test_uploads_do_not_take_all_turns(start_studyd, sqlite):
    """Clients that send as fast as they can, even what is refused, do not keep what was committed from being answered."""
    studyd = start_studyd(sqlite)
    studyd.create(SPEC)
    upload = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (15 * MIB) + b" " * (15 * MIB)
    over, n_uploads = threading.Event(), []

    def flood():
        while not over.is_set():
            with connections(studyd, 1, upload) as (connection,):
                assert answer_of(connection)[0] == 404
                n_uploads.append(1)

    floods = [threading.Thread(target=flood) for _ in range(8)]
    for thread in floods:
        thread.start()
    try:
        wait_until("the flood", lambda: len(n_uploads) >= 8)
        for _ in range(20):
            studyd.ask_one("one")
    finally:
        over.set()
        for thread in floods:
            thread.join()
    assert len(n_uploads) > 8


# ---- memory ----

@pytest.mark.release
def test_large_bodies_share_what_there_is(start_studyd, sqlite):
    """Of 500 bodies of a MiB that come at the same time, those beyond 64 MiB are told to come again; small requests pass."""
    studyd = start_studyd(sqlite)
    studyd.create(SPEC)
    before = peak_mib(studyd)
    with connections(studyd, 500, POST + b"Content-Length: %d\r\n\r\n" % (MIB - 1) + b" " * (MIB - 2)) as large:
        wait_until("large bodies to be there", lambda: peak_mib(studyd) - before > 40)
        trial = studyd.ask_one("one")
        studyd.tell("one", trial["number"], trial["lease"], 1.0)
        for connection in large:
            connection.sendall(b" ")
        answers = [answer_of(connection) for connection in large]
    assert {status for status, _, _ in answers} == {400, 429}
    refused = [(headers, json.loads(body)) for status, headers, body in answers if status == 429]
    for headers, document in refused:
        assert int(headers["Retry-After"]) >= 1
        assert document["type"] == "urn:studyd:slow-down"
    assert peak_mib(studyd) - before < 450  # the sanitizers keep what was freed; without them it is 75
    padded = json.dumps({**SPEC, "name": "two"}).encode().ljust(MIB)
    assert studyd.http.request("POST", "/v1/studies", padded).status == 201


def test_an_ask_that_waits_holds_no_body(start_studyd, sqlite):
    """Bodies of a MiB whose asks wait leave room for other large ones."""
    studyd = start_studyd(sqlite)
    studyd.create({**SPEC, "max_trials": 1})
    studyd.ask_one("one")
    ask = (b"POST /v1/studies/one/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
           % (MIB - 1) + b'{"wait_s": 60}'.ljust(MIB - 1))
    with contextlib.ExitStack() as waiting:
        for count in (20, 40, 60, 80):
            waiting.enter_context(connections(studyd, 20, ask))
            wait_until("the asks to wait", lambda: studyd.show("one")["waiting_asks"] == count)
        padded = json.dumps({**SPEC, "name": "two"}).encode().ljust(MIB)
        assert studyd.http.request("POST", "/v1/studies", padded).status == 201


def test_large_answers_share_what_there_is(start_studyd, sqlite):
    """While many do not take the large answers they asked for, more of those are refused; all else is served."""
    studyd = start_studyd(sqlite)
    request = large_answers(studyd, 8)
    studyd.create({**SPEC, "name": "two", "space": {"c": {"type": "categorical", "choices": ["x" * 1000]}}})
    with connections(studyd, 12, request, receive_buffer=4096) as readers:
        begun = [connection.recv(100, socket.MSG_PEEK | socket.MSG_WAITALL) for connection in readers]
        statuses = [int(head.split()[1]) for head in begun]
        assert set(statuses) == {200, 429}
        assert len(studyd.ask("two", count=100)["trials"]) == 100  # large, but a change
        assert studyd.http.get("/healthz")["status"] == "alive"
        status, headers, body = answer_of(readers[statuses.index(429)])
        assert (status, json.loads(body)["type"], headers["Link"]) == (429, "urn:studyd:slow-down", None)
        assert int(headers["Retry-After"]) >= 1
    wait_until("the answers to be given up", lambda: studyd.http.request("GET", path("studies", "one", "trials")).status == 200)


# ---- tables, which come in parts ----

TABLE = b"GET /v1/studies/one/trials HTTP/1.1\r\nHost: localhost\r\nAccept: text/csv\r\n\r\n"


def large_table(studyd, mib):
    """A study whose table is so large."""
    studyd.create({**SPEC, "space": {"c": {"type": "categorical", "choices": ["x" * 50000]}}})
    for _ in range(mib):
        studyd.ask("one", count=21)


def test_a_table_that_nobody_takes(start_studyd, sqlite):
    """Who asks for a table and does not take it holds up nobody, and is forgotten when it leaves."""
    studyd = start_studyd(sqlite, "--log-level", "debug")
    large_table(studyd, 30)
    with connections(studyd, 1, TABLE) as (reader,):
        status, headers, body = answer_of(reader)
    assert (status, headers["Transfer-Encoding"], body.count(b"\r\n")) == (200, "chunked", 631)
    with connections(studyd, 3, TABLE, receive_buffer=4096) as readers:
        for reader in readers:
            assert reader.recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        assert studyd.http.get("/healthz")["status"] == "alive"
    wait_until("the readers to be forgotten", lambda: studyd.log().count("(not sent to its end)") == 3)


def test_a_table_whose_study_goes_is_cut(start_studyd, sqlite):
    """Its pages are read as they are taken; it does not look whole to its reader then, and the log says why."""
    studyd = start_studyd(sqlite)
    large_table(studyd, 30)
    with connections(studyd, 1, TABLE, receive_buffer=4096) as (reader,):
        assert reader.recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        studyd.http.delete(path("studies", "one") + "?force=true")
        with pytest.raises(http.client.IncompleteRead):
            answer_of(reader)
    assert 'study="one"' in studyd.wait_for_log("a table of trials was cut off")
    assert studyd.http.get(path("studies"))["studies"] == []


def test_a_stop_does_not_wait_for_a_table(start_studyd, sqlite):
    """Whoever does not take it is left behind."""
    studyd = start_studyd(sqlite)
    large_table(studyd, 30)
    with connections(studyd, 1, TABLE, receive_buffer=4096) as (reader,):
        assert reader.recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        studyd.stop()


# ---- connections ----

def test_the_limit_of_connections_is_said(start_studyd, sqlite):
    """When there is no room for more, one line names the limit; who waits is served when one leaves."""
    studyd = start_studyd(sqlite, "--max-connections", "20")
    with connections(studyd, 21, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as opened:
        said = studyd.wait_for_log("no more connections are taken")
        assert studyd.http.address in said and "20 are open" in said and "max_connections" in said
        opened[-1].settimeout(0.2)
        with pytest.raises(TimeoutError):
            opened[-1].recv(100)
        opened[0].close()
        opened[-1].settimeout(60)
        assert opened[-1].recv(100).startswith(b"HTTP/1.1 200")
    assert studyd.log().count("no more connections") == 1


def test_connections_leave_files_to_the_rest(start_studyd, sqlite, monkeypatch, tmp_path):
    """Where fewer files can be open than max_connections needs, clients do not take the last ones."""
    start = child.die_with_parent

    def with_few_files():
        start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))

    monkeypatch.setattr(child, "die_with_parent", with_few_files)
    settings = tmp_path / "studyd.conf"
    settings.write_text("log_level = info\n")
    studyd = start_studyd(sqlite, "--config", settings)
    assert "on_each_address=56" in studyd.wait_for_log("fewer connections can be open")
    studyd.create(SPEC)
    with connections(studyd, 100, b""):
        studyd.wait_for_log("no more connections are taken")
        studyd.ask_one("one")
        studyd.process.send_signal(1)
        studyd.wait_for_log("the settings were read again")
