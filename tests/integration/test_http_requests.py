# SPDX-License-Identifier: MIT
"""How requests are taken: paths, methods, bodies, hosts, connections that end too early."""

import contextlib
import http.client
import json
import os
import re
import socket
import struct

import pytest

from harness.child import wait_until
from harness.http_json import Http, Refused, path

SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random", "seed": 1}}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def studyd(start_studyd, sqlite):
    return start_studyd(sqlite)


def refused(studyd, method, target, body=None, headers=None):
    """The problem document of a request that is refused; it says its status itself."""
    answer = studyd.http.request(method, target, body, headers)
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status >= 400
    assert document["title"] and document["detail"]
    return document, answer.headers


def address(studyd):
    host, _, port = studyd.http.address.rpartition(":")
    return host.strip("[]"), int(port)


def raw(studyd, data):
    """A connection on which `data` was sent."""
    connection = socket.create_connection(address(studyd), timeout=30)
    connection.sendall(data)
    return connection


def status_of(studyd, data):
    """The status of the last answer to all of this, after which studyd closes."""
    got = b""
    # What it does not read before it closes resets the connection.
    with raw(studyd, data) as connection, contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            got += piece
    return int(re.findall(rb"^HTTP/1.1 (\d+) ", got, re.MULTILINE)[-1])


def raw_post(target, body):
    return (f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def test_unknown_paths_and_methods(studyd):
    """A path that is none is 404; another method is 405 with Allow; HEAD is GET without its body."""
    document, _ = refused(studyd, "GET", "/v1/nothing")
    assert document["type"] == "urn:studyd:not-found"
    document, headers = refused(studyd, "PUT", "/v1/studies/one", b"")
    assert document["type"] == "urn:studyd:method"
    assert headers["Allow"] == "GET, HEAD, PATCH, DELETE"
    head = studyd.http.request("HEAD", "/v1/studies")
    get = studyd.http.request("GET", "/v1/studies")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_query_is_strict(studyd):
    """An unknown parameter is an error that names the nearest known one; values are checked."""
    studyd.create(SPEC)
    for query, field, says in (("stat=running", "stat", 'did you mean "state"'),
                               ("limit=0", "limit", "from 1 to 1000"),
                               ("limit=1001", "limit", "from 1 to 1000"),
                               ("limit=+5", "limit", "whole number"),
                               ("since=x", "since", "whole number"),
                               ("state=running,done", "state", '"done"'),
                               ("limit=1&limit=1", "limit", "more than once"),
                               ("limit=1&since=0&limit=2%0d%0aX:y", "limit", "more than once"),
                               ("since=0&since=1", "since", "more than once"),
                               ("state=fail&state=complete", "state", "with commas"),
                               ("state=", "state", "complete")):
        document, _ = refused(studyd, "GET", path("studies", "one", "trials") + "?" + query)
        assert (document["type"], document["field"]) == ("urn:studyd:invalid", field)
        assert says in document["detail"], query
    for query in ("exist_ok=yes", "exist_ok=true&exist_ok=true"):
        document, _ = refused(studyd, "POST", "/v1/studies?" + query, SPEC)
        assert document["field"] == "exist_ok"
    document, _ = refused(studyd, "DELETE", "/v1/studies/one?force=false&force=true")
    assert document["field"] == "force"
    assert studyd.show("one")["state"] == "running"


def test_names_are_decoded_by_segment(studyd, optuna5, sqlite):
    """A study that Optuna named with slashes, spaces and percent signs is reached percent-encoded; %00 is refused."""
    studyd.stop()
    name = "a/b c%41 ü?.."
    optuna5.run("import sys, optuna; optuna.create_study(study_name=sys.argv[1], storage=sys.argv[2])", name,
                sqlite.optuna_url)
    studyd.start()
    assert studyd.show(name)["name"] == name
    document, _ = refused(studyd, "GET", "/v1/studies/a/b")
    assert document["type"] == "urn:studyd:not-found"
    document, _ = refused(studyd, "GET", "/v1/studies/a%00b")
    assert document["type"] == "urn:studyd:invalid" and "%00" in document["detail"]
    document, _ = refused(studyd, "GET", "/v1/studies/a%2")
    assert document["type"] == "urn:studyd:invalid" and "escape" in document["detail"]


def test_numbers_in_paths(studyd):
    """A trial that is not there, or is no number, is 404."""
    studyd.create(SPEC)
    for number in ("0", "-1", "x", "1e3", "99999999999999999999999", "0x0", "+0"):
        document, _ = refused(studyd, "GET", path("studies", "one", "trials", number))
        assert document["type"] == "urn:studyd:not-found", number


def test_bodies(studyd):
    """A change needs JSON in an object, said to be JSON, with known keys, not nested too deep."""
    def invalid(body, headers=None):
        document, _ = refused(studyd, "POST", "/v1/studies", body, headers)
        assert document["type"] == "urn:studyd:invalid"
        return document["detail"]

    assert "is empty" in invalid(b"")
    assert "line 1" in invalid(b"{nonsense")
    assert "[" not in invalid(b"[1]") and invalid(b"[1]")
    assert invalid(b'{"name": "a", "name": "b"}')
    assert str(32) in invalid(b"[" * 40 + b"]" * 40)
    assert invalid(b'{"name": "\xff"}')
    assert "application/json" in invalid(json.dumps(SPEC).encode(), {"Content-Type": "text/plain"})
    assert "application/json" in invalid(json.dumps(SPEC).encode(), {"Content-Type": "application/jsonp"})
    assert 'directions' in invalid({**SPEC, "direction": "minimize"})
    created = studyd.http.request("POST", "/v1/studies", SPEC, {"Content-Type": "Application/JSON; charset=utf-8"})
    assert created.status == 201
    assert created.headers["Location"] == "/v1/studies/one"


def test_too_large_a_body_is_answered(studyd):
    """A client that sends 3 MiB gets its 413 whole, not a broken connection; and may go on."""
    document, _ = refused(studyd, "POST", "/v1/studies", b" " * (3 << 20))
    assert document["type"] == "urn:studyd:too-large"
    assert studyd.http.get("/healthz")["status"] == "alive"
    padded = json.dumps(SPEC).encode().ljust(1 << 20)
    assert studyd.http.request("POST", "/v1/studies", padded).status == 201
    with pytest.raises((OSError, http.client.HTTPException)):
        studyd.http.request("POST", "/v1/studies", b" " * (64 << 20))
    assert studyd.http.get("/healthz")["status"] == "alive"


def test_a_web_page_cannot_change_anything(studyd):
    """A change whose Host is another name is refused and says which setting allows it; reading and loopback are free."""
    for headers in ({"Host": "evil.example"}, {"Host": "localhost.evil.example:8090"}):
        document, _ = refused(studyd, "POST", "/v1/studies", SPEC, headers)
        assert document["type"] == "urn:studyd:forbidden"
        assert "hosts = " in document["detail"]
    document, _ = refused(studyd, "DELETE", "/v1/studies/one", None, {"Host": "evil.example"})
    assert document["type"] == "urn:studyd:forbidden"
    assert studyd.http.request("GET", "/v1/studies", None, {"Host": "evil.example"}).status == 200
    for number, host in enumerate(("localhost", "127.0.0.1:1", "[::1]:8090", "LOCALHOST:80")):
        spec = {**SPEC, "name": f"study{number}"}
        assert studyd.http.request("POST", "/v1/studies", spec, {"Host": host}).status == 201


def test_several_addresses(start_studyd, sqlite):
    """IPv4 and IPv6 at once, each with the port that the system chose."""
    studyd = start_studyd(sqlite, "--listen", "[::1]:0")
    studyd.wait_for_log("listening on http://[::1]:")
    lines = [line.split()[-1] for line in studyd.log().splitlines() if "listening on" in line]
    assert len(lines) == 2
    for url in lines:
        assert Http(url).get("/healthz")["status"] == "alive"


ASK = b"POST /v1/studies/one/ask HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
HOST = b"Host: localhost\r\n"
TWO = b"Content-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("data, status", [
    (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    (b"GET http://localhost:8090/healthz HTTP/1.0\r\n\r\n", 200),
    (b"GET healthz HTTP/1.0\r\n\r\n", 400),
    (b"OPTIONS * HTTP/1.0\r\n\r\n", 400),
    (b"OPTIONS /healthz HTTP/1.0\r\n\r\n", 405),
    (b"CONNECT localhost:80 HTTP/1.0\r\n\r\n", 400),
    (b"G\x01T /healthz HTTP/1.0\r\n\r\n", 405),
    (b"GET /\xff HTTP/1.0\r\n\r\n", 404),
    (b"GET /healthz HTTP/1.0\r\n" + TWO, 400),
    (b"GET /healthz HTTP/1.0\r\nX: " + b"x" * 40000 + b"\r\n\r\n", 431),
    (b"GET /healthz HTTP/3.0\r\n\r\n", 505),
    (ASK + HOST + TWO, 200),
    (ASK + TWO, 400),
    (ASK + HOST + b"host: localhost\r\n" + TWO, 400),
    (ASK + HOST + b"Content-Length: -1\r\n\r\n{}", 400),
    (ASK + HOST + b"Content-Length: 99999999999999999999\r\n\r\n{}", 413),
    (ASK + HOST + b"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\nHost: evil.example\r\n\r\n", 200),
    (ASK + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\ntrailing data", 200),
    (ASK + HOST + b"Transfer-Encoding: chunked\r\n\r\n{}\r\n0\r\n\r\n", 400),
    (ASK + HOST + b"Expect: 100-continue\r\n" + TWO, 200),
    (b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n" + ASK + HOST + TWO, 200),
], ids=lambda value: repr(value)[:80])
def test_what_http_allows(studyd, data, status):
    """Old, odd and broken requests are answered for what they are."""
    studyd.create(SPEC)
    assert status_of(studyd, data) == status
    assert studyd.http.get("/healthz")["status"] == "alive"


def test_expect_100_continue(studyd):
    """A client that waits for leave to send its body gets it."""
    studyd.create(SPEC)
    with raw(studyd, ASK + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def n_sockets(studyd):
    found, directory = 0, f"/proc/{studyd.process.pid}/fd"
    for file in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"{directory}/{file}").startswith("socket:")
    return found


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["closed", "reset"])
def test_clients_that_leave_at_every_byte(start_studyd, sqlite, linger):
    """Wherever a request is cut, nothing of it is left: at the stop no request is open, and nothing has leaked."""
    # libmicrohttpd does not see the end that comes together with data, and waits for more.
    studyd = start_studyd(sqlite, "--request-timeout-s", "1")
    before = n_sockets(studyd)
    studyd.create(SPEC)
    request = raw_post("/v1/studies/one/ask", "{}")
    for size in range(1, len(request) + 1):
        with raw(studyd, request[:size]) as connection:
            if linger:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    wait_until("the connections to be gone", lambda: n_sockets(studyd) == before)
    studyd.stop()
    assert "stopping requests=0" in studyd.log()


def test_requests_in_a_row_on_one_connection(studyd):
    """Pipelined requests are answered in their order."""
    studyd.create(SPEC)
    connection = raw(studyd, raw_post("/v1/studies/one/ask", "{}") * 3)
    got = b""
    while got.count(b"}]}\n") < 3:
        got += connection.recv(65536)
    assert [int(number) for number in re.findall(rb'"number":(\d+)', got)] == [0, 1, 2]
    connection.close()


def test_a_client_that_left_gets_no_trial(studyd):
    """Of two asks that wait, the first has gone when a trial comes back: the second gets it at once."""
    studyd.create({**SPEC, "max_trials": 1})
    first = studyd.ask_one("one")
    gone = raw(studyd, raw_post("/v1/studies/one/ask", '{"wait_s": 60, "worker": "gone"}'))
    wait_until("one ask to wait", lambda: studyd.show("one")["waiting_asks"] == 1)
    stays = raw(studyd, raw_post("/v1/studies/one/ask", '{"wait_s": 60, "worker": "stays"}'))
    wait_until("two asks to wait", lambda: studyd.show("one")["waiting_asks"] == 2)
    gone.close()
    studyd.tell("one", 0, first["lease"], state="waiting")
    answer = http.client.HTTPResponse(stays)
    answer.begin()
    trial = json.loads(answer.read())["trials"][0]
    assert (trial["number"], trial["attempt"]) == (0, 2)
    assert studyd.trial("one", 0)["worker"] == "stays"
    stays.close()


def test_clients_that_leave_while_they_wait(studyd):
    """Long polls whose clients have gone end by themselves, and leave nothing behind."""
    studyd.create({**SPEC, "max_trials": 1})
    studyd.ask_one("one")
    for _ in range(20):
        raw(studyd, raw_post("/v1/studies/one/ask", '{"wait_s": 0.2}')).close()
        raw(studyd, b"POST /v1/studies/one/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{").close()
        raw(studyd, b"GET /v1/studies HTT").close()
    wait_until("the asks to end", lambda: studyd.show("one")["waiting_asks"] == 0)


def test_a_long_poll_waits_as_long_as_it_says(studyd):
    """With nothing to give, an ask without wait_s is answered at once, and with it when the time is over."""
    studyd.create({**SPEC, "max_trials": 1})
    studyd.ask_one("one")
    assert studyd.ask("one") == {"state": "waiting", "trials": []}
    assert studyd.ask("one", wait_s=0.05) == {"state": "waiting", "trials": []}
    with pytest.raises(Refused) as refusal:
        studyd.ask("one", wait_s=61)
    assert refusal.value.document["field"] == "wait_s"
