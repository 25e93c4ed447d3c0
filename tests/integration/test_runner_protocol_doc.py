# SPDX-License-Identifier: MIT
"""The complete runner that docs/runner-protocol.md shows does what the text around it says."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

TEXT = (pathlib.Path(__file__).parents[2] / "docs" / "runner-protocol.md").read_text()
TRIAL = {"op": "trial", "study": "s", "number": 0, "attempt": 1, "params": {"x": 1, "y": 1}, "objective": {"offset": 1},
         "device": "cpu", "threads": 1, "seed": 1, "wait": False}


@pytest.fixture
def run(tmp_path):
    """run(lines): what the runner of the text answers to them."""
    program = tmp_path / "quadratic.py"
    program.write_text(re.search(r"```python\n(.*?)```", TEXT, re.S).group(1))

    def run_lines(*lines):
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        ended = subprocess.run([sys.executable, program], input=text, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 0, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]
    return run_lines


def test_trials_and_a_late_prune(run):
    """Ready, ten reports, done; a prune between two trials is passed over; the process serves the next."""
    messages = run(TRIAL, {"op": "prune"}, TRIAL)
    assert [message["op"] for message in messages] == ["ready"] + 2 * (10 * ["report"] + ["done"])
    assert messages[11] == {"op": "done", "values": [6], "attrs": {"steps": 10}}


def test_waiting(run):
    """Where reports are answered it waits for each, and stops when told."""
    messages = run({**TRIAL, "wait": True}, {"op": "continue"}, {"op": "prune"})
    assert [message["op"] for message in messages] == ["ready", "report", "report", "pruned"]


def test_the_command_by_hand(tmp_path, run):
    """The shell command of the text works as it stands."""
    run()
    command = re.search(r"    (echo '\{\"op\": \"trial\".*?quadratic\.py)\n", TEXT, re.S).group(1)
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert '"op": "done", "values": [5]' in ended.stdout, ended.stderr
