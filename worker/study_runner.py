# SPDX-License-Identifier: MIT
"""Makes a runner for study-worker out of an Optuna-style objective. One file, no dependencies, Python 3.8 or newer.

    from study_runner import run

    def objective(trial):
        x = trial.suggest_float("x", -100, 100)
        return (x - 2) ** 2

    run(objective)

or, without changing the file the objective is in: python3 study_runner.py MODULE:FUNCTION (or FILE.py:FUNCTION).

studyd chooses the parameters; suggest_*() gives the value it chose, and is an error where the range, log, step or
choices in the code are not those of the study. A trial also has report(), should_prune(), set_user_attr(), number,
params, user_attrs, and beyond Optuna: study, objective (the study's own settings), device, threads, seed, attempt.
Whatever the objective prints goes to the worker's log.
"""

import importlib
import importlib.util
import json
import math
import os
import queue
import sys
import threading
import traceback

__all__ = ["run", "Trial", "TrialPruned"]

PROTOCOL = 1
STEP_TOLERANCE = 1e-8
MOST_ATTRIBUTE_BYTES = 60000


class TrialPruned(Exception):
    """Raised by an objective to end its trial as pruned. Optuna's own works as well."""


class SpaceMismatch(ValueError):
    """The code and the study disagree about a parameter."""


def to_json(number):
    """A float as the protocol writes it."""
    number = float(number)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def result(value, what):
    """A number that the objective gave, as JSON."""
    try:
        return to_json(value)
    except (TypeError, ValueError):
        raise TypeError(f"{what} must be a number, and is {value!r}" + (" (is a return missing?)" if value is None else "")) from None


def attribute(value):
    """An attribute with the floats in it as the protocol writes them. What is no JSON is left as it is."""
    if isinstance(value, float):
        return to_json(value)
    if isinstance(value, dict):
        return {key: attribute(each) for key, each in value.items()}
    return [attribute(each) for each in value] if isinstance(value, (list, tuple)) else value


def is_same(a, b):
    """Are two categories the same? 1 and True are not; NaN and the infinities are texts in JSON."""
    a, b = (to_json(each) if isinstance(each, float) else each for each in (a, b))
    return a == b and isinstance(a, bool) == isinstance(b, bool)


class Trial:
    """What the objective sees: Optuna's Trial, as far as an objective needs one."""

    def __init__(self, line, supervisor):
        self._supervisor = supervisor
        self._space = line.get("space") or {}
        self._waits = line.get("wait", False)
        self._is_pruned = False
        self._reported = set()
        self.study = line["study"]
        self.number = line["number"]
        self.attempt = line.get("attempt", 1)
        self.params = line["params"]
        self.objective = line.get("objective", {})
        self.device = line.get("device", "cpu")
        self.threads = line.get("threads", 1)
        self.seed = line.get("seed", 0)
        self.user_attrs = {}

    # -- parameters

    def _suggest(self, name, kind, **wanted):
        """The value given for `name`, once the study's distribution is seen to be the wanted one."""
        if name not in self.params:
            known = ", ".join(self.params) or "none"
            raise SpaceMismatch(f"the study gives no parameter {name!r} in this trial; it gives: {known}")
        given = self._space.get(name)
        if given is None:
            return self.params[name]
        if given["type"] != kind:
            raise SpaceMismatch(f"parameter {name!r} is {kind} in the code and {given['type']} in the study")
        for key, value in wanted.items():
            default = {"log": False, "step": 1 if kind == "int" else None}.get(key)
            if not self._agree(key, value, given.get(key, default)):
                raise SpaceMismatch(
                    f"parameter {name!r} has {key}={value!r} in the code and {key}={given.get(key, default)!r} in the study")
        return self.params[name]

    @staticmethod
    def _agree(key, value, given):
        if key == "choices":
            return len(value) == len(given) and all(map(is_same, value, given))
        if value is None or given is None or isinstance(value, bool):
            return value == given
        return math.isclose(value, given, rel_tol=STEP_TOLERANCE, abs_tol=0)

    def suggest_float(self, name, low, high, *, step=None, log=False):
        if step is not None:  # as in Optuna, the highest value is a whole number of steps above the lowest
            high = low + math.floor((high - low) / step + STEP_TOLERANCE) * step
        return float(self._suggest(name, "float", low=low, high=high, step=step, log=log))

    def suggest_int(self, name, low, high, *, step=1, log=False):
        high = low + (high - low) // step * step
        return int(self._suggest(name, "int", low=low, high=high, step=step, log=log))

    def suggest_categorical(self, name, choices):
        choices = list(choices)
        value = self._suggest(name, "categorical", choices=choices)
        for choice in choices:  # the code's own object: a tuple stays a tuple, NaN a float
            if is_same(choice, value):
                return choice
        return value

    def suggest_uniform(self, name, low, high):
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name, low, high):
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name, low, high, q):
        return self.suggest_float(name, low, high, step=q)

    # -- intermediate values

    def report(self, value, step):
        step = int(step)
        if step < 0:
            raise ValueError(f"a step must be 0 or more, and is {step}")
        if step in self._reported:  # as in Optuna: the first value stands
            return
        self._reported.add(step)
        self._supervisor.send({"op": "report", "number": self.number, "step": step,
                               "value": result(value, "a reported value")})
        if self._waits:
            self._is_pruned = self._supervisor.receive().get("op") == "prune" or self._is_pruned

    def should_prune(self):
        while not self._is_pruned and self._supervisor.has_line():
            self._is_pruned = self._supervisor.receive().get("op") == "prune"
        return self._is_pruned

    # -- attributes

    def set_user_attr(self, key, value):
        text = json.dumps(attribute(value))  # what is no JSON is an error here, where the code is
        if not isinstance(key, str) or not key or len(text) > MOST_ATTRIBUTE_BYTES:
            raise ValueError(f"user attribute {key!r}: the key must be a text that is not empty, the value at most "
                             f"{MOST_ATTRIBUTE_BYTES} bytes as JSON, and it has {len(text)}")
        self.user_attrs[key] = json.loads(text)


class Supervisor:
    """The other end of stdin and stdout."""

    def __init__(self):
        # The protocol keeps stdout for itself; print() and C libraries' output go to stderr, which is the log.
        self.output = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self.input = os.fdopen(os.dup(0), "r", encoding="utf-8")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)  # what the objective starts must not read our lines
        os.close(null)
        self.lock = threading.Lock()  # an objective may report from a thread of its own
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.input:
                self.lines.put(json.loads(line))
            self.lines.put({"op": "end", "code": 0})
        except ValueError as problem:
            print(f"error: a line of study-worker's cannot be read: {problem}", file=sys.stderr, flush=True)
            self.lines.put({"op": "end", "code": 1})

    def has_line(self):
        return not self.lines.empty()

    def receive(self):
        line = self.lines.get()
        if line["op"] == "end":  # the worker is gone
            os._exit(line["code"])
        return line

    def send(self, message):
        with self.lock:
            self.output.write(json.dumps(message) + "\n")
            self.output.flush()


def is_a(problem, *names):
    """By the names of its classes: Optuna, PyTorch and the like need not be there."""
    return any(kind.__name__ in names for kind in type(problem).__mro__)


def outcome(objective, trial):
    """Runs one trial; returns its last line."""
    try:
        values = objective(trial)
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        return {"op": "done", "values": [result(value, "what the objective returns") for value in values], "attrs": trial.user_attrs}
    except Exception as problem:
        if is_a(problem, "TrialPruned"):  # ours, or Optuna's where the objective imports that one
            return {"op": "pruned", "attrs": trial.user_attrs}
        traceback.print_exc()
        failure = "oom" if is_a(problem, "MemoryError", "OutOfMemoryError", "ResourceExhaustedError") else "objective"
        reason = traceback.format_exception_only(type(problem), problem)[-1].strip()
        return {"op": "fail", "class": failure, "reason": reason, "attrs": trial.user_attrs}


def run(objective):
    """Runs the objective for each trial that study-worker sends, until it sends no more."""
    supervisor = Supervisor()
    supervisor.send({"op": "ready", "protocol": PROTOCOL})
    while True:
        line = supervisor.receive()
        if line["op"] == "trial":  # a late "prune" of the trial before is no news
            supervisor.send({**outcome(objective, Trial(line, supervisor)), "number": line["number"]})


def load(name):
    """MODULE:FUNCTION or FILE.py:FUNCTION."""
    place, _, function = name.rpartition(":")
    if not place or not function:
        sys.exit(f"usage: study_runner.py MODULE:FUNCTION or FILE.py:FUNCTION, not {name!r}")
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location("objective_module", place)
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, os.path.dirname(os.path.abspath(place)))
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, os.getcwd())
        module = importlib.import_module(place)
    return getattr(module, function)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: study_runner.py MODULE:FUNCTION or FILE.py:FUNCTION")
    run(load(sys.argv[1]))
