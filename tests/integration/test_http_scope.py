# SPDX-License-Identifier: MIT
"""Tokens that are held to some studies: on every route, the others are not there."""

import signal
import subprocess
import threading

import pytest

from harness import child, openapi
from harness.http_json import Http, path
from harness.studyd import BUILD, sanitizer_env

STUDYD = str(BUILD / "daemon" / "studyd")
SPACE = {"x": {"type": "float", "low": 0, "high": 1}}

# How each route keeps to a token's studies. A new route needs its line here, and what it says is then tried.
OPEN = "has nothing of any study"
NAMED = "404 for another study, as for none"
LISTED = "lists only its studies"
MADE = "403 for another name"
ASKED = "brings trials of its studies only"
ROUTES = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): LISTED,
    ("GET", "/openapi.yaml"): OPEN,
    ("GET", "/"): LISTED,
    ("GET", "/v1/studies"): LISTED,
    ("POST", "/v1/studies"): MADE,
    ("GET", "/v1/studies/{study}"): NAMED,
    ("PATCH", "/v1/studies/{study}"): NAMED,
    ("DELETE", "/v1/studies/{study}"): NAMED,
    ("GET", "/v1/studies/{study}/best"): NAMED,
    ("GET", "/v1/studies/{study}/trials"): NAMED,
    ("GET", "/v1/studies/{study}/trials/{number}"): NAMED,
    ("POST", "/v1/ask"): ASKED,
    ("POST", "/v1/studies/{study}/ask"): NAMED,
    ("POST", "/v1/studies/{study}/enqueue"): NAMED,
    ("POST", "/v1/studies/{study}/trials/{number}/report"): NAMED,
    ("POST", "/v1/studies/{study}/trials/{number}/heartbeat"): NAMED,
    ("POST", "/v1/studies/{study}/trials/{number}/tell"): NAMED,
    ("GET", "/v1/workers"): LISTED,
}


def routes_that(how):
    return [route for route, kept in ROUTES.items() if kept == how]


def spec(name, **more):
    return {"name": name, "space": SPACE, "max_trials": 100, **more}


def new_token(file, role, studies=None):
    made = subprocess.run([STUDYD, "--token-file", file, "--new-token", role,
                           *(["--for-studies", studies] if studies else [])], capture_output=True, text=True,
                          timeout=30, check=True, env=sanitizer_env(), preexec_fn=child.die_with_parent)
    return made.stdout.strip()


@pytest.fixture
def studyd(start_studyd, sqlite, directory):
    """A studyd with the studies mine, mine-2 and other, each with a trial that a worker of that name holds."""
    file = directory / "tokens"
    tokens = {role: new_token(file, role, "mine,mine-*") for role in ("reader", "worker", "admin")}
    all_token = new_token(file, "admin")
    studyd = start_studyd(sqlite, "--token-file", file)
    studyd.scoped = {role: Http(studyd.url, token) for role, token in tokens.items()}
    studyd.http.token = all_token
    studyd.token_file = file
    studyd.leases = {}
    for name in ("mine", "mine-2", "other"):
        studyd.create(spec(name))
        studyd.leases[name] = studyd.http.post(path("studies", name, "ask"), {"worker": f"works-on-{name}"})["trials"][0]["lease"]
    return studyd


def bodies(studyd, method, route):
    """A body that would be taken, had the study been there."""
    if method in ("GET", "DELETE"):
        return None
    lease = studyd.leases["other"]
    return {"PATCH": {"state": "paused"}, "ask": {"worker": "me"}, "enqueue": {"params": {"x": 0.5}},
            "report": {"lease": lease, "step": 1, "value": 0.5}, "heartbeat": {"lease": lease},
            "tell": {"lease": lease, "value": 0.5}}[method if method == "PATCH" else route.rsplit("/", 1)[1]]


def test_every_route_is_treated():
    """The table above is the whole API."""
    assert set(ROUTES) == {(method, route) for method, route, _ in openapi.operations()}


def test_another_study_is_not_there(studyd):
    """What names a study answers for another one just what it answers for none, and does nothing."""
    for method, route in routes_that(NAMED):
        body = bodies(studyd, method, route)
        answers = []
        for name in ("other", "nosuch"):
            target = route.replace("{study}", name).replace("{number}", "0") + ("?force=true" if method == "DELETE" else "")
            answer = studyd.scoped["admin"].request(method, target, body)
            answers.append((answer.status, answer.text().replace(name, "…")))
        assert answers[0] == answers[1] and answers[0][0] == 404, (method, route, answers)
        assert "that this token is for (mine,mine-*)" in answers[0][1]
    trial = studyd.http.get(path("studies", "other", "trials", 0))
    assert trial["state"] == "running" and not trial["intermediate_values"]
    assert studyd.http.get(path("studies", "other"))["state"] == "running"


def test_its_own_studies_are_there(studyd):
    """The same requests do reach the studies that the token is for."""
    for method, route in routes_that(NAMED):
        if method == "DELETE":
            continue
        body = bodies(studyd, method, route)
        if body and "lease" in body:
            body["lease"] = studyd.leases["mine-2"]
        answer = studyd.scoped["admin"].request(method, route.replace("{study}", "mine-2").replace("{number}", "0"), body)
        assert answer.status in (200, 201), (method, route, answer.text())
        studyd.http.patch(path("studies", "mine-2"), {"state": "running"})


def test_lists_have_its_studies_only(studyd):
    """Neither the lists nor the page for people say a name that is of another study; for all, they do."""
    for role in ("reader", "worker", "admin"):
        for method, route in routes_that(LISTED):
            text = studyd.scoped[role].request(method, route).text()
            assert "mine" in text and "mine-2" in text, (role, route)
            assert "other" not in text, (role, route)
            assert "other" in studyd.http.request(method, route).text(), route
    workers = studyd.scoped["reader"].get("/v1/workers")["workers"]
    assert [(worker["name"], worker["running"]) for worker in workers] == [("works-on-mine", 1), ("works-on-mine-2", 1)]


def test_what_is_open_names_no_study(studyd):
    """Health and the API's description have nothing of any study."""
    for method, route in routes_that(OPEN):
        answer = studyd.scoped["reader"].request(method, route)
        assert answer.status == 200 and "works-on" not in answer.text() and "mine-2" not in answer.text(), route


def test_making_a_study(studyd):
    """Only under a name of its own, whether it is there or not."""
    (method, route), = routes_that(MADE)
    for name, expected in (("mine-3", 201), ("other", 403), ("new", 403), ("min", 403)):
        answer = studyd.scoped["admin"].request(method, route + "?exist_ok=true", spec(name))
        assert answer.status == expected, (name, answer.text())
        if expected == 403:
            assert answer.json()["type"] == "urn:studyd:forbidden" and "mine,mine-*" in answer.json()["detail"]
    assert [study["name"] for study in studyd.http.get(route)["studies"]] == ["mine", "mine-2", "mine-3", "other"]


def test_asking(studyd):
    """An ask of all studies brings trials of its own only, is told "finished" when those are, and waits with others' work lying there."""
    (_, route), = routes_that(ASKED)
    worker = studyd.scoped["worker"]
    for _ in range(4):
        assert worker.post(route, {"worker": "me"})["trials"][0]["study"] in ("mine", "mine-2")
    for name in ("mine", "mine-2"):
        studyd.http.patch(path("studies", name), {"state": "paused"})
    assert worker.post(route, {"worker": "me"}) == {"state": "waiting", "trials": []}
    for name in ("mine", "mine-2"):
        studyd.http.patch(path("studies", name), {"state": "stopped"})
    assert worker.post(route, {"worker": "me"})["state"] == "finished"
    assert studyd.http.get(path("studies", "other"))["counts"]["running"] == 1


def test_asking_before_they_are_there(studyd):
    """A token whose studies are still to come: it waits for them, and is not told "finished" because others have some."""
    (_, route), = routes_that(ASKED)
    early = Http(studyd.url, new_token(studyd.token_file, "worker", "later-*"))
    studyd.process.send_signal(signal.SIGHUP)
    studyd.wait_for_log("the settings were read again")
    assert early.post(route, {"worker": "me"}) == {"state": "waiting", "trials": []}
    studyd.create(spec("later-1", max_trials=1))
    assert early.post(route, {"worker": "me"})["trials"][0]["study"] == "later-1"


def test_anothers_request_id_brings_nothing(studyd):
    """Whoever repeats another one's ask, id and all, does not get the trials of studies that are not his."""
    (_, route), = routes_that(ASKED)
    for name in ("mine", "mine-2"):
        studyd.http.patch(path("studies", name), {"state": "paused"})
    ask = {"worker": "me", "request_id": "one"}
    first = studyd.http.post(route, ask)
    assert first["trials"][0]["study"] == "other"
    assert studyd.http.post(route, ask) == first
    assert studyd.scoped["worker"].post(route, ask) == {"state": "waiting", "trials": []}


def test_a_wait_that_outlives_a_reload(studyd):
    """An ask that waits while its token is deleted goes on under what that token was worth, and no longer."""
    (_, route), = routes_that(ASKED)
    for name in ("mine", "mine-2"):
        studyd.http.patch(path("studies", name), {"state": "paused"})
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(
        studyd.scoped["worker"].post(route, {"worker": "late", "wait_s": 50})), daemon=True)
    waiting.start()
    child.wait_until("the ask to wait", lambda: "late" in studyd.http.request("GET", "/v1/workers").text())
    lines = studyd.token_file.read_text().splitlines(keepends=True)
    studyd.token_file.write_text("".join(lines[2:]))
    studyd.process.send_signal(signal.SIGHUP)
    studyd.wait_for_log("the settings were read again")
    assert studyd.scoped["worker"].request("GET", "/v1/studies").status == 401
    studyd.http.patch(path("studies", "mine-2"), {"state": "running"})
    waiting.join(20)
    assert [trial["study"] for trial in answers[0]["trials"]] == ["mine-2"]
