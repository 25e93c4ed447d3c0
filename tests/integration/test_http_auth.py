# SPDX-License-Identifier: MIT
"""Tokens: who may do what, how tokens are made, and that they can change while studyd runs."""

import signal
import subprocess

import pytest

from harness import child
from harness.http_json import Http, path
from harness.studyd import BUILD, sanitizer_env

STUDYD = str(BUILD / "daemon" / "studyd")
SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}}
TRIAL = path("studies", "one", "trials", 0)

# Who may: the least role for each kind of request. Bodies are made so that nothing happens.
READS = [("GET", target) for target in ("/", "/openapi.yaml", "/v1/studies", "/v1/studies/one", "/v1/studies/one/best",
                                        "/v1/studies/one/trials", TRIAL, "/v1/workers")]
WORK = [("POST", target) for target in ("/v1/ask", "/v1/studies/one/ask", TRIAL + "/report", TRIAL + "/heartbeat",
                                        TRIAL + "/tell")]
CHANGES = [("POST", "/v1/studies"), ("POST", "/v1/studies/one/enqueue"), ("PATCH", "/v1/studies/one"),
           ("DELETE", "/v1/studies/none")]


def run(*arguments):
    return subprocess.run([STUDYD, *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False,
                          env=sanitizer_env(), preexec_fn=child.die_with_parent)


def new_token(file, role):
    made = run("--token-file", file, "--new-token", role)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture
def tokens(directory):
    """A token file with a token for each role."""
    file = directory / "tokens"
    return file, {role: new_token(file, role) for role in ("reader", "worker", "admin")}


@pytest.fixture
def studyd(start_studyd, sqlite, tokens):
    studyd = start_studyd(sqlite, "--token-file", tokens[0])
    studyd.http.token = tokens[1]["admin"]
    studyd.create(SPEC)
    return studyd


def status(studyd, token, method, target):
    body = None if method in ("GET", "DELETE") else {"nothing": 0}
    return Http(studyd.url, token).request(method, target, body)


def test_roles(studyd, tokens):
    """A reader reads, a worker runs trials too, an admin changes studies too; health is open to all."""
    ranks = {None: 0, "reader": 1, "worker": 2, "admin": 3}
    for role, rank in ranks.items():
        token = tokens[1].get(role)
        for least, requests in ((0, [("GET", "/healthz"), ("GET", "/readyz")]), (1, READS), (2, WORK), (3, CHANGES)):
            for method, target in requests:
                answer = status(studyd, token, method, target)
                if rank >= least:
                    assert answer.status in (200, 400, 404), (role, method, target)
                elif role is None:
                    assert answer.status == 401, (role, method, target)
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                    assert answer.json()["type"] == "urn:studyd:unauthorized"
                else:
                    assert answer.status == 403, (role, method, target)
                    assert answer.json()["type"] == "urn:studyd:forbidden"
                    assert role in answer.json()["detail"]


def test_wrong_tokens(studyd, tokens):
    """A token that is none, another scheme, or a token's hash: 401."""
    file, made = tokens
    hashes = [line.split()[1] for line in file.read_text().splitlines()]
    for value in ("Bearer nonsense", "Basic " + made["admin"], made["admin"], f"Bearer {hashes[2]}", "Bearer"):
        answer = Http(studyd.url).request("GET", "/v1/studies", headers={"Authorization": value})
        assert answer.status == 401, value


def test_who_fails_too_often_is_told_to_slow_down(studyd, tokens):
    """Beyond a burst it is 429 instead of 401, a valid token from the same address passes, and the log says who it is, once."""
    statuses = [status(studyd, f"nonsense{i}", "GET", "/v1/studies").status for i in range(60)]
    assert statuses[:20] == [401] * 20 and set(statuses[20:]) <= {401, 429} and 429 in statuses
    while (answer := status(studyd, None, "GET", "/v1/studies")).status != 429:
        pass  # one in each second is 401
    assert int(answer.headers["Retry-After"]) >= 1 and answer.json()["type"] == "urn:studyd:slow-down"
    assert "valid token" in answer.json()["detail"]
    assert status(studyd, tokens[1]["reader"], "GET", "/v1/studies").status == 200
    assert status(studyd, tokens[1]["worker"], "POST", "/v1/studies").status == 403  # known: no failure
    lines = [line for line in studyd.log().splitlines() if "without a valid token" in line]
    assert len(lines) == 1 and "address=127.0.0.1 " in lines[0] and "--new-token" in lines[0]


def test_a_lease_is_its_holders(studyd, tokens):
    """No answer to a read holds a lease; without the right one a worker changes nothing of a trial that another holds."""
    offer = studyd.ask_one("one", worker="holder")
    for role in ("reader", "worker", "admin"):
        for method, target in READS:
            if target != "/openapi.yaml":
                assert offer["lease"] not in status(studyd, tokens[1][role], method, target).text(), target
    other = Http(studyd.url, tokens[1]["worker"])
    guess = "0" * len(offer["lease"])
    for what, body in (("heartbeat", {}), ("report", {"step": 1, "value": 1.0}), ("tell", {"value": 1.0})):
        answer = other.request("POST", f"{TRIAL}/{what}", {"lease": guess, **body})
        assert (answer.status, answer.json()["type"]) == (409, "urn:studyd:lease-superseded"), what
    assert studyd.tell("one", 0, offer["lease"], 0.5)["state"] == "complete"


def test_tokens_change_while_it_runs(studyd, tokens):
    """SIGHUP takes in a new token and forgets a deleted one; a broken file changes nothing, and is said."""
    file, made = tokens
    later = new_token(file, "reader")
    assert status(studyd, later, "GET", "/v1/studies").status == 401
    studyd.process.send_signal(signal.SIGHUP)
    studyd.wait_for_log("the settings were read again")
    assert status(studyd, later, "GET", "/v1/studies").status == 200

    lines = file.read_text().splitlines(keepends=True)
    file.write_text("nonsense\n" + "".join(lines))
    studyd.process.send_signal(signal.SIGHUP)
    assert f"{file}:1:" in studyd.wait_for_log("the old ones stay")
    assert status(studyd, later, "GET", "/v1/studies").status == 200

    file.write_text("".join(lines[:3]))
    studyd.process.send_signal(signal.SIGHUP)
    child.wait_until("the token to be forgotten", lambda: status(studyd, later, "GET", "/v1/studies").status == 401)
    assert status(studyd, made["reader"], "GET", "/v1/studies").status == 200


def test_a_worker_with_a_token(studyd, tokens, start_worker, directory):
    """study-worker shows its token; without it, it says what is missing."""
    token = directory / "worker.token"
    token.write_text(tokens[1]["worker"] + "\n")
    worker = start_worker(studyd, "--token-file", token, "--runner", "none=false")
    child.wait_until("the worker to be seen", lambda: studyd.http.get("/v1/workers")["workers"])
    worker.stop(143)
    nameless = start_worker(studyd, "--runner", "none=false", name="nameless", stopped=1)
    assert nameless.wait(30) == 1 and "set token_file" in nameless.log()
    token.write_text("nonsense\n")
    unknown = start_worker(studyd, "--token-file", token, "--runner", "none=false", name="unknown", stopped=1)
    assert unknown.wait(30) == 1 and "does not know the token in token_file" in unknown.log()


def test_beyond_loopback(directory, sqlite, tokens):
    """Without tokens it does not start on an address that others can reach, unless it is told to in so many words."""
    answer = run("--listen", "0.0.0.0:0", "--store", sqlite.url)
    assert answer.returncode == 2
    assert "--token-file" in answer.stderr and "--allow-unauthenticated" in answer.stderr
    for option in (("--allow-unauthenticated",), ("--token-file", tokens[0])):
        assert run("--listen", "0.0.0.0:0", "--store", sqlite.url, "--check-config", *option).returncode == 0


def test_an_address_that_is_listened_on_is_a_host_of_ours(start_studyd, sqlite, tokens):
    """Clients that come by an address of `listen`, or by one of `hosts`, may change things; by another name not."""
    studyd = start_studyd(sqlite, "--token-file", tokens[0], "--listen", "0.0.0.0:0", "--hosts", "study.example")
    http = Http(studyd.url, tokens[1]["admin"])
    for number, (host, expected) in enumerate((("0.0.0.0:8090", 201), ("study.example", 201), ("Study.Example:80", 201),
                                               ("a.study.example", 403), ("192.0.2.1:8090", 403))):
        answer = http.request("POST", "/v1/studies", {**SPEC, "name": f"s{number}"}, {"Host": host})
        assert answer.status == expected, host
