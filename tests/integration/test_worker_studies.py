# SPDX-License-Identifier: MIT
"""Which studies a study-worker serves, and what it says when it cannot."""

import pytest

from harness.child import wait_until
from harness.runners import spec, write_runner
from harness.studyd import BUILD, ROOT, Worker, sanitizer_env

GOOD = 'say(op="done", values=[trial["params"]["x"]])'


@pytest.fixture
def studyd(start_studyd, sqlite):
    return start_studyd(sqlite)


@pytest.fixture
def runner(directory):
    return write_runner(directory, GOOD)


def states(studyd, study):
    return [trial["state"] for trial in studyd.trials(study)]


def test_the_seed_s_quadratic(studyd, start_worker):
    """The example study, from its spec to its best trial, on two slots."""
    studyd.create((ROOT / "conf/studies/quadratic.json").read_bytes())
    worker = start_worker(studyd, "--slots", "2", "--runner", f"quadratic=python3 {ROOT}/conf/studies/quadratic.py",
                          "--exit-when-finished")
    assert worker.wait(120) == 0, worker.log()
    assert states(studyd, "quadratic") == 100 * ["complete"]
    for trial in studyd.trials("quadratic"):
        x, y = trial["params"]["x"], trial["params"]["y"]
        assert trial["value"] == pytest.approx((x - 2) ** 2 + (y - 3) ** 2)
    assert studyd.best("quadratic")[0]["value"] == min(trial["value"] for trial in studyd.trials("quadratic"))


def test_a_study_is_waited_for(studyd, start_worker, runner):
    """A worker may be there before its study."""
    worker = start_worker(studyd, "--study", "s", "--runner", runner, "--exit-when-finished")
    worker.wait_for_log("waiting for a study study=s")
    studyd.create(spec(max_trials=3))
    assert worker.wait() == 0
    assert states(studyd, "s") == 3 * ["complete"]


def test_whatever_runs(studyd, start_worker, runner):
    """Without --study a worker serves all studies whose runner it has, and leaves the others alone."""
    for name in ("a", "b", "c"):
        studyd.create(spec(name, max_trials=5))
    studyd.create(spec("foreign", runner="torch", max_trials=5))
    worker = start_worker(studyd, "--slots", "3", "--runner", runner, "--exit-when-finished")
    assert worker.wait() == 0
    for name in ("a", "b", "c"):
        assert states(studyd, name) == 5 * ["complete"]
    assert states(studyd, "foreign") == []


def test_a_study_that_comes_later(studyd, start_worker, runner):
    """A worker for whatever runs takes up what is created while it waits."""
    worker = start_worker(studyd, "--runner", runner)
    worker.wait_for_log("started")
    for name in ("a", "b"):
        studyd.create(spec(name, max_trials=2))
        wait_until(f"study {name} to finish", lambda name=name: studyd.show(name)["state"] == "finished")
    worker.stop(143)


def test_several_named_studies(studyd, start_worker, runner):
    """Named studies take turns; one that is missing holds nobody up, and is served when it comes."""
    for name in ("a", "b", "other"):
        studyd.create(spec(name, max_trials=5))
    worker = start_worker(studyd, "--study", "a", "--study", "late", "--study", "b", "--runner", runner, "--slots", "2",
                          "--exit-when-finished")
    wait_until("a and b to finish", lambda: {studyd.show(name)["state"] for name in ("a", "b")} == {"finished"})
    studyd.create(spec("late", max_trials=2))
    assert worker.wait() == 0
    assert states(studyd, "late") == 2 * ["complete"]
    assert states(studyd, "other") == []


def test_a_stopped_study_ends_its_worker(studyd, start_worker, runner):
    """With --exit-when-finished a study that was stopped counts as finished."""
    studyd.create(spec())
    studyd.http.patch("/v1/studies/s", {"state": "stopped"})
    assert start_worker(studyd, "--study", "s", "--runner", runner, "--exit-when-finished").wait() == 0


def test_slots_work_at_the_same_time(studyd, start_worker, directory):
    """Four slots run four trials at once: each waits until all four are there."""
    studyd.create(spec(max_trials=4))
    body = f"open('{directory}/here-%d' % trial['number'], 'w').close()\n" \
           f"while sum(name.startswith('here-') for name in os.listdir('{directory}')) < 4:\n    time.sleep(0.01)\n" + GOOD
    worker = start_worker(studyd, "--slots", "4", "--runner", write_runner(directory, body), "--exit-when-finished")
    assert worker.wait() == 0
    assert {trial["worker"] for trial in studyd.trials("s")} == {studyd.trial("s", 0)["worker"]}


def test_a_study_deleted_under_its_trial(studyd, start_worker, directory):
    """A trial whose study is deleted is stopped; the study made anew under that name is served by its own spec."""
    body = f"if trial['objective'].get('long'):\n    open('{directory}/runs', 'w').close()\n    time.sleep(60)\n" + GOOD
    studyd.create(spec(lease_s=1, objective={"runner": "r", "long": True}))
    worker = start_worker(studyd, "--study", "s", "--runner", write_runner(directory, body), "--exit-when-finished")
    wait_until("the trial to run", (directory / "runs").exists)
    studyd.http.delete("/v1/studies/s?force=true")
    studyd.create(spec(max_trials=2))
    assert worker.wait() == 0
    assert states(studyd, "s") == 2 * ["complete"]
    assert "the trial is not ours any more" in worker.log()


def test_a_runner_that_is_not_here(studyd, start_worker, runner):
    """A named study whose runner is missing ends the worker: its owner is told which option to add."""
    studyd.create(spec(runner="torch"))
    worker = start_worker(studyd, "--study", "s", "--runner", runner)
    assert worker.wait() == 2
    assert r'reason="study s needs the runner \"torch\", and this worker has ' in worker.log()
    assert "start it with --runner torch=COMMAND" in worker.log()
    assert studyd.trial("s", 0)["state"] == "waiting"


BAD_STUDIES = {
    "data that is not here": ({"runner": "r", "data": "misspelt"}, 2, 'no data called \\"misspelt\\"'),
    "a runner that does not start": ({"runner": "broken"}, 4, "its runner does not start"),
    "an objective that fails": ({"runner": "r", "fails": True}, 1, "its objective has failed in every trial so far"),
}


@pytest.mark.parametrize("case", BAD_STUDIES, ids=lambda case: case.replace(" ", "-"))
def test_a_study_that_cannot_be_served(studyd, start_worker, directory, case):
    """A worker for whatever runs says what is wrong with one study, leaves it alone, and serves the others to their end."""
    objective, expect, reason = BAD_STUDIES[case]
    runner = write_runner(directory, 'if trial["objective"].get("fails"):\n    say(op="fail", reason="a typo")\nelse:\n    ' + GOOD)
    studyd.create(spec("bad", objective=objective, max_trials=None))
    studyd.create(spec("good", max_trials=30))
    worker = start_worker(studyd, "--runner", runner, "--runner", "broken=false", "--exit-when-finished")
    assert worker.wait(60) == expect, worker.log()
    assert states(studyd, "good") == 30 * ["complete"]
    line, = [line for line in worker.log().splitlines() if "a study cannot be served, it is left alone for 300 s" in line]
    assert ' study="bad" ' in line and reason in line
    counts = studyd.show("bad")["counts"]
    assert (counts["waiting"], counts["running"]) == ((0, 0) if expect == 1 else (1, 0))
    assert 10 <= counts["fail"] <= 11 if expect == 1 else counts["fail"] == 0   # one may have been asked for ahead


def test_no_trial_has_a_result(studyd, start_worker, directory):
    """A study that is over because its objective failed in each trial, however few, ends its worker with 1."""
    studyd.create(spec(max_trials=2))
    worker = start_worker(studyd, "--runner", write_runner(directory, 'say(op="fail", reason="a typo")'), "--exit-when-finished")
    assert worker.wait() == 1
    assert "no trial has a result: the objective has failed in each" in worker.log()


def test_others_have_results(studyd, start_worker, directory):
    """A worker whose one trial fails ends with 0 where another client's trial of the study has a result by then."""
    studyd.create(spec(max_trials=2))
    others = studyd.ask_one("s")
    body = f"open('{directory}/runs', 'w').close()\nwhile not os.path.exists('{directory}/told'):\n    time.sleep(0.01)\n" + 'say(op="fail", reason="bad luck")'
    worker = start_worker(studyd, "--runner", write_runner(directory, body), "--exit-when-finished")
    wait_until("its trial to run", (directory / "runs").exists)
    studyd.tell("s", 0, others["lease"], 1.0)
    (directory / "told").touch()
    assert worker.wait() == 0, worker.log()
    assert states(studyd, "s") == ["complete", "fail"]


def test_too_many_failed_trials(studyd, start_worker, directory):
    """A study with max_failed_trials stops itself and says why."""
    studyd.create(spec(max_trials=100, max_failed_trials=3))
    worker = start_worker(studyd, "--study", "s", "--runner", write_runner(directory, 'say(op="fail", reason="a typo")'),
                          "--exit-when-finished")
    assert worker.wait() == 1
    study = studyd.show("s")
    assert (study["state"], study["reason"], study["counts"]["fail"]) == ("stopped", "max_failed_trials reached (3)", 3)


WRONG = {
    "no coordinator": ([], "where is studyd?"),
    "bad URL": (["--coordinator", "localhost:8090", "--runner", "r=x"], 'is no coordinator\'s URL'),
    "unknown option": (["--coordinator", "http://a", "--slot", "2"], "unknown option --slot; did you mean --slots?"),
    "bad number": (["--coordinator", "http://a", "--slots", "many"], "--slots must be a whole number"),
    "bad GPUs": (["--coordinator", "http://a", "--gpus", "0,0"], "list of different GPUs"),
    "bad runner": (["--coordinator", "http://a", "--runner", "python3"], "a runner is NAME=COMMAND"),
    "open quote": (["--coordinator", "http://a", "--runner", "r=a 'b"], "a quote (') is not closed"),
    "bad data": (["--coordinator", "http://a", "--data", "wine"], "data is NAME=PATH"),
    "missing data": (["--coordinator", "http://a", "--data", "wine=/nowhere"], "data wine=/nowhere: No such file or directory; give --data the path"),
    "missing directory": (["--coordinator", "http://a", "--data-dir", "/nowhere"], "/nowhere: No such file"),
    "missing parent of a directory": (["--coordinator", "http://a", "--model-dir", "/nowhere/m"], "model_dir /nowhere/m: No such file"),
    "no directory": (["--coordinator", "http://a", "--model-dir", "/dev/null"], "model_dir /dev/null: Not a directory"),
    "missing token": (["--coordinator", "http://a", "--token-file", "/nowhere"], "token_file /nowhere: No such file"),
    "missing authority": (["--coordinator", "https://a", "--ca-file", "/nowhere"], "ca_file /nowhere: No such file"),
    "certificate without a key": (["--coordinator", "https://a", "--cert-file", "/dev/null"], "there is no key_file"),
    "missing file": (["--config", "/nowhere"], "cannot read /nowhere"),
}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.replace(" ", "-"))
def test_wrong_settings(directory, case):
    """Settings that are wrong end the worker with 2, and a line that says what to change."""
    options, said = WRONG[case]
    worker = Worker(directory, "", *options)
    worker.command = [str(BUILD / "worker" / "study-worker"), *options]
    worker.start()
    assert worker.wait() == 2
    assert said in worker.log()
    worker.check_log()


def test_settings_from_a_file(studyd, directory, runner):
    """Every option is a key of the file."""
    studyd.create(spec(max_trials=2))
    path = directory / "worker.conf"
    path.write_text(f"[worker]\ncoordinator = {studyd.url}\nrunner = {runner}\nname = node7\nexit_when_finished = yes\n")
    worker = Worker(directory, "")
    worker.command = [str(BUILD / "worker" / "study-worker"), "--config", str(path)]
    worker.start()
    assert worker.wait() == 0
    assert [trial["worker"] for trial in studyd.trials("s")] == ["node7", "node7"]


def test_settings_from_the_environment(studyd, directory, runner):
    """STUDYD_URL says where studyd is when nothing else does."""
    studyd.create(spec(max_trials=1))
    program = str(BUILD / "worker" / "study-worker")
    for url, options in ((studyd.url, []), ("http://127.0.0.1:1", ["--coordinator", studyd.url])):
        worker = Worker(directory, "")
        worker.command = [program, "--runner", runner, "--exit-when-finished", *options]
        worker.env = dict(sanitizer_env(), STUDYD_URL=url)
        worker.start()
        assert worker.wait() == 0
    assert "127.0.0.1:1 " not in worker.log()
    assert states(studyd, "s") == ["complete"]
