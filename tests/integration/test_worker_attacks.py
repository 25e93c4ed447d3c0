# SPDX-License-Identifier: MIT
"""What whoever creates a study can make a worker do: name a runner and data that its owner allows, and nothing else."""

import json
import os
import sys

import pytest

from harness.child import wait_until
from harness.http_json import Refused
from harness.runners import spec, write_runner

# A runner that tells what it was started with, and what it was sent.
TELLTALE = """\
say(op="done", values=[1], attrs={"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "trial": json.dumps(trial)})
"""
HOSTILE_OBJECTIVE = {
    "runner": "r", "command": "touch /tmp/pwned", "args": ["--model-dir", "/"], "argv": ["sh"], "executable": "/bin/sh", "cwd": "/",
    "env": {"LD_PRELOAD": "/tmp/evil.so", "LD_LIBRARY_PATH": "/tmp", "PYTHONPATH": "/tmp", "PATH": "/tmp"},
    "LD_PRELOAD": "/tmp/evil.so", "model_dir": "/etc", "libxgboost": "/tmp/evil.so",
}


@pytest.fixture
def work(start_studyd, sqlite, start_worker, directory):
    """work(*options): a studyd, and a worker that has the telltale runner "r"."""
    def start(*options):
        studyd = start_studyd(sqlite)
        worker = start_worker(studyd, "--runner", write_runner(directory, TELLTALE), "--gpus", "", *options)
        return studyd, worker
    return start


def finished(studyd, name):
    return wait_until("the study to finish", lambda: studyd.show(name)["state"] == "finished" and studyd.trial(name, 0))


def told_by(studyd, study):
    studyd.create(study)
    return finished(studyd, study["name"])["user_attrs"]


def test_a_study_changes_neither_command_nor_environment(work, directory):
    """Whatever a study's objective says, the runner's words, environment and directory are its owner's."""
    studyd, _ = work()
    plain = told_by(studyd, spec("plain", max_trials=1))
    hostile = told_by(studyd, spec("hostile", max_trials=1, objective=HOSTILE_OBJECTIVE))
    assert json.loads(hostile["trial"])["objective"] == HOSTILE_OBJECTIVE  # it came as data, through stdin
    assert plain["argv"] == hostile["argv"] == [str(directory / "r.py")]
    assert plain["env"] == hostile["env"] and plain["cwd"] == hostile["cwd"]
    assert not any("evil" in value for value in hostile["env"].values())


def test_what_is_searched_changes_neither(work):
    """Parameters with names and values like options and variables come as data, too."""
    studyd, _ = work()
    plain = told_by(studyd, spec("plain", max_trials=1))
    choices = ["$(touch /tmp/pwned)", "`id`", "--model-dir=/", "../../etc/passwd", "a\nb", "; rm -rf /"]
    space = {name: {"type": "categorical", "choices": choices} for name in ("LD_PRELOAD", "--help", "PATH", "$(id)")}
    hostile = told_by(studyd, spec("hostile", max_trials=1, space=space))
    assert set(json.loads(hostile["trial"])["params"]) == set(space)
    assert hostile["argv"] == plain["argv"] and hostile["env"] == plain["env"]


@pytest.mark.parametrize("name", ["/bin/sh", "../r", "sh -c id", "r;id", "r\u0000", "", ".", "r=id", "\nr"])
def test_what_is_no_runners_name(start_studyd, sqlite, name):
    """Paths and commands are no names of runners: no such study can be made."""
    studyd = start_studyd(sqlite)
    with pytest.raises(Refused) as refused:
        studyd.create(spec(runner=name))
    assert refused.value.status == 400


def test_programs_that_are_no_runners(work):
    """A name that is a program here, and no configured runner, is run by nobody."""
    studyd, _ = work()
    for runner in ("sh", "bash", "python3", "true", "R"):
        studyd.create(spec(f"with-{runner}", runner=runner, max_trials=1))
    finished_one = told_by(studyd, spec("plain", max_trials=1))
    assert finished_one["argv"]
    assert all(sum(studyd.show(f"with-{runner}")["counts"].values()) == 0 for runner in ("sh", "bash", "python3", "true", "R"))


ATTACKS = {
    "an absolute path": "/etc/passwd",
    "the token's environment": "/proc/self/environ",
    "an open file": "/proc/self/fd/0",
    "a way up": "{in}/../out/secret.csv",
    "a link out": "{in}/link",
    "a link to a directory": "{in}/dirlink/secret.csv",
    "a FIFO": "{in}/fifo",
    "a device": "{in}/zero",
    "a name that begins alike": "{in}2/secret.csv",
    "a relative path": "../../etc/passwd",
    "a URL": "file:///etc/passwd",
    "a line end": "{in}/a.csv\n/etc/passwd",
    "the directory itself": "{in}",
}


def make_place(directory):
    """in/ is allowed; links lead out of it."""
    for name in ("in", "in2", "out"):
        (directory / name).mkdir()
        (directory / name / "secret.csv").write_text("s3cret,y\n1,2\n")
    (directory / "in" / "secret.csv").rename(directory / "in" / "a.csv")
    (directory / "in" / "link").symlink_to(directory / "out" / "secret.csv")
    (directory / "in" / "dirlink").symlink_to(directory / "out")
    (directory / "in" / "zero").symlink_to("/dev/zero")
    os.mkfifo(directory / "in" / "fifo")
    return directory / "in"


@pytest.mark.parametrize("is_listed", [True, False], ids=["with-data-dir", "without"])
def test_data_out_of_bounds(work, directory, is_listed):
    """No trial of such a study is run, the worker says why once, goes on with the others, and tells nobody what is in a file."""
    place = make_place(directory)
    studyd, worker = work(*(["--data-dir", place] if is_listed else []))
    attacks = dict(ATTACKS, **({} if is_listed else {"a file below no directory": "{in}/a.csv"}))
    for number, data in enumerate(attacks.values()):
        studyd.create(spec(f"attack-{number}", max_trials=1, objective={"runner": "r", "data": data.replace("{in}", str(place))}))
        worker.wait_for_log(f'is left alone for 300 s while others are study="attack-{number}"')
    assert told_by(studyd, spec("plain", max_trials=1))["argv"]
    for number, what in enumerate(attacks):
        assert studyd.show(f"attack-{number}")["counts"]["complete"] == 0, what
        assert studyd.trial(f"attack-{number}", 0)["state"] == "waiting", what
    assert "s3cret" not in worker.log() and worker.log().count("is left alone for") == len(attacks)
    if is_listed:
        good = told_by(studyd, spec("good", max_trials=1, objective={"runner": "r", "data": str(place / "a.csv")}))
        assert json.loads(good["trial"])["objective"]["data"] == os.path.realpath(place / "a.csv")


def test_nul_in_data(start_studyd, sqlite):
    """A path that would be another one in C is refused with the study."""
    studyd = start_studyd(sqlite)
    with pytest.raises(Refused) as refused:
        studyd.create(spec(objective={"runner": "r", "data": "/data/a.csv\u0000.csv"}))
    assert refused.value.status == 400


def test_very_many_studies_that_cannot_be_served(work):
    """They neither end the worker nor keep it from the others."""
    studyd, worker = work()
    for number in range(120):
        studyd.create(spec(f"bad-{number}", max_trials=1, objective={"runner": "r", "data": "nothing"}))
    assert told_by(studyd, spec("plain", max_trials=1))["argv"]
    assert worker.is_running()
