# SPDX-License-Identifier: MIT
"""Studies change hands: Optuna's go on under studyd, studyd's under Optuna, and both work on one at the same time."""

import math
import subprocess

from harness import child
from harness.optuna_scripts import CONTINUE, MAKE, READ

SHARED = {
    "name": "shared",
    "directions": ["minimize"],
    "space": {"x": {"type": "float", "low": 0, "high": 1}, "kind": {"type": "categorical", "choices": ["a", "b"]}},
    "sampler": {"type": "tpe", "seed": 1},
}
TEXT = {math.inf: "Infinity", -math.inf: "-Infinity"}


def shown(value):
    """A number of Optuna's as our API shows it."""
    return "NaN" if math.isnan(value) else TEXT.get(value, value)


def tell_some(studyd, study, count):
    for _ in range(count):
        trial = studyd.ask_one(study)
        studyd.tell(study, trial["number"], trial["lease"], 0.5)


def test_studyd_loads_all_that_optuna_wrote(optuna5, store, start_studyd):
    """Every state, special value and distribution of a study that Optuna 5 made is shown as Optuna has it."""
    optuna5.run(MAKE, "theirs", store.optuna_url)
    before = optuna5.run(READ, "theirs", store.optuna_url)["trials"]
    studyd = start_studyd(store)
    study = studyd.show("theirs")
    assert study["counts"] == {"running": 1, "waiting": 1, "complete": 6, "pruned": 1, "fail": 2}
    ours = studyd.trials("theirs")
    assert len(ours) == len(before) == 11
    for theirs, trial in zip(before, ours):
        assert trial["number"] == theirs["number"]
        assert trial["state"] == theirs["state"]
        assert trial["params"] == theirs["params"]
        assert trial["user_attrs"] == theirs["user_attrs"]
        assert (trial["values"] or []) == [shown(value) for value in theirs["values"] or []]
        assert trial["intermediate_values"] == {
            step: shown(value) for step, value in theirs["intermediate_values"].items()}
    assert [trial["number"] for trial in studyd.best("theirs")] == [2]


def test_studyd_goes_on_with_optunas_study(optuna5, store, start_studyd):
    """The enqueued trial comes first, with its fixed parameters; then new numbers. Optuna reads it all, and its own
    finished and running trials have not changed."""
    optuna5.run(MAKE, "theirs", store.optuna_url)
    before = optuna5.run(READ, "theirs", store.optuna_url)["trials"]
    studyd = start_studyd(store)
    first = studyd.ask_one("theirs")
    assert first["number"] == 10
    assert first["params"]["float"] == 1.25 and first["params"]["choice"] is None
    assert set(first["params"]) == set(before[0]["params"])
    studyd.tell("theirs", 10, first["lease"], 7.5)
    second = studyd.ask_one("theirs")
    assert second["number"] == 11
    assert set(second["params"]) == set(before[0]["params"])
    studyd.tell("theirs", 11, second["lease"], 8.5)
    after = optuna5.run(READ, "theirs", store.optuna_url)["trials"]
    assert str(after[:10]) == str(before[:10])
    assert [trial["values"] for trial in after[10:]] == [[7.5], [8.5]]
    assert after[11]["distributions"] == before[0]["distributions"]


def test_a_spec_is_attached_to_optunas_study(optuna5, store, start_studyd):
    """Create with exist_ok gives a study that Optuna made a spec of ours; without, it is a conflict."""
    optuna5.run(MAKE.replace("maximize", "minimize").replace('"float":', '"x":').replace("-1.5, 2.5", "0, 1"),
                "shared", store.optuna_url)
    studyd = start_studyd(store)
    refused = studyd.http.request("POST", "/v1/studies", SHARED)
    assert refused.status == 409 and refused.json()["type"] == "urn:studyd:exists"
    answer = studyd.http.request("POST", "/v1/studies?exist_ok=true", SHARED)
    assert answer.status == 200, answer.text()
    assert set(studyd.show("shared")["spec"]["space"]) == {"x", "kind"}


def test_optuna_goes_on_with_ours(optuna, store, start_studyd):
    """Optuna continues a study that we made; studyd, running all the while, takes its trials in and goes on."""
    studyd = start_studyd(store)
    studyd.create(SHARED)
    tell_some(studyd, "shared", 3)
    optuna.run(CONTINUE, "shared", store.optuna_url, 3)
    trial = studyd.ask_one("shared")
    assert trial["number"] == 6
    studyd.tell("shared", 6, trial["lease"], 0.25)
    assert [trial["state"] for trial in studyd.trials("shared")] == ["complete"] * 7
    read = optuna.run(READ, "shared", store.optuna_url)["trials"]
    assert [trial["number"] for trial in read] == list(range(7))


def test_both_at_once(optuna5, start_studyd, shared_mariadb):
    """While two Optuna processes work on a study, so does studyd: every number is given out once."""
    store = shared_mariadb.new_database()
    studyd = start_studyd(store)
    studyd.create(SHARED)
    tell_some(studyd, "shared", 1)
    others = [child.start(optuna5.command(CONTINUE, "shared", store.optuna_url, 10), stderr=subprocess.PIPE)
              for _ in range(2)]
    told = 1
    while any(other.poll() is None for other in others):
        tell_some(studyd, "shared", 1)
        told += 1
    for other in others:
        assert other.returncode == 0, other.stderr.read().decode()
    child.wait_until("studyd to see that Optuna's last trials are complete",
                     lambda: studyd.show("shared")["counts"]["complete"] == told + 20)
    assert [trial["number"] for trial in studyd.trials("shared")] == list(range(told + 20))
    numbers = [int(number) for number, in store.query("SELECT number FROM trials ORDER BY number")]
    assert numbers == list(range(told + 20))
