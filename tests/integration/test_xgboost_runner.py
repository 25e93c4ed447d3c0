# SPDX-License-Identifier: MIT
"""study-xgboost over the runner protocol, with the libxgboost that is installed."""

import json
import math
import os
import pathlib
import random
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("STUDYD_BUILD", "build")).resolve()
RUNNER = BUILD / "worker" / "study-xgboost"
COLUMNS = ["fixed acidity", "alcohol", "pH", "quality"]


def write_csv(path, n_rows=300, damage=""):
    """Rows whose quality follows from two of the three features; `damage` is put behind the last."""
    rng = random.Random(5)
    lines = [";".join(f'"{name}"' for name in COLUMNS)]
    for _ in range(n_rows):
        acidity, alcohol, ph = rng.uniform(4, 16), rng.uniform(8, 15), rng.uniform(2.7, 4)
        quality = 3 + alcohol / 4 + math.sin(acidity) + rng.gauss(0, 0.1)
        lines.append(f"{acidity:.1f};{alcohol:.2f};{ph:.2f};{quality:.3f}")
    path.write_text("\r\n".join(lines) + damage + "\r\n")
    return path


class Runner:
    """The supervisor's side."""

    def __init__(self, directory, *options, **environment):
        self.data = write_csv(directory / "wine.csv")
        self.process = subprocess.Popen(
            [RUNNER, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **environment})
        assert self.receive() == {"op": "ready", "protocol": 1}

    def send(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def start(self, params, number=0, objective=(), device="cpu", **more):
        self.send(op="trial", study="wine", number=number, attempt=1, params=params, device=device, threads=1, seed=9,
                  objective={"runner": "xgboost", "data": str(self.data), "delimiter": ";", "label": "quality",
                             "metric": "rmse", **dict(objective)}, **more)

    def run(self, params, **more):
        """One trial: its reports by step, and its last message."""
        self.start(params, **more)
        reports = {}
        while (message := self.receive())["op"] == "report":
            reports[message["step"]] = message["value"]
        return reports, message

    def end(self, expect=0):
        _, log = self.process.communicate(timeout=30)
        assert self.process.returncode == expect, log
        assert "Sanitizer" not in log and "runtime error" not in log, log
        return log


@pytest.fixture
def start(tmp_path):
    """start(*options): a runner that must end well."""
    runners = []

    def start_one(*options, **environment):
        runners.append(Runner(tmp_path, *options, **environment))
        return runners[-1]
    yield start_one
    for runner in runners:
        if runner.process.poll() is None:
            runner.end()


def test_trial(start):
    """Reports every ten rounds and at the last; a value that is the last report's metric; attributes."""
    reports, done = start().run({"learning_rate": 0.3, "n_estimators": 25})
    assert list(reports) == [10, 20, 25]
    assert done["op"] == "done"
    [value] = done["values"]
    assert value == pytest.approx(reports[25], rel=1e-5) and value < 0.4
    assert done["attrs"]["rounds"] == 25 and done["attrs"]["metric"] == "rmse" and done["attrs"]["train_s"] > 0


def test_many_trials_one_process(start):
    """The same trial gives the same bits, in this process and in the next."""
    runner = start()
    params = {"max_depth": 3, "subsample": 0.5, "max_bin": 32}
    _, first = runner.run(params)
    runner.run({"max_bin": 64, "n_estimators": 3})
    _, again = runner.run(params)
    assert again["values"] == first["values"]
    _, elsewhere = start().run(params)
    assert elsewhere["values"] == first["values"]


def test_prune_while_it_trains(start):
    """A prune that comes when it comes ends the trial between two rounds; a late one means nothing."""
    runner = start()
    runner.start({"n_estimators": 1_000_000})
    assert runner.receive()["op"] == "report"
    runner.send(op="prune")
    while (message := runner.receive())["op"] == "report":
        pass
    assert message["op"] == "pruned" and 10 <= message["attrs"]["rounds"] < 1_000_000
    runner.send(op="prune")
    assert runner.run({"n_estimators": 3})[1]["op"] == "done"


def test_waits_for_each_answer(start):
    """With "wait" it says nothing more until it is answered, and does what the answer says."""
    runner = start()
    runner.start({"n_estimators": 50}, wait=True)
    for step in (10, 20, 30):
        assert runner.receive()["step"] == step
        runner.send(op="prune" if step == 30 else "continue")
    assert runner.receive()["attrs"]["rounds"] == 30


REFUSALS = {
    "unknown parameter": ({"max_bins": 64}, {}, 'did you mean "max_bin"?'),
    "rounds by another name": ({"num_estimators": 1000}, {}, 'did you mean "n_estimators"?'),
    "unknown key": ({}, {"labell": "quality"}, "did you mean label"),
    "no such file": ({}, {"data": "/nonexistent/wine.csv"}, "cannot open /nonexistent/wine.csv"),
    "no such label": ({}, {"label": "Quality"}, 'did you mean "quality"'),
    "no such metric": ({}, {"metric": "rsme"}, "Unknown metric"),
    "a delimiter forgotten": ({}, {"delimiter": ","}, 'set "delimiter": ";"'),
    "cuda without cuda": ({}, {"params": {"device": "cuda"}}, "device cuda"),
    "given twice": ({"eta": 1}, {"params": {"learning_rate": 1}}, "the same parameter"),
}


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.replace(" ", "-"))
def test_refusals(start, case):
    """The trial fails as the objective's fault, in words that say what to do, and the process serves the next."""
    params, objective, words = REFUSALS[case]
    runner = start()
    _, failed = runner.run(params, objective=objective)
    assert failed["op"] == "fail" and failed["class"] == "objective"
    assert words in failed["reason"]
    assert runner.run({"n_estimators": 2})[1]["op"] == "done"


def test_damaged_data(start):
    """Line, column, name and text of what is no number."""
    runner = start()
    write_csv(runner.data, damage="\r\n7.1;9.5;red;5")
    _, failed = runner.run({})
    assert failed["reason"].endswith('wine.csv, line 302, column 3 ("pH"): "red" is not a number')


def test_cuda_slot_never_trains_on_the_cpu(start):
    """A GPU slot's trial fails where the library or the machine has no GPU; "device": "cpu" in the study is obeyed."""
    runner = start(CUDA_VISIBLE_DEVICES="")
    _, failed = runner.run({"n_estimators": 2}, device="cuda:0")
    assert failed["op"] == "fail" and '"device": "cpu"' in failed["reason"]
    _, done = runner.run({"n_estimators": 2}, device="cuda:0", objective={"params": {"device": "cpu"}})
    assert done["op"] == "done"


def test_model_dir(start, tmp_path):
    """The best model is kept, with a description beside it."""
    runner = start("--model-dir", str(tmp_path / "models"))
    values = [runner.run({"n_estimators": n}, number=i)[1]["values"][0] for i, n in enumerate((5, 40, 6))]
    assert values[1] == min(values)
    best = json.loads((tmp_path / "models/wine/best.json").read_text())
    assert best["trial"] == 1 and best["value"] == values[1] and best["params"] == {"n_estimators": 40}
    assert best["data"]["rows"] == 300 and best["data"]["features"] == COLUMNS[:3]
    assert best["xgboost_version"] and len(best["data"]["fingerprint"]) == 16
    models = sorted(path.name for path in (tmp_path / "models/wine").glob("*.ubj"))
    assert models == [best["model"]] == ["trial-1.ubj"]


def test_the_libraries_words_stay_out_of_the_protocol(start):
    """What XGBoost prints goes to the log, and its warning is there once, not once a trial."""
    runner = start()
    for number in range(3):
        _, done = runner.run({"rate_drop": 0.5, "n_estimators": 2}, number=number, objective={"params": {"verbosity": 3}})
        assert done["op"] == "done"
    log = runner.end()
    assert log.count("without effect beside the other parameters") == 1 and "rate_drop" in log


def test_end_of_input(start):
    """A trial under way is finished when the input ends: printf '{"op": "trial"…' | study-xgboost works."""
    runner = start()
    runner.start({"n_estimators": 20})
    runner.process.stdin.close()
    assert [runner.receive()["op"] for _ in range(3)] == ["report", "report", "done"]
    assert runner.process.wait(30) == 0
    runner.process.stdout.close()
    runner.process.stderr.close()


def test_a_line_that_is_no_json(start):
    """The other side is broken: it says so and ends."""
    runner = start()
    runner.process.stdin.write("trial!\n")
    assert "not understood" in runner.end(expect=1)


def test_no_library(tmp_path):
    """Exit code 4, with what was tried and what to install."""
    ended = subprocess.run([RUNNER, "--libxgboost", "/nonexistent.so"], capture_output=True, text=True, timeout=30,
                           stdin=subprocess.DEVNULL)
    assert ended.returncode == 4
    assert "/nonexistent.so" in ended.stderr and "apt-get install libxgboost0" in ended.stderr


def test_by_hand(tmp_path):
    """--try runs one trial and prints it; --help shows how."""
    data = write_csv(tmp_path / "wine.csv")
    objective = tmp_path / "wine.json"
    objective.write_text(json.dumps({"data": str(data), "delimiter": ";", "label": "quality"}))
    ended = subprocess.run([RUNNER, "--try", '{"n_estimators": 20}', "--objective", objective], capture_output=True,
                           text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0].startswith("round     10") and "value 0." in ended.stdout
    helped = subprocess.run([RUNNER, "--help"], capture_output=True, text=True, timeout=30)
    assert helped.returncode == 0 and "--try" in helped.stdout and "test_size" in helped.stdout
    wrong = subprocess.run([RUNNER, "--try", "{}", "--objective", "/nonexistent"], capture_output=True, text=True, timeout=30)
    assert wrong.returncode == 2 and "/nonexistent" in wrong.stderr
    objective.write_text(json.dumps({"data": "wine", "label": "quality"}))
    named = subprocess.run([RUNNER, "--try", "{}", "--objective", objective], capture_output=True, text=True, timeout=30)
    assert named.returncode == 2 and '"wine" is a name that study-worker --data resolves; write a path here' in named.stderr


def test_an_empty_library_variable(tmp_path):
    """STUDY_XGBOOST_LIBRARY without a value is as good as none."""
    runner = Runner(tmp_path, STUDY_XGBOOST_LIBRARY="")
    runner.end()
