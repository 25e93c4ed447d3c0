# SPDX-License-Identifier: MIT
"""Requests that Schemathesis makes up from proto/openapi.yaml: none is answered 5xx, nor with a status, a header or a body that
is not described there."""

import re
import subprocess

import pytest

from harness import openapi, schemathesis
from harness.schemathesis import Schemathesis
from harness.studyd import BUILD

SPEC = {"name": "s", "space": {"x": {"type": "float", "low": 0, "high": 1}, "c": {"type": "categorical", "choices": ["a", None]}}}


def operation_of(method, path):
    """The operation that answers, or None where none does."""
    for known, template, operation in openapi.operations():
        if method == known and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return operation["operationId"]
    return None


@pytest.fixture
def studyd(start_studyd, sqlite, directory):
    tokens = directory / "tokens"
    token = subprocess.run([BUILD / "daemon" / "studyd", "--token-file", tokens, "--new-token", "admin"], check=True,
                           capture_output=True, text=True).stdout.strip()
    studyd = start_studyd(sqlite, "--token-file", tokens)
    studyd.http.token = token
    return studyd


def check(studyd, directory, document, *options):
    """The operations that went well at least once. It must not pass by being refused: a fair share of all has to."""
    code, said, calls = Schemathesis().run(directory, studyd.url, studyd.http.token, document, *options)
    assert code == 0, said

    meant = [call for call in calls if call[2] not in (401, 405)]   # it also tries other methods, and without the token
    succeeded = [operation_of(method, path) for method, path, status in meant if status < 300]
    print(f"{len(calls)} calls, {len(meant)} meant, {len(succeeded)} succeeded")
    assert len(succeeded) >= len(meant) / 20, (len(succeeded), len(meant))
    return set(succeeded)


def test_each_operation(studyd, directory):
    """One by one, about a study and one of its running trials."""
    studyd.create(SPEC)
    trial = studyd.ask("s", count=3)["trials"][1]
    succeeded = check(studyd, directory, schemathesis.document("s", trial), "--phases", "coverage,fuzzing", "--max-examples", "5",
                      "--exclude-operation-id", "createStudy", "--exclude-operation-id", "deleteStudy")
    assert succeeded >= {operation["operationId"] for _, _, operation in openapi.operations()} - {"createStudy", "deleteStudy"}


def test_sequences(studyd, directory):
    """Beginning with nothing: a study is created, and what its creation and its asks have given is used."""
    succeeded = check(studyd, directory, schemathesis.document(), "--phases", "stateful", "--mode", "positive", "--max-examples", "60")
    assert succeeded >= {"createStudy", "deleteStudy", "askStudy"}
