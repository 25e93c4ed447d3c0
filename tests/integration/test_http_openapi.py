# SPDX-License-Identifier: MIT
"""The server and proto/openapi.yaml against each other: what is answered is described, what is described is answered, and the
keys of requests are the same. (That paths, methods, roles and query parameters agree, a unit test of the routes says.)"""

import json
import re
import sqlite3

import pytest

from harness import openapi
from harness.http_json import path
from harness.studyd import ROOT

SPEC = {
    "name": "one",
    "directions": ["minimize"],
    "space": {"f": {"type": "float", "low": 1, "high": 2, "log": True}, "i": {"type": "int", "low": 0, "high": 9, "step": 3},
              "c": {"type": "categorical", "choices": ["a", None, True, 1.5]}},
    "sampler": {"type": "tpe", "seed": 1},
    "pruner": {"type": "nop"},
    "max_trials": 10, "max_failed_trials": 5, "max_seconds": 100, "trial_timeout_s": 60, "lease_s": 30, "retries": 1,
    "objective": {"runner": "none", "whatever": {"it": "needs"}},
}


@pytest.fixture
def studyd(start_studyd, sqlite):
    return start_studyd(sqlite)


class Judge:
    """Sends requests, and holds each answer to the description of its operation."""

    def __init__(self, http):
        self.http = http
        self.operations = {(method, target): operation for method, target, operation in openapi.operations()}
        self.seen = set()   # (method, path, status)
        self.keys = set()   # (schema, key) of the described members that came
        self.problems = set()   # (method, path, status, type)

    def call(self, method, template, status, body=None, query="", headers=None, **arguments):
        target = path(*[arguments.get(part.strip("{}"), part) for part in template.split("/")[2:]]) \
            if template.startswith("/v1") else template
        answer = self.http.request(method, target + query, body, headers)
        assert answer.status == status, answer.text()
        kind, schema = openapi.response_schema(self.operations[method, template], status)
        self.seen.add((method, template, status))
        if kind is None:
            assert answer.body == b""
            return None
        if headers is None:
            assert answer.headers["Content-Type"].split(";")[0] == kind
        if not answer.headers["Content-Type"].endswith("json"):
            return answer.text()
        wrong = list(openapi.errors(answer.json(), schema))
        assert not wrong, wrong
        self.mark(answer.json(), schema)
        if status >= 400:
            problem = answer.json()["type"].removeprefix("urn:studyd:")
            assert problem in openapi.problem_types(self.operations[method, template], status)
            self.problems.add((method, template, status, problem))
        return answer.json()

    def mark(self, value, schema):
        """Notes which members of named schemas were there."""
        name = schema.get("$ref", "").rpartition("/")[2]
        schema = openapi.resolve(schema)
        for choice in schema.get("oneOf", []):
            if not list(openapi.errors(value, choice)):
                self.mark(value, choice)
        if isinstance(value, list):
            for item in value:
                self.mark(item, schema.get("items", {}))
        if isinstance(value, dict):
            for key, member in value.items():
                self.keys.add((name, key))
                self.mark(member, schema.get("properties", {}).get(key, {}))


def described_members(operation, statuses):
    """(schema, key) of everything that these answers may hold."""
    found = set()

    def walk(schema):
        name = schema.get("$ref", "").rpartition("/")[2]
        schema = openapi.resolve(schema)
        for key, member in schema.get("properties", {}).items():
            if (name, key) not in found:
                found.add((name, key))
                walk(member)
        for choice in schema.get("oneOf", []):
            walk(choice)
        walk(schema["items"]) if "items" in schema else None

    for status in statuses:
        kind, schema = openapi.response_schema(operation, status)
        if kind and kind.endswith("json"):
            walk(schema)
    return found


def go_everywhere(judge):
    """Each operation once with each answer that it describes."""
    one, trial = {"study": "one"}, {"study": "one", "number": 0}
    judge.call("POST", "/v1/studies", 201, SPEC)
    judge.call("POST", "/v1/studies", 200, SPEC, "?exist_ok=true")
    judge.call("POST", "/v1/studies", 201, {**SPEC, "name": "two", "directions": ["minimize", "maximize"], "sampler": {"type": "random"}})
    judge.call("POST", "/v1/studies/{study}/enqueue", 201, {"params": {"f": 1.5}, "request_id": "a"}, **one)
    offer = judge.call("POST", "/v1/studies/{study}/ask", 200, {"worker": "w", "count": 1}, **one)["trials"][0]
    lease = {"lease": offer["lease"]}
    judge.call("POST", "/v1/ask", 200, {"worker": "w", "runners": ["none"]})
    judge.call("POST", "/v1/studies/{study}/trials/{number}/report", 200, {**lease, "step": 1, "value": "NaN"}, **trial)
    judge.call("POST", "/v1/studies/{study}/trials/{number}/heartbeat", 200, lease, **trial)
    judge.call("GET", "/v1/studies/{study}/trials/{number}", 200, **trial)
    judge.call("POST", "/v1/studies/{study}/trials/{number}/tell", 200, {**lease, "value": 1, "constraints": [0]}, **trial)
    judge.call("GET", "/v1/studies/{study}/trials/{number}", 200, **trial)
    judge.call("GET", "/v1/studies/{study}/trials", 200, query="?state=complete&since=0&limit=5", **one)
    judge.call("GET", "/v1/studies/{study}/trials", 200, headers={"Accept": "text/csv"}, **one)
    judge.call("GET", "/v1/studies/{study}/best", 200, **one)
    judge.call("GET", "/v1/studies", 200)
    judge.call("GET", "/v1/studies/{study}", 200, **one)
    judge.call("GET", "/v1/studies/{study}", 200, study="two")
    judge.call("GET", "/v1/workers", 200)
    offer = judge.call("POST", "/v1/ask", 200, {"worker": "w", "except": ["two"]})["trials"][0]
    judge.call("POST", "/v1/studies/{study}/trials/{number}/tell", 200, {"lease": offer["lease"], "value": "NaN"}, study="one",
               number=offer["number"])
    judge.call("PATCH", "/v1/studies/{study}", 200, {"state": "stopped"}, **one)
    judge.call("POST", "/v1/studies/{study}/ask", 200, {}, **one)
    for target in ("/healthz", "/readyz", "/metrics", "/openapi.yaml", "/"):
        judge.call("GET", target, 200)
    judge.call("DELETE", "/v1/studies/{study}", 204, **one)


def test_answers_are_as_described(studyd):
    """Every operation gives every answer that is described, with no member more or less; and every member comes once."""
    judge = Judge(studyd.http)
    go_everywhere(judge)
    described, members = set(), set()
    for method, target, operation in openapi.operations():
        statuses = [int(status) for status in operation["responses"] if status != "default" and int(status) < 400]
        described |= {(method, target, status) for status in statuses}
        members |= described_members(operation, statuses)
    assert judge.seen == described
    assert members - judge.keys == set()


def test_problems_are_as_described(studyd):
    """Refusals, too; and their types are those of the file."""
    judge = Judge(studyd.http)
    judge.call("POST", "/v1/studies", 400, {"nothing": 1})
    judge.call("GET", "/v1/studies/{study}", 404, study="none")
    judge.call("POST", "/v1/studies", 403, SPEC, headers={"Host": "evil.example"})
    judge.call("POST", "/v1/studies", 413, b" " * (2 << 20))
    header = (ROOT / "proto" / "problem.h").read_text()
    types = {f"urn:studyd:{name}" for name in re.findall(r'X\(\w+, "([a-z-]+)", \d+', header)}
    assert set(openapi.schema_named("Problem")["properties"]["type"]["enum"]) == types


TRIAL = "/v1/studies/{study}/trials/{number}"


def refuse_everywhere(judge, lease):
    """Each operation with each problem that it describes beside those of all. Trial 0 is told, 1 is open under `lease`."""
    none, one, bare = {"study": "none"}, {"study": "one"}, {"study": "bare"}
    for method, suffix, body in (("GET", "", None), ("PATCH", "", {}), ("DELETE", "", None), ("POST", "/ask", {}),
                                 ("POST", "/enqueue", {"params": {}}), ("GET", "/trials", None), ("GET", "/best", None)):
        judge.call(method, "/v1/studies/{study}" + suffix, 404, body, **none)
    judge.call("GET", TRIAL, 404, number=9, **one)
    for what, body in (("report", {"step": 2, "value": 1}), ("heartbeat", {}), ("tell", {"value": 1})):
        judge.call("POST", f"{TRIAL}/{what}", 404, {"lease": lease, **body}, number=9, **one)
        for number in (0, 1):
            judge.call("POST", f"{TRIAL}/{what}", 409, {"lease": "0" * 32, **body}, number=number, **one)
    judge.call("POST", "/v1/studies", 409, SPEC)
    judge.call("PATCH", "/v1/studies/{study}", 409, {"max_trials": 9}, **bare)
    judge.call("POST", "/v1/studies/{study}/ask", 409, {}, **bare)
    judge.call("POST", "/v1/studies/{study}/enqueue", 409, {"params": {}}, **bare)
    for route, body in (("/v1/studies/{study}/ask", {}), ("/v1/studies/{study}/enqueue", {"params": {}}), ("/v1/ask", {})):
        judge.http.request("POST", route.replace("{study}", "one"), {**body, "request_id": route})
        judge.call("POST", route, 422, {"user_attrs": {"a": 1}, **body, "request_id": route} if "params" in body
                   else {"worker": "other", "request_id": route}, **one)
    judge.http.patch("/v1/studies/one", {"state": "stopped"})
    judge.call("POST", "/v1/studies/{study}/enqueue", 409, {"params": {}}, **one)


def test_every_described_problem_comes(studyd, sqlite):
    """What is listed with an operation's statuses is really answered, but for a database that refuses, and studies deleted
    meanwhile."""
    studyd.stop()
    with sqlite3.connect(sqlite.path) as connection:  # a study of Optuna's without a trial
        study = connection.execute("INSERT INTO studies (study_name) VALUES ('bare')").lastrowid
        connection.execute("INSERT INTO study_directions (direction, study_id, objective) VALUES ('MINIMIZE', ?, 0)", (study,))
    connection.close()
    studyd.start()
    studyd.create(SPEC)
    trial = studyd.ask_one("one")
    studyd.tell("one", 0, trial["lease"], 1.0)
    judge = Judge(studyd.http)
    refuse_everywhere(judge, studyd.ask_one("one")["lease"])
    described = {(method, target, int(status), problem) for method, target, operation in openapi.operations()
                 for status in operation["responses"] if status[0] in "45"
                 for problem in openapi.problem_types(operation, status)}
    left = {(method, target) for method, target, _, problem in described - judge.problems if problem != "store-refused"}
    assert left == {("POST", "/v1/studies"), ("POST", "/v1/ask")}
    assert len(judge.problems) >= 25


def known_keys(studyd, method, target, body, where=""):
    """The keys that the server says it knows, when it is sent one that it does not."""
    answer = studyd.http.request(method, target, body)
    assert answer.status == 400, answer.text()
    assert answer.json()["field"] == where + "zzzzzzzz"
    return set(re.search(r"known keys are (.*)$", answer.json()["detail"]).group(1).replace('"', "").split(", "))


def test_requests_have_the_same_keys(studyd):
    """Each request is refused with an unknown key, and the keys that the refusal lists are those of the file."""
    studyd.create(SPEC)
    studyd.ask_one("one")
    for method, template, operation in openapi.operations():
        if "requestBody" not in operation:
            continue
        schema = openapi.request_schema(operation)
        assert schema["additionalProperties"] is False
        needed = {"name": "two", "space": SPEC["space"], "params": {}, "lease": "0" * 32, "step": 1, "value": 1}
        body = {key: needed[key] for key in schema["properties"] if key in needed}
        target = template.replace("{study}", "one").replace("{number}", "0")
        assert known_keys(studyd, method, target, {**body, "zzzzzzzz": 1}) == set(schema["properties"]), template


@pytest.mark.parametrize("member, schema, value", [
    ("sampler", "Sampler", {"type": "tpe"}),
    ("pruner", "Pruner", {"type": "nop"}),
    ("space.x", "FloatDistribution", {"type": "float", "low": 0, "high": 1}),
    ("space.x", "IntDistribution", {"type": "int", "low": 0, "high": 1}),
    ("space.x", "CategoricalDistribution", {"type": "categorical", "choices": [1]}),
])
def test_parts_of_a_spec_have_the_same_keys(studyd, member, schema, value):
    """The same for what is nested in a spec."""
    value = {**value, "zzzzzzzz": 1}
    spec = {**SPEC, "space": {"x": value}} if member == "space.x" else {**SPEC, member: value}
    assert known_keys(studyd, "POST", "/v1/studies", spec, member + ".") == \
        set(openapi.schema_named(schema)["properties"])


PLAIN = {"space": {"x": {"type": "int", "low": 0, "high": 9}}, "sampler": {"type": "random"}}


def beside(schema, key, value):
    """What must stand beside this member for the request to be whole."""
    if schema == "Report":
        return {} if key == "intermediate_values" else {"step": 1, "value": 1}
    if schema == "Tell":
        return {"state": "fail"} if key == "class" else {} if key in ("value", "values") or value in ("pruned", "fail", "waiting") \
            else {"value": 1}
    return {"params": {}} if schema == "Enqueue" else {}


def send(studyd, name, method, template, body):
    """The request, about a new study and, where it needs one, a new trial."""
    n_values = min(32, max(1, len(body.get("values", []))))
    studyd.create({**PLAIN, "name": name, "directions": ["minimize"] * n_values})
    if "{number}" in template:
        body = {**body, "lease": studyd.ask_one(name)["lease"]}
    return studyd.http.request(method, template.replace("{study}", name).replace("{number}", "0"), body)


REQUESTS = {"Ask": ("POST", "/v1/studies/{study}/ask"), "AskAny": ("POST", "/v1/ask"),
            "Report": ("POST", "/v1/studies/{study}/trials/{number}/report"),
            "Tell": ("POST", "/v1/studies/{study}/trials/{number}/tell"), "Enqueue": ("POST", "/v1/studies/{study}/enqueue"),
            "StudyChange": ("PATCH", "/v1/studies/{study}")}


@pytest.mark.parametrize("schema", REQUESTS)
def test_requests_have_the_same_limits(studyd, schema):
    """Each bound and each word of the file is accepted; one beyond, or another word, is refused with the member's name."""
    n_looked_at = 0
    for key, member in openapi.schema_named(schema)["properties"].items():
        for value, allowed in openapi.edges(member):
            answer = send(studyd, f"s{n_looked_at}", *REQUESTS[schema], {**beside(schema, key, value), key: value})
            check_verdict(answer, key, value, allowed)
            n_looked_at += 1
    assert n_looked_at >= 8


def check_verdict(answer, field, value, allowed):
    what = f"{field} = {str(value)[:80]}: {answer.status} {answer.text()[:300]}"
    assert answer.status in ((200, 201) if allowed else (400,)), what
    assert allowed or answer.json()["field"] == field, what


PARTS = [  # of a spec: where, schema, what it needs
    ("", "StudySpec", {}), ("sampler.", "Sampler", {"type": "tpe"}), ("pruner.", "Pruner", {}), ("objective.", "Objective", {}),
    ("space.x.", "FloatDistribution", {"type": "float", "low": 0, "high": 1}),
    ("space.x.", "IntDistribution", {"type": "int", "low": -2**53, "high": 2**53}),
    ("space.x.", "CategoricalDistribution", {"type": "categorical", "choices": [1]}),
]


@pytest.mark.parametrize("where, schema, needed", PARTS)
def test_specs_have_the_same_limits(studyd, where, schema, needed):
    """The same for a study's spec and what is nested in it."""
    n_looked_at = 0
    for key, member in openapi.schema_named(schema)["properties"].items():
        for value, allowed in openapi.edges(member):
            part = {**needed, key: value}
            for name in reversed(where.split(".")[:-1]):
                part = {name: part}
            answer = studyd.http.request("POST", "/v1/studies", {**PLAIN, "name": f"s{n_looked_at}", **part})
            check_verdict(answer, where + key, value, allowed)
            n_looked_at += 1
    assert n_looked_at >= 1


def test_a_spec_gets_the_same_defaults(studyd):
    """What a spec leaves out is filled in with the file's defaults, and the whole is a StudySpec again."""
    spec = studyd.create({"name": "s", "space": {name: needed for _, name, needed in PARTS[-3:]}})["spec"]
    assert list(openapi.errors(spec, {"$ref": "#/components/schemas/StudySpec"})) == []
    parts = {"StudySpec": spec, "Sampler": spec["sampler"], "Pruner": spec["pruner"], **spec["space"]}
    defaults = {(schema, key): member["default"] for schema in parts
                for key, member in openapi.schema_named(schema)["properties"].items() if "default" in member}
    assert len(defaults) >= 13
    assert {(schema, key): parts[schema].get(key) for schema, key in defaults} == defaults


def test_the_file_itself(studyd):
    """It is served as it is, and every example of a study in conf/ is a StudySpec."""
    assert studyd.http.request("GET", "/openapi.yaml").text() == (ROOT / "proto" / "openapi.yaml").read_text()
    examples = sorted((ROOT / "conf" / "studies").glob("*.json"))
    assert examples
    for example in examples:
        assert list(openapi.errors(json.loads(example.read_text()), {"$ref": "#/components/schemas/StudySpec"})) == []
