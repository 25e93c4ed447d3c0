# SPDX-License-Identifier: MIT
"""study_runner.py: an Optuna-style objective, spoken to over the runner protocol as study-worker would."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from harness.studyd import ROOT

RUNNER = ROOT / "worker" / "study_runner.py"

SPACE = {
    "x": {"type": "float", "low": 0.0, "high": 1.0, "log": False},
    "lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
    "q": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.3, "log": False},
    "k": {"type": "int", "low": 1, "high": 9, "step": 2, "log": False},
    "n": {"type": "int", "low": 1, "high": 100, "step": 1, "log": True},
    "c": {"type": "categorical", "choices": ["a", None, True, 1, 2.5]},
}
PARAMS = {"x": 0.25, "lr": 0.01, "q": 0.6, "k": 3, "n": 10, "c": "a"}


class Runner:
    """The supervisor's side of one runner process."""

    def __init__(self, *command, directory, python=sys.executable):
        self.process = subprocess.Popen([python, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, cwd=directory)

    def send(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def trial(self, params=PARAMS, space=SPACE, **more):
        self.send(op="trial", study="s", number=7, attempt=1, params=params, objective={"runner": "r", "k": 1}, device="cpu",
                  threads=2, seed=5, **({"space": space} if space else {}), **more)

    def run(self, **more):
        """One trial: its messages, the last of which ends it."""
        self.trial(**more)
        messages = [self.receive()]
        while messages[-1]["op"] == "report":
            messages.append(self.receive())
        return messages

    def end(self, expect=0):
        """Closes stdin, as study-worker's end does; returns what went to stderr."""
        _, errors = self.process.communicate(timeout=20)
        assert self.process.returncode == expect, errors
        return errors


@pytest.fixture
def objective(tmp_path):
    """objective(body): a runner whose objective has that body."""
    runners = []

    def start(body, python=sys.executable):
        code = "import sys, math, os, subprocess\n"
        code += f"sys.path.insert(0, {str(RUNNER.parent)!r})\nfrom study_runner import run, TrialPruned\n"
        code += "def objective(trial):\n" + textwrap.indent(textwrap.dedent(body), "    ") + "\nrun(objective)\n"
        (tmp_path / "objective.py").write_text(code)
        runner = Runner("objective.py", directory=tmp_path, python=python)
        runners.append(runner)
        assert runner.receive() == {"op": "ready", "protocol": 1}
        return runner

    yield start
    for runner in runners:
        runner.process.kill()
        runner.process.communicate()


def test_suggestions_are_the_study_s(objective):
    """Each suggest_*() gives the value that studyd chose, in the type that Optuna gives; so does all else of a trial."""
    runner = objective("""
        assert trial.suggest_float("x", 0, 1) == 0.25
        assert trial.suggest_uniform("x", 0, 1) == 0.25
        assert trial.suggest_float("lr", 1e-3, 1e-1, log=True) == 0.01
        assert trial.suggest_loguniform("lr", 1e-3, 1e-1) == 0.01
        assert trial.suggest_float("q", 0, 1, step=0.3) == 0.6
        assert trial.suggest_discrete_uniform("q", 0, 0.9, 0.3) == 0.6
        assert trial.suggest_int("k", 1, 10, step=2) == 3 and type(trial.suggest_int("k", 1, 9, step=2)) is int
        assert trial.suggest_int("n", 1, 100, log=True) == 10
        assert trial.suggest_categorical("c", ("a", None, True, 1, 2.5)) == "a"
        assert trial.params["x"] == 0.25 and trial.number == 7 and trial.attempt == 1 and trial.study == "s"
        assert trial.objective["k"] == 1 and trial.device == "cpu" and trial.threads == 2 and trial.seed == 5
        trial.set_user_attr("best_iteration", 311)
        assert trial.user_attrs == {"best_iteration": 311}
        return trial.suggest_float("x", 0, 1) * 2
    """)
    assert runner.run() == [{"op": "done", "number": 7, "values": [0.5], "attrs": {"best_iteration": 311}}]
    runner.end()


@pytest.mark.parametrize("call, said", [
    ('suggest_float("x", 0, 2)', "'x' has high=2 in the code and high=1.0 in the study"),
    ('suggest_float("x", -1, 1)', "low=-1"),
    ('suggest_float("x", 0, 1, log=True)', "log=True in the code and log=False in the study"),
    ('suggest_float("x", 0, 1, step=0.5)', "step=0.5 in the code and step=None in the study"),
    ('suggest_float("q", 0, 0.9)', "step=None in the code and step=0.3 in the study"),
    ('suggest_int("x", 0, 1)', "'x' is int in the code and float in the study"),
    ('suggest_int("k", 1, 9)', "step=1 in the code and step=2 in the study"),
    ('suggest_int("n", 1, 100)', "log=False in the code and log=True in the study"),
    ('suggest_categorical("c", ["a", None, 1, True, 2.5])', "choices="),
    ('suggest_categorical("c", ["a"])', "choices="),
    ('suggest_float("z", 0, 1)', "no parameter 'z' in this trial; it gives: x, lr, q, k, n, c"),
])
def test_a_range_that_is_not_the_study_s(objective, call, said):
    """Code and study that disagree about a parameter fail the trial, and say where they differ."""
    runner = objective(f"return trial.{call}")
    last, = runner.run()
    assert (last["op"], last["class"]) == ("fail", "objective")
    assert said in last["reason"]
    runner.end()


def test_without_a_space_nothing_is_compared(objective):
    """A supervisor that sends no space is trusted."""
    runner = objective('return trial.suggest_float("x", 5, 6)')
    assert runner.run(space=None)[0]["values"] == [0.25]


@pytest.mark.parametrize("value, told", [
    ("math.nan", ["NaN"]), ("math.inf", ["Infinity"]), ("-math.inf", ["-Infinity"]), ("3", [3.0]), ("[1, 2.5]", [1.0, 2.5]),
    ("(1, math.nan)", [1.0, "NaN"])])
def test_values(objective, value, told):
    """One number or several; NaN and the infinities as the protocol writes them."""
    assert objective(f"return {value}").run()[0]["values"] == told


def test_attributes_that_are_not_finite(objective):
    """{"auc": nan} is everyday: NaN and the infinities are attributes, written as values are."""
    runner = objective("trial.set_user_attr('scores', {'auc': [math.nan, (1, -math.inf)]})\nreturn 1")
    assert runner.run()[0]["attrs"] == {"scores": {"auc": ["NaN", [1, "-Infinity"]]}}


@pytest.mark.parametrize("body, failure, reason", [
    ("raise ValueError('no such file')", "objective", "ValueError: no such file"),
    ("return None", "objective", "TypeError: what the objective returns must be a number, and is None (is a return missing?)"),
    ("return 'good'", "objective", "TypeError: what the objective returns must be a number, and is 'good'"),
    ("raise MemoryError('too big')", "oom", "MemoryError: too big"),
    ("class OutOfMemoryError(RuntimeError): pass\nraise OutOfMemoryError('CUDA out of memory')", "oom", "CUDA out of memory"),
    ("trial.report(1, -1)", "objective", "a step must be 0 or more"),
    ("trial.report(None, 1)", "objective", "TypeError: a reported value must be a number, and is None"),
    ("trial.set_user_attr('a', object())", "objective", "TypeError: Object of type object is not JSON serializable"),
    ("trial.set_user_attr('', 1)", "objective", "user attribute '': the key must be a text that is not empty"),
    ("trial.set_user_attr('a', 70_000 * 'x')", "objective", "at most 60000 bytes as JSON, and it has 70002"),
])
def test_failures(objective, body, failure, reason):
    """An exception fails its trial with the traceback's last line; the next trial runs in the same process."""
    runner = objective("if trial.params['x'] == 1: return 1.0\n" + body)
    last, = runner.run()
    assert (last["op"], last["class"]) == ("fail", failure)
    assert reason in last["reason"]
    assert runner.run(params={"x": 1})[0]["op"] == "done"
    assert "Traceback" in runner.end()


def test_prints_go_to_the_log(objective):
    """print(), C code's stdout and a child process's output do not mix with the protocol."""
    runner = objective("""
        print('{"op": "done", "values": [666]}')
        os.system("echo from a shell")
        os.write(1, b"from below\\n")
        return 1.0
    """)
    assert runner.run()[0]["values"] == [1.0]
    errors = runner.end()
    assert "666" in errors and "from a shell" in errors and "from below" in errors


def test_objective_cannot_read_the_protocol(objective):
    """What the objective starts sees an empty stdin, not the supervisor's lines."""
    runner = objective("""
        trial.report(0.5, 0)
        return float(len(subprocess.run(["cat"], capture_output=True).stdout))
    """)
    assert runner.run()[-1]["values"] == [0.0]


def test_prune_comes_when_it_comes(objective):
    """should_prune() is true once the supervisor has said so, and stays true; TrialPruned ends the trial."""
    runner = objective("""
        step = 0
        while not trial.should_prune():
            trial.report(1.0, step)
            step += 1
        assert trial.should_prune()
        raise TrialPruned()
    """)
    runner.trial()
    assert runner.receive() == {"op": "report", "number": 7, "step": 0, "value": 1.0}
    runner.send(op="prune")
    message = runner.receive()
    while message["op"] == "report":
        message = runner.receive()
    assert message["op"] == "pruned"


def test_prune_that_is_waited_for(objective):
    """Where the study says so each report waits for its answer, which decides."""
    runner = objective("""
        for step in range(10):
            trial.report(float(step), step)
            if trial.should_prune():
                raise TrialPruned()
        return 1.0
    """)
    runner.trial(wait=True)
    for step in range(3):
        assert runner.receive()["step"] == step
        runner.send(op="prune" if step == 2 else "continue")
    assert runner.receive()["op"] == "pruned"


def test_late_prune_is_no_news(objective):
    """A prune that comes after its trial ended does not touch the next one."""
    runner = objective("return 1.0 if not trial.should_prune() else 2.0")
    assert runner.run()[0]["values"] == [1.0]
    runner.send(op="prune")
    assert runner.run()[0]["values"] == [1.0]


def test_a_step_is_reported_once(objective):
    """As in Optuna the first value of a step stands."""
    runner = objective("""
        trial.report(1.0, 3)
        trial.report(2.0, 3)
        trial.report(math.nan, 4)
        return 0.0
    """)
    assert runner.run()[:2] == [{"op": "report", "number": 7, "step": 3, "value": 1.0},
                                {"op": "report", "number": 7, "step": 4, "value": "NaN"}]


def test_reports_from_threads(objective):
    """Lines are whole, whoever reports."""
    messages = objective("""
        import threading
        def report(part):
            for step in range(500):
                trial.report(0.5, 4 * step + part)
        threads = [threading.Thread(target=report, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 1.0
    """).run()
    assert sorted(message["step"] for message in messages[:-1]) == list(range(2000))


def test_a_broken_line_ends_it(objective):
    """What cannot be read ends the runner, instead of leaving it waiting for ever."""
    runner = objective("return 1.0")
    runner.process.stdin.write("trial!\n")
    assert "a line of study-worker's cannot be read" in runner.end(expect=1)


def test_optuna_s_own_pruned_exception(objective, optuna):
    """An objective that imports Optuna's TrialPruned works unchanged."""
    assert objective("import optuna\nraise optuna.TrialPruned()", optuna.python).run()[0]["op"] == "pruned"


@pytest.mark.parametrize("place", ["plain:objective", "plain.py:objective"])
def test_command_line(tmp_path, place):
    """An objective's file needs no change at all: study_runner.py MODULE:FUNCTION or FILE.py:FUNCTION."""
    (tmp_path / "plain.py").write_text("import helper\ndef objective(trial):\n    return trial.suggest_float('x', 0, 1) + helper.one\n")
    (tmp_path / "helper.py").write_text("one = 1\n")
    runner = Runner(str(RUNNER), place, directory=tmp_path)
    assert runner.receive() == {"op": "ready", "protocol": 1}
    assert runner.run()[0]["values"] == [1.25]
    runner.end()


def test_end_of_the_worker_ends_a_trial(objective):
    """A runner that waits for an answer when its supervisor goes away ends."""
    runner = objective("trial.report(1.0, 0)\nreturn 1.0")
    runner.trial(wait=True)
    assert runner.receive()["op"] == "report"
    runner.end()


def test_the_seed_s_quadratic(tmp_path):
    """conf/studies/quadratic.py as its users wrote it."""
    space = json.loads((ROOT / "conf/studies/quadratic.json").read_text())["space"]
    runner = Runner(str(ROOT / "conf/studies/quadratic.py"), directory=tmp_path)
    assert runner.receive()["op"] == "ready"
    assert runner.run(params={"x": 3.0, "y": 5.0}, space=space)[0]["values"] == [5.0]
    runner.end()
    assert os.listdir(tmp_path) == []
