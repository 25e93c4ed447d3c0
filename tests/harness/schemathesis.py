# SPDX-License-Identifier: MIT
"""Schemathesis, which makes up requests from proto/openapi.yaml; in an environment of its own, made by scripts/make-peers."""

import copy
import json
import re
import subprocess

import pytest
import yaml

from harness import child, openapi
from harness.studyd import ROOT

MAX_WAIT_S = 0.01   # an ask that waits is tested elsewhere
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "unsupported_method", "allow_header_conformance", "use_after_free",
          "ensure_resource_availability"]   # without ignored_auth: who tries without a token too often is told 429, not 401
TRIAL = {"study": "$request.path.study", "number": "$response.body#/trials/0/number"}
LEASE = {"lease": "$response.body#/trials/0/lease"}
LINKS = {   # operation: status, and what follows with which parameters and members of its body
    "createStudy": ("201", [(name, {"study": "$response.body#/name"}, None) for name in [
        "getStudy", "changeStudy", "askStudy", "bestTrials", "listTrials", "enqueueTrial"]] + [
        ("deleteStudy", {"study": "$response.body#/name", "force": "true"}, None)]),
    "askStudy": ("200", [("reportTrial", TRIAL, LEASE | {"step": 1, "value": 0.5}), ("heartbeatTrial", TRIAL, LEASE),
                         ("tellTrial", TRIAL, LEASE | {"value": 0.25}), ("getTrial", TRIAL, None)]),
}


def _spell_out_default(operation):
    """Each status that the default answer's description names, in its place: `default` would let any pass."""
    default = operation["responses"].pop("default")
    description = default.get("description") or openapi.resolve(default)["description"]
    for status in re.findall(r"\((\d{3})\)", description):
        operation["responses"].setdefault(status, default)


def _add_links(operation):
    status, followers = LINKS.get(operation["operationId"], (None, []))
    for follower, parameters, body in followers:
        link = {"operationId": follower, "parameters": parameters}
        if body:
            link["requestBody"] = body
            link["x-schemathesis"] = {"merge_body": False}
        operation["responses"][status].setdefault("links", {})[follower] = link


def document(study=None, trial=None):
    """proto/openapi.yaml, stricter, with what follows from what, and without long waits. About one study and one trial of
    it, which is handed out, where they are given."""
    found = copy.deepcopy(openapi.DOCUMENT)
    components = found["components"]
    for item in found["paths"].values():
        for method, operation in item.items():
            if method != "parameters":
                _spell_out_default(operation)
                _add_links(operation)
    # Most studies are to be valid: a schema cannot say that low is at most high, or which choices are the same.
    spec = components["schemas"]["StudySpec"]["properties"]
    spec["space"] |= {"maxProperties": 2, "propertyNames": {"pattern": "^[a-z]{1,8}$"}}
    spec["directions"]["maxItems"] = 1
    spec["objective"] = {"type": "object", "maxProperties": 0}
    components["schemas"]["CategoricalDistribution"]["properties"]["choices"] |= {"items": {"type": "integer"}, "uniqueItems": True}
    for name in ["FloatDistribution", "IntDistribution"]:
        components["schemas"][name]["properties"]["low"] |= {"minimum": -1e6, "maximum": 1}
        components["schemas"][name]["properties"]["high"] |= {"minimum": 1, "maximum": 1e6}
        for key in ["step", "log"]:
            components["schemas"][name]["properties"].pop(key)
    for name in ["Ask", "AskAny"]:
        components["schemas"][name]["properties"]["wait_s"]["maximum"] = MAX_WAIT_S
    if study:
        components["parameters"]["study"]["schema"] = {"enum": [study]}
        components["parameters"]["number"]["schema"] = {"enum": [trial["number"]]}
        components["schemas"]["StudyChange"]["properties"] |= {   # it goes on
            "state": {"enum": ["running"]}, "max_trials": {"type": "null"}, "max_seconds": {"type": "null"},
            "max_failed_trials": {"type": "null"}}
        for name in ["Report", "Heartbeat", "Tell"]:
            components["schemas"][name]["properties"]["lease"] = {"enum": [trial["lease"]]}
    return found


class Schemathesis:
    def __init__(self):
        self.program = ROOT / ".venv" / "schemathesis" / "bin" / "schemathesis"
        if not self.program.exists():
            pytest.skip(".venv/schemathesis is not there: scripts/make-peers could not reach PyPI")

    def run(self, directory, url, token, document, *options):
        """Runs it to its end: (exit code, what it says, [(method, path, status)] of all it has sent)."""
        schema, report = directory / "openapi.yaml", directory / "calls.json"
        schema.write_text(yaml.safe_dump(document, sort_keys=False))
        done = subprocess.run(
            [self.program, "run", schema, "--url", url, "-H", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS),
             "--seed", "1", "--no-color", "--report", "har", "--report-har-path", report, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, cwd=directory,
            preexec_fn=child.die_with_parent, check=False)
        assert report.exists(), done.stdout
        calls = [(entry["request"]["method"], entry["request"]["url"].removeprefix(url).split("?")[0],
                  entry["response"]["status"]) for entry in json.loads(report.read_text())["log"]["entries"]]
        return done.returncode, done.stdout, calls
