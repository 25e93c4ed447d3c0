# SPDX-License-Identifier: MIT
"""study-worker and its runners: good ones, and every way in which a runner can go wrong."""

import os
import re

import pytest

from harness.runners import READY, spec, write_runner

GOOD = 'say(op="done", values=[trial["params"]["x"]])\n'


@pytest.fixture
def run(start_studyd, sqlite, start_worker, directory):
    """run(body, *options): studies of one runner until they are finished; returns studyd and the worker."""
    def run(body, *options, start=READY, specs=(), expect=0):
        studyd = start_studyd(sqlite)
        for each in specs or [spec(max_trials=2, retries=0)]:
            studyd.create(each)
        worker = start_worker(studyd, "--runner", write_runner(directory, body, start=start), "--exit-when-finished",
                              "--gpus", "none", *options)
        assert worker.wait() == expect, worker.log()
        return studyd, worker
    return run


FAILURES = {
    "aborts": ("os.abort()", "killed", "killed by signal 6 (Aborted)"),
    "exits": ("sys.exit(3)", "killed", "ended with exit code 3 in the middle of its work"),
    "ends well, without an answer": ("sys.exit(0)", "killed", "ended with exit code 0 in the middle of its work"),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "SIGKILL; the kernel does that when memory runs out"),
    "is killed within a line": ("print('{\"op\": \"done\", \"val', end='', flush=True); os.kill(os.getpid(), signal.SIGKILL)", "killed",
                                "SIGKILL"),
    "says why and dies": ("sys.exit('CUDA error: out of memory')", "killed", "its last words: CUDA error: out of memory"),
    "closes its ears and mouth": ("os.close(1); time.sleep(0.2); os._exit(1)", "killed", "exit code 1"),
    "half a message": ("print('{\"op\": \"done\"', flush=True); hear()", "objective", 'its line: {"op": "done"'),
    "unknown message": ("say(op='dome', values=[1]); hear()", "objective", "does not keep to the protocol"),
    "no values": ("say(op='done'); hear()", "objective", "values"),
    "text for a value": ("say(op='done', values=['good']); hear()", "objective", "values"),
    "ready again": ("say(op='ready', protocol=1); hear()", "objective", "ready a second time"),
    "endless line": ("print('{' + 3_000_000 * 'x', flush=True); hear()", "objective", "longer than 1 MiB"),
    "silence": ("time.sleep(60)", "timeout", "the trial took longer than 1 s (trial_timeout_s)"),
    "last words are too late": ("signal.signal(signal.SIGTERM, lambda *_: (say(op='done', values=[1]), os._exit(0)))\n"
                                "    time.sleep(60)", "timeout", "the trial took longer than 1 s"),
    "two values": ("say(op='done', values=[1, 2])", "objective", "the result was refused"),
    "its own failure": ("say(op='fail', **{'class': 'oom'}, reason='no room on the GPU')", "oom", "no room on the GPU"),
    "no reason": ("say(op='fail')", "objective", "the runner gave no reason"),
}


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.replace(" ", "-").replace(",", ""))
def test_a_runner_goes_wrong(run, case):
    """Each failure is told with its class and a reason that a person understands, and the slot runs the next trial."""
    body, failure, reason = FAILURES[case]
    studyd, worker = run(f"if trial['number'] == 0:\n    {body}\nelse:\n    {GOOD}", "--trial-timeout-s", "1")
    failed, good = studyd.trials("s")
    assert failed["state"] == "fail"
    assert reason in failed["reason"]
    assert f"class={failure} " in worker.log()
    assert good["state"] == "complete" and good["value"] == good["params"]["x"]


def test_a_runner_without_a_mouth(run):
    """A runner that closes its stdout and lives on can answer nothing: its trial does not wait for ever."""
    studyd, _ = run("os.close(1)\ntime.sleep(60)", specs=[spec(max_trials=1)], expect=1)
    assert studyd.trial("s", 0)["reason"] == "objective: the runner closed its stdout: no result can come any more"


def test_words_of_another_trial(run):
    """A runner that says of which trial it speaks may be late: what it says of one that is over is nobody else's, whether it has the
    next one already or not."""
    studyd, worker = run("""
        n = trial["number"]
        if n > 0:
            say(op="done", values=[666], number=n - 1)
        say(op="report", step=1, value=n, number=n)
        say(op="done", values=[n], attrs={"pid": os.getpid()}, number=n)
        say(op="report", step=2, value=666, number=n)
        """, specs=[spec(max_trials=5, retries=0)])
    trials = studyd.trials("s")
    assert [(trial["value"], trial["intermediate_values"]) for trial in trials] == [(n, {"1": n}) for n in range(5)]
    assert len({trial["user_attrs"]["pid"] for trial in trials}) == 1
    assert worker.log().count("a runner spoke of a trial that it does not have, passed over slot=0 number=") == 9


def test_words_too_many(run):
    """A runner that answers twice, and does not say for which trial, is replaced before it is given the next."""
    studyd, worker = run("""
        answer = json.dumps({"op": "done", "values": [trial["number"]]})
        print(answer + chr(10) + answer, flush=True)
        """, specs=[spec(max_trials=3, retries=0)])
    assert [(trial["value"], trial["attempt"]) for trial in studyd.trials("s")] == [(n, 1) for n in range(3)]
    assert worker.log().count("a runner spoke of a trial when it had none, it is replaced slot=0") == 3


def test_a_progress_bar(run):
    """A line of the log may be as long as it likes, on stdout too, and holds no message."""
    studyd, worker = run(f"print('=' + 3_000_000 * '{{', flush=True)\n{GOOD}", specs=[spec(max_trials=1)])
    assert studyd.trial("s", 0)["state"] == "complete"


LIMITS = {
    "the study's": ((), "timeout: the trial took longer than 0.3 s (the study's trial_timeout_s)"),
    "the worker's, which is shorter": (("--trial-timeout-s", "0.2"), "timeout: the trial took longer than 0.2 s (trial_timeout_s)"),
    "the worker's, which is longer": (("--trial-timeout-s", "50"), "timeout: the trial took longer than 0.3 s (the study's trial_timeout_s)"),
}


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case.replace(" ", "-").replace(",", ""))
def test_a_study_limits_its_trials(run, case):
    """A trial that takes longer than its study says is ended as a timeout, which is tried again; the worker's own limit is one more."""
    options, reason = LIMITS[case]
    studyd, _ = run("time.sleep(60)", *options, specs=[spec(max_trials=1, retries=1, trial_timeout_s=0.3)])
    trial = studyd.trial("s", 0)
    assert (trial["state"], trial["attempt"], trial["reason"]) == ("fail", 2, reason)


def test_timeouts_are_no_crashes(run):
    """Trials that take too long one after another are the study's way: the slot does not pause between them."""
    studyd, worker = run("time.sleep(60)", "--trial-timeout-s", "0.2", specs=[spec(max_trials=4, retries=0)])
    assert [trial["state"] for trial in studyd.trials("s")] == 4 * ["fail"]
    assert "pauses" not in worker.log()


def test_a_usual_silence(run):
    """How long a trial may be silent without a line in the log is measured by those before."""
    _, worker = run("time.sleep(1 if trial['number'] else 0.4)\n" + GOOD, "--silence-warning-s", "0.2")
    assert re.findall(r"unusually long slot=0 study=s number=(\d)", worker.log()) == ["0"]


def test_attributes_that_are_refused(run):
    """A failure whose attributes are too large is told without them: its class and reason are kept, it is not tried again."""
    studyd, worker = run("""
        say(op="fail", **{"class": "nan"}, reason="the loss exploded", attrs={"curve": 130_000 * "x"})
        """, specs=[spec(max_trials=1, retries=3)], expect=1)
    trial = studyd.trial("s", 0)
    assert (trial["state"], trial["attempt"], trial["user_attrs"]) == ("fail", 1, {})
    assert trial["reason"].startswith("nan: the loss exploded; its attributes were refused: ")
    assert "class=nan " in worker.log()


@pytest.mark.parametrize("attrs", ['{"curve": 130_000 * "x"}', '{"": 1}'])
def test_a_result_outlives_its_attributes(run, attrs):
    """A result whose attributes studyd does not take is told without them."""
    studyd, worker = run(f'say(op="done", values=[7], attrs={attrs})', specs=[spec(max_trials=1)])
    trial = studyd.trial("s", 0)
    assert (trial["state"], trial["value"], trial["user_attrs"]) == ("complete", 7, {})
    assert "a result is told without its attributes trial=/v1/studies/s/trials/0 reason=" in worker.log()


def test_nan_is_a_failure_of_its_own(run):
    """A NaN that the objective computed is told as it is; studyd calls it a failure."""
    studyd, worker = run(f"if trial['number'] == 0:\n    say(op='done', values=['NaN'])\nelse:\n    {GOOD}")
    assert re.search(r"warning: trial failed slot=0 study=s number=0 .* class=nan value=nan\n", worker.log())
    assert [trial["state"] for trial in studyd.trials("s")] == ["fail", "complete"]


def test_a_killed_trial_is_run_again(run):
    """An infrastructure failure is tried again under the same number, in a fresh process; with a good trial in between two
    crashes are not two in a row."""
    studyd, worker = run(f"if trial['attempt'] == 1:\n    os.abort()\n{GOOD}", specs=[spec(max_trials=2, retries=1)])
    assert [(trial["state"], trial["attempt"]) for trial in studyd.trials("s")] == [("complete", 2), ("complete", 2)]
    assert "pauses" not in worker.log()


def test_crashes_in_a_row_make_a_slot_pause(run):
    """One crash may be the trial's; after the second in a row the slot waits, and says so."""
    _, worker = run("os.abort()" + "\n" + GOOD)
    assert "the slot pauses slot=0 seconds=0.5 starts_that_failed=0 crashes=2" in worker.log()


def test_log_lines(run):
    """What a runner prints that is no message is its log, with the slot's name; an endless line comes in pieces."""
    studyd, worker = run("print('on stdout', flush=True)\nprint('on stderr', file=sys.stderr)\n"
                         f"print(20_000 * 'y', flush=True)\nprint(flush=True)\n{GOOD}")
    assert "info: on stdout slot=0" in worker.log()
    assert "info: on stderr slot=0" in worker.log()
    assert worker.log().count("y") > 40_000 - 100
    assert [trial["state"] for trial in studyd.trials("s")] == ["complete", "complete"]


def test_rubbish_without_end(run):
    """A runner that prints without end does not fill the disk: what is too much is counted."""
    studyd, worker = run(f"for i in range(100_000):\n    print('rubbish')\n{GOOD}", specs=[spec(max_trials=1)])
    logged = worker.log().count("info: rubbish slot=0\n")
    dropped = sum(int(number) for number in re.findall(r"warning: (\d+) more lines dropped slot=0\n", worker.log()))
    assert 100 <= logged <= 10_000 and logged + dropped == 100_000
    assert studyd.trial("s", 0)["state"] == "complete"


def test_one_shot_runner(run):
    """A runner may end after each trial: that is no failure, the next trial gets a fresh process."""
    studyd, worker = run(GOOD + "sys.exit(0)", specs=[spec(max_trials=4, retries=0)])
    assert [trial["state"] for trial in studyd.trials("s")] == 4 * ["complete"]
    assert "warning" not in worker.log()


def test_a_runner_that_ends_without_a_word(run):
    """A fresh process that ends cleanly, but says nothing about its trial, has failed it: it is not started for ever."""
    studyd, _ = run("sys.exit(0)")
    assert [trial["state"] for trial in studyd.trials("s")] == ["fail", "fail"]


def test_a_runner_that_ends_within_a_trial(run, directory):
    """It has served a trial before, and ends cleanly; but it had begun with the next, which has failed, and is not run anew in secret."""
    studyd, _ = run(f"""
        open("{directory}/runs", "a").write(str(trial["number"]))
        if trial["number"] == 1:
            say(op="report", step=1, value=1)
            sys.exit(0)
        say(op="done", values=[1])
        """)
    assert [trial["state"] for trial in studyd.trials("s")] == ["complete", "fail"]
    assert (directory / "runs").read_text() == "01"


def test_memory_that_ran_out(run):
    """After a trial that ran out of memory the next one gets a fresh process, once the old one has let go of its device."""
    studyd, worker = run("""
        signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), os._exit(1)))
        if trial["number"] == 0:
            say(op="fail", **{"class": "oom"}, reason="no room", attrs={"pid": os.getpid()})
        else:
            say(op="done", values=[1], attrs={"pid": os.getpid()})
        """)
    first, second = studyd.trials("s")
    assert (first["state"], second["state"]) == ("fail", "complete")
    assert first["user_attrs"]["pid"] != second["user_attrs"]["pid"]
    assert second["attempt"] == 1


def test_messages_arrive_together(run):
    """Reports, attributes and result of a trial, written at once, all arrive, and in order."""
    studyd, _ = run("""
        for step in range(300):
            say(op="report", step=step, value=step / 2)
        say(op="report", step=300, value="NaN")
        say(op="done", values=[7], attrs={"a": [1, None], "b": "é"})
        """, specs=[spec(max_trials=1)])
    trial = studyd.trial("s", 0)
    assert trial["value"] == 7 and trial["user_attrs"] == {"a": [1, None], "b": "é"}
    assert trial["intermediate_values"] == {**{str(step): step / 2 for step in range(300)}, "300": "NaN"}


def test_a_runner_is_kept_from_study_to_study(run):
    """Studies with the same runner share its process."""
    studyd, _ = run('say(op="done", values=[1], attrs={"pid": os.getpid()})',
                    specs=[spec(name, max_trials=2) for name in ("a", "b")])
    assert len({trial["user_attrs"]["pid"] for name in ("a", "b") for trial in studyd.trials(name)}) == 1


def test_another_runner_takes_its_place(start_studyd, sqlite, start_worker, directory):
    """A slot has one runner at a time: that of the trial's study."""
    studyd = start_studyd(sqlite)
    body = 'say(op="done", values=[1], attrs={"file": sys.argv[0], "pid": os.getpid()})'
    options = []
    for name in ("one", "two"):
        studyd.create(spec(name, runner=name, max_trials=3))
        options += ["--runner", write_runner(directory, body, name)]
    worker = start_worker(studyd, *options, "--exit-when-finished")
    assert worker.wait() == 0
    for name in ("one", "two"):
        assert all(trial["user_attrs"]["file"].endswith(f"{name}.py") for trial in studyd.trials(name))
    assert "trial failed" not in worker.log()


def test_a_slow_start(run):
    """A runner may take its time to be ready; its trial waits."""
    studyd, _ = run(GOOD, start="time.sleep(1)\n" + READY)
    assert [(trial["state"], trial["attempt"]) for trial in studyd.trials("s")] == 2 * [("complete", 1)]


BAD_STARTS = {
    "never ready": ("time.sleep(60)", "was not ready after 0.5 s (start_timeout_s); a runner in Python must call run(objective), see docs/"),
    "dies": ("sys.exit('no libxgboost.so')", "exit code 1 and never said that it is ready; its last words: no libxgboost.so"),
    "forgets to run": ("sys.exit()", "exit code 0 and never said that it is ready; a runner in Python must call run(objective), see docs/"),
    "other protocol": ('say(op="ready", protocol=2)', "it speaks version 2, this study-worker version 1"),
    "speaks before ready": ('say(op="done", values=[1])', "its first message must be"),
}


@pytest.mark.parametrize("case", BAD_STARTS, ids=lambda case: case.replace(" ", "-"))
def test_no_runner_starts(run, case):
    """A worker whose runner never comes up hands the trial back unspent, says why, and ends with 4."""
    start, reason = BAD_STARTS[case]
    studyd, worker = run(GOOD, "--start-timeout-s", "0.5", start=start + "\n", expect=4)
    assert reason in worker.log()
    assert studyd.trial("s", 0)["state"] == "waiting"


def test_command_that_is_not_there(start_studyd, sqlite, start_worker):
    """A command that cannot be executed is named."""
    studyd = start_studyd(sqlite)
    studyd.create(spec())
    worker = start_worker(studyd, "--runner", "r=/nowhere/runner --fast")
    assert worker.wait() == 4
    assert 'cannot execute "/nowhere/runner": No such file or directory' in worker.log()


def test_slots_environment(start_studyd, sqlite, start_worker, directory, monkeypatch):
    """Each slot's runner sees its own GPU and its threads, and nothing that concerns studyd."""
    monkeypatch.setenv("STUDYD_TOKEN", "the-token")
    monkeypatch.setenv("STUDYD_ANYTHING", "secret")
    studyd = start_studyd(sqlite)
    studyd.create(spec(max_trials=8))
    body = """
        time.sleep(0.2)
        say(op="done", values=[1], attrs={
            "env": dict(os.environ), "device": trial["device"], "threads": trial["threads"],
            "fds": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
            "is_readable": "the-token" in open("/proc/%d/environ" % os.getppid()).read()})
        """
    worker = start_worker(studyd, "--runner", write_runner(directory, body), "--gpus", "0,2", "--threads", "3",
                          "--exit-when-finished")
    assert worker.wait() == 0
    seen = set()
    for trial in studyd.trials("s"):
        attrs = trial["user_attrs"]
        assert not [name for name in attrs["env"] if name.startswith(("STUDYD_", "STUDY_WORKER"))]
        assert attrs["is_readable"] is False  # in the worker's own environment, for who may look there
        assert attrs["env"]["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID" and attrs["env"]["OMP_NUM_THREADS"] == "3"
        assert attrs["device"] == "cuda:0" and attrs["threads"] == 3
        assert attrs["fds"] == [0, 1, 2]
        seen.add(attrs["env"]["CUDA_VISIBLE_DEVICES"])
    assert seen == {"0", "2"}


def test_no_gpu_is_no_gpu(run):
    """A slot on the CPU hides the GPUs from its runner."""
    studyd, _ = run('say(op="done", values=[1], attrs={"gpus": os.environ["CUDA_VISIBLE_DEVICES"], "device": trial["device"]})')
    assert studyd.trial("s", 0)["user_attrs"] == {"gpus": "", "device": "cpu"}


def test_data(run, directory):
    """objective.data is a NAME of --data or a path below --data-dir."""
    (directory / "in").mkdir()
    (directory / "in" / "a.csv").write_text("1\n")
    specs = [spec(name, max_trials=1, objective={"runner": "r", "data": data}) for name, data in
             {"named": "wine", "below": f"{directory}/in/a.csv"}.items()]
    studyd, _ = run('say(op="done", values=[1], attrs={"data": trial["objective"]["data"]})',
                    "--data", "wine=/dev/null", "--data-dir", str(directory / "in"), specs=specs)
    assert studyd.trial("named", 0)["user_attrs"] == {"data": "/dev/null"}
    assert studyd.trial("below", 0)["user_attrs"] == {"data": os.path.realpath(directory / "in" / "a.csv")}


@pytest.mark.parametrize("data, why", [("beer", r'no data called \"beer\" (it has: wine); start it with --data beer=PATH'),
                                       ("/etc/passwd", "no such file below the directories")], ids=["name", "path"])
def test_data_that_is_not_here(run, directory, data, why):
    """A worker without a study's data ends, and says what it lacks: no trial of the study is spent on it."""
    studyd, worker = run(GOOD, "--study", "s", "--data", "wine=/dev/null", "--data-dir", str(directory), expect=2,
                         specs=[spec(max_trials=3, retries=0, objective={"runner": "r", "data": data})])
    assert "a study cannot be served" in worker.log() and why in worker.log()
    assert [(trial["state"], trial["attempt"]) for trial in studyd.trials("s")] == [("waiting", 1)]
