# SPDX-License-Identifier: MIT
"""optuna.load_study() of Optuna 4.9 and 5.0 reads what studyd wrote, trial by trial."""

import datetime
import math
import os

from harness.optuna_scripts import READ

SPEC = {
    "name": "read-me",
    "directions": ["maximize"],
    "space": {
        "rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "share": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25},
        "depth": {"type": "int", "low": 1, "high": 9, "step": 2},
        "booster": {"type": "categorical", "choices": ["gbtree", "日本", None, True, 2, 1.5]},
    },
    "sampler": {"type": "random", "seed": 7},
}
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def plain(value):
    """A number of the API as Optuna has it."""
    return SPECIAL.get(value, value) if isinstance(value, str) else value


def run_trials(studyd):
    """Twelve complete trials, one pruned, one failed, one that lost its worker's answer to NaN, one still running."""
    studyd.create(SPEC)
    for number in range(12):
        trial = studyd.ask_one("read-me", worker="node1/0")
        for step, value in enumerate([0.5, "NaN", "Infinity", "-Infinity", number / 7]):
            studyd.report("read-me", trial["number"], trial["lease"], step, value)
        studyd.tell("read-me", trial["number"], trial["lease"], ["Infinity", "-Infinity", 0.1][number % 3],
                    user_attrs={"best_iteration": number, "note": "été", "nested": {"a": [1, None, True]}})
    trial = studyd.ask_one("read-me")
    studyd.report("read-me", trial["number"], trial["lease"], 3, 0.25)
    studyd.tell("read-me", trial["number"], trial["lease"], state="pruned")
    for body in ({"state": "fail", "class": "objective", "reason": "it said no"}, {"value": "NaN"}):
        trial = studyd.ask_one("read-me")
        studyd.tell("read-me", trial["number"], trial["lease"], **body)
    studyd.ask_one("read-me")


def same(theirs, ours):
    return theirs == ours or (isinstance(ours, float) and math.isnan(ours) and math.isnan(theirs))


def test_optuna_sees_every_trial_as_we_do(studyd, store, optuna):
    """Params, values, states, intermediate values, user attributes and directions are those of our API."""
    run_trials(studyd)
    read = optuna.run(READ, "read-me", store.optuna_url)
    ours = studyd.trials("read-me")
    assert read["directions"] == ["maximize"]
    assert len(read["trials"]) == len(ours) == 16
    for theirs, trial in zip(read["trials"], ours):
        assert theirs["number"] == trial["number"]
        assert theirs["state"] == trial["state"]
        assert theirs["params"] == trial["params"]
        assert list(theirs["params"]) == list(SPEC["space"])
        assert theirs["user_attrs"] == {**theirs["user_attrs"], **trial["user_attrs"]}
        assert (theirs["values"] or []) == [plain(value) for value in trial["values"] or []]
        assert theirs["intermediate_values"].keys() == trial["intermediate_values"].keys()
        for step, value in trial["intermediate_values"].items():
            assert same(theirs["intermediate_values"][step], plain(value))
    assert [trial["state"] for trial in ours] == ["complete"] * 12 + ["pruned", "fail", "fail", "running"]
    assert read["trials"][12]["values"] == [0.25]


def test_distributions_are_the_specs(studyd, store, optuna):
    """Each parameter is stored with the distribution of the spec."""
    run_trials(studyd)
    for trial in optuna.run(READ, "read-me", store.optuna_url)["trials"]:
        distributions = trial["distributions"]
        assert distributions["rate"] == {
            "name": "FloatDistribution", "attributes": {"step": None, "low": 1e-4, "high": 1.0, "log": True}}
        assert distributions["share"]["attributes"]["step"] == 0.25
        assert distributions["depth"] == {
            "name": "IntDistribution", "attributes": {"log": False, "step": 2, "low": 1, "high": 9}}
        assert distributions["booster"]["attributes"]["choices"] == ["gbtree", "日本", None, True, 2, 1.5]


def test_times_are_utc(studyd, store, optuna):
    """Stored times are UTC: 5.x shows them in its own zone, 4.x as they are."""
    run_trials(studyd)
    read = optuna.run(READ, "read-me", store.optuna_url, env=dict(os.environ, TZ="Asia/Tokyo"))
    zone = datetime.timedelta(hours=9 if optuna.name == "optuna5" else 0)
    for theirs, ours in zip(read["trials"], studyd.trials("read-me")):
        for key in ("datetime_start", "datetime_complete"):
            if ours[key] is None:
                assert theirs[key] is None
                continue
            utc = datetime.datetime.fromisoformat(theirs[key]) - zone
            shown = datetime.datetime.fromisoformat(ours[key].replace("Z", "+00:00")).replace(tzinfo=None)
            assert abs((utc - shown).total_seconds()) <= 1


def test_several_directions(studyd, store, optuna):
    """A study of two objectives keeps their order, and its values'."""
    studyd.create({**SPEC, "name": "two", "directions": ["minimize", "maximize"]})
    for number in range(3):
        trial = studyd.ask_one("two")
        studyd.tell("two", trial["number"], trial["lease"], values=[number, -number])
    read = optuna.run(READ, "two", store.optuna_url)
    assert read["directions"] == ["minimize", "maximize"]
    assert [trial["values"] for trial in read["trials"]] == [[0, 0], [1, -1], [2, -2]]
