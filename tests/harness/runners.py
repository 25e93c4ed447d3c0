# SPDX-License-Identifier: MIT
"""Small runners that speak the protocol by hand, well or badly."""

import collections
import pathlib
import re
import sys
import textwrap

PRELUDE = """\
import json, os, signal, sys, time

def say(**message):
    print(json.dumps(message), flush=True)

def hear():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)

def hear_trial():
    message = hear()
    while message["op"] != "trial":
        message = hear()
    return message

"""
READY = 'say(op="ready", protocol=1)\n'


def write_runner(directory, body, name="r", start=READY):
    """A runner that runs `start`, then `body` for each `trial`; returns the value for --runner."""
    path = directory / f"{name}.py"
    path.write_text(PRELUDE + textwrap.dedent(start) + "while True:\n    trial = hear_trial()\n" +
                    textwrap.indent(textwrap.dedent(body), "    "))
    return f"{name}={sys.executable} {path}"


def spec(name="s", runner="r", **more):
    """A study for such a runner."""
    return {"name": name, "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random", "seed": 1},
            "objective": {"runner": runner}, **more}


def find_runners(program, directory):
    """The ids of the processes of this program that have the directory in their command line, the workers' own apart."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace")
        except OSError:
            continue  # it has just ended
        if program in command and str(directory) in command and "study-worker" not in command:
            found.append(int(path.parent.name))
    return found


def told_trials(logs):
    """{(study, number): [(attempt, value)…]}: the complete trials that workers say, in their logs, to have told."""
    told = collections.defaultdict(list)
    for study, number, attempt, value in re.findall(
            r"trial complete slot=\d+ study=(\w+) number=(\d+) attempt=(\d+) seconds=\S+ value=(\S+)", logs):
        told[study, int(number)].append((int(attempt), float(value)))
    return told
