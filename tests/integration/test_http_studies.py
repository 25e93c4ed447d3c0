# SPDX-License-Identifier: MIT
"""Studies and trials over HTTP: created, listed, shown, changed, deleted; as JSON, as CSV, as a page."""

import csv
import io
import sqlite3

import pytest

from harness.http_json import Refused, path

SPEC = {
    "name": "wine",
    "directions": ["minimize"],
    "space": {"x": {"type": "float", "low": 0, "high": 1}, "kind": {"type": "categorical", "choices": ['a,"b"', None, 2]}},
    "sampler": {"type": "random", "seed": 1},
    "max_trials": 100,
}


@pytest.fixture
def studyd(start_studyd, sqlite):
    return start_studyd(sqlite)


def refusal(call, *arguments, **options):
    with pytest.raises(Refused) as refused:
        call(*arguments, **options)
    return refused.value


def run(studyd, count, study="wine", **outcome):
    """Asks and tells `count` trials; the value of the k-th is 100 - k."""
    trials = []
    for k in range(count):
        trial = studyd.ask_one(study, worker="node1")
        studyd.tell(study, trial["number"], trial["lease"], **(outcome or {"value": 100 - k}))
        trials.append(trial)
    return trials


def test_create(studyd):
    """201 with the whole study; again it is a conflict, or 200 where an equal one is welcome."""
    study = studyd.create(SPEC)
    assert study["spec"]["max_trials"] == 100 and study["spec"]["lease_s"] == 60
    assert study["state"] == "running" and study["best"] is None
    assert refusal(studyd.create, SPEC).type == "exists"
    again = studyd.http.request("POST", "/v1/studies?exist_ok=true", SPEC)
    assert (again.status, again.json()["uid"]) == (200, study["uid"])
    other = refusal(studyd.http.post, "/v1/studies?exist_ok=true", {**SPEC, "max_trials": 99})
    assert (other.status, other.type) == (409, "exists")


def test_a_wrong_spec_is_told_where(studyd):
    """The field and what would be right."""
    for change, field in (({"name": "a/b"}, "name"), ({"directions": ["up"]}, "directions"),
                          ({"space": {"x": {"type": "float", "low": 2, "high": 1}}}, "space.x"),
                          ({"sampler": {"type": "tpee"}}, "sampler"), ({"max_trials": 0}, "max_trials")):
        problem = refusal(studyd.create, {**SPEC, **change})
        assert problem.type == "invalid"
        assert problem.document["field"].startswith(field)
    assert studyd.http.get("/v1/studies") == {"studies": []}


def test_show_and_list(studyd):
    """Counts, best and state follow what was told; the list is by name."""
    studyd.create(SPEC)
    studyd.create({**SPEC, "name": "beer"})
    run(studyd, 2)
    run(studyd, 1, state="fail", reason="no")
    trial = studyd.ask_one("wine")
    study = studyd.show("wine")
    assert study["counts"] == {"running": 1, "complete": 2, "pruned": 0, "fail": 1, "waiting": 0}
    assert (study["best"]["number"], study["best"]["value"]) == (1, 99)
    assert study["best"]["params"] == studyd.trial("wine", 1)["params"]
    assert study["first_ask"].endswith("Z")
    assert trial["number"] == 3
    studies = studyd.http.get("/v1/studies")["studies"]
    assert [row["name"] for row in studies] == ["beer", "wine"]
    assert studies[1] == {key: study[key] for key in studies[1]}
    assert refusal(studyd.show, "ale").type == "not-found"


def test_several_objectives(studyd):
    """The front instead of a best value, and values instead of a value."""
    studyd.create({**SPEC, "directions": ["minimize", "maximize"]})
    for values in ([1, 1], [2, 3], [3, 2]):
        trial = studyd.ask_one("wine")
        studyd.tell("wine", trial["number"], trial["lease"], values=values)
    study = studyd.show("wine")
    assert study["pareto_front"] == [0, 1] and "best" not in study
    assert [trial["values"] for trial in studyd.best("wine")] == [[1, 1], [2, 3]]
    assert "value" not in studyd.trial("wine", 0)


def test_change(studyd):
    """State, budgets and user attributes change; null takes a budget away; the rest of a spec does not change."""
    studyd.create(SPEC)
    target = path("studies", "wine")
    study = studyd.http.patch(target, {"state": "paused", "max_trials": 7, "user_attrs": {"a": 1, "b": 2}})
    assert (study["state"], study["max_trials"], study["user_attrs"]) == ("paused", 7, {"a": 1, "b": 2})
    assert studyd.ask("wine") == {"state": "paused", "trials": []}
    study = studyd.http.patch(target, {"state": "running", "max_trials": None, "user_attrs": {"b": 3}})
    assert (study["state"], study["max_trials"], study["user_attrs"]) == ("running", None, {"a": 1, "b": 3})
    assert refusal(studyd.http.patch, target, {"state": "finished"}).document["field"] == "state"
    problem = refusal(studyd.http.patch, target, {"lease_s": 5})
    assert problem.document["field"] == "lease_s" and "max_trials" in problem.document["detail"]
    assert refusal(studyd.http.patch, target, {"max_trials": 0}).document["field"] == "max_trials"
    assert refusal(studyd.http.patch, target, {"user_attrs": []}).document["field"] == "user_attrs"
    studyd.stop()
    studyd.start()
    study = studyd.show("wine")
    assert (study["state"], study["max_trials"], study["user_attrs"]) == ("running", None, {"a": 1, "b": 3})


def test_delete(studyd):
    """A stopped study goes at once, a running one with force; the name is free again."""
    studyd.create(SPEC)
    run(studyd, 1)
    assert "force" in refusal(studyd.http.delete, path("studies", "wine")).document["detail"]
    studyd.http.patch(path("studies", "wine"), {"state": "stopped"})
    assert studyd.http.delete(path("studies", "wine")) is None
    assert refusal(studyd.show, "wine").type == "not-found"
    first = studyd.create(SPEC)
    run(studyd, 1)
    assert studyd.http.delete(path("studies", "wine") + "?force=true") is None
    assert studyd.create(SPEC)["uid"] != first["uid"]


def test_a_trial_is_the_same_everywhere(studyd):
    """Shown, listed, and among the best: one shape."""
    studyd.create(SPEC)
    trial = studyd.ask_one("wine", worker="node1/gpu0")
    studyd.report("wine", 0, trial["lease"], 10, 0.5)
    open_trial = studyd.trial("wine", 0)
    assert (open_trial["state"], open_trial["value"], open_trial["values"]) == ("running", None, [])
    assert open_trial["intermediate_values"] == {"10": 0.5}
    assert open_trial["datetime_complete"] is None
    studyd.tell("wine", 0, trial["lease"], 0.25, user_attrs={"k": [1, "é"]}, constraints=[-1, "-Infinity"])
    shown = studyd.trial("wine", 0)
    assert shown["params"] == trial["params"]
    assert (shown["value"], shown["values"], shown["worker"], shown["attempt"]) == (0.25, [0.25], "node1/gpu0", 1)
    assert (shown["user_attrs"], shown["constraints"]) == ({"k": [1, "é"]}, [-1, "-Infinity"])
    assert studyd.trials("wine") == [shown] == studyd.best("wine")


def test_a_failure_says_why(studyd):
    """The class and the reason stand in the trial's reason."""
    studyd.create({**SPEC, "retries": 0})
    run(studyd, 1, **{"state": "fail", "class": "oom", "reason": "CUDA out of memory"})
    run(studyd, 1, value="NaN")
    assert studyd.trial("wine", 0)["reason"] == "oom: CUDA out of memory"
    assert studyd.trial("wine", 1)["reason"].startswith("nan")


def test_pages(studyd):
    """Pages follow one another by `next`, newest change last; `state` picks; nothing is shown twice."""
    studyd.create(SPEC)
    run(studyd, 5)
    running = studyd.ask_one("wine")
    target = path("studies", "wine", "trials")
    first = studyd.http.get(target + "?limit=4")
    assert [trial["number"] for trial in first["trials"]] == [0, 1, 2, 3]
    second = studyd.http.get(f"{target}?limit=4&since={first['next']}")
    assert [trial["number"] for trial in second["trials"]] == [4, 5]
    last = studyd.http.get(f"{target}?since={second['next']}")
    assert last == {"trials": [], "next": second["next"]}
    studyd.tell("wine", running["number"], running["lease"], state="pruned")
    later = studyd.http.get(f"{target}?since={second['next']}")
    assert [(trial["number"], trial["state"]) for trial in later["trials"]] == [(5, "pruned")]
    for query, numbers in (("state=pruned", [5]), ("state=complete,pruned&limit=1000", [0, 1, 2, 3, 4, 5]),
                           ("state=pruned,running", [5]), ("state=waiting", [])):
        assert [trial["number"] for trial in studyd.http.get(f"{target}?{query}")["trials"]] == numbers


def test_a_state_is_told_as_it_is_written(studyd):
    """Optuna writes them in capitals; whoever does so here is told the right word, in a query as in a body."""
    studyd.create(SPEC)
    trial = studyd.ask_one("wine")
    asked = refusal(studyd.http.get, path("studies", "wine", "trials") + "?state=running,COMPLETE")
    told = refusal(studyd.tell, "wine", trial["number"], trial["lease"], state="PRUNED")
    assert (asked.document["field"], told.document["field"]) == ("state", "state")
    assert 'did you mean "complete"?' in asked.document["detail"]
    assert 'did you mean "pruned"?' in told.document["detail"]


def test_csv(studyd):
    """With Accept: text/csv the same trials are a table, whose next page the Link header names."""
    studyd.create(SPEC)
    run(studyd, 3)
    run(studyd, 1, state="fail", reason='said "no",\nand left')
    studyd.ask_one("wine")  # is on no page
    trials = studyd.trials("wine")
    target, rows = path("studies", "wine", "trials") + "?limit=3&state=complete,fail", []
    while target:
        answer = studyd.http.request("GET", target, headers={"Accept": "text/csv"})
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert answer.headers["Vary"] == "Accept"
        rows += csv.DictReader(io.StringIO(answer.text(), newline=""))
        link = answer.headers["Link"]
        target = link and path("studies", "wine", "trials") + link[link.index("<") + 1:link.index(">")]
    assert len(rows) == 4
    for row, trial in zip(rows, trials):
        assert row["number"] == str(trial["number"]) and row["state"] == trial["state"]
        assert row["value"] == ("" if trial["value"] is None else str(trial["value"]))
        assert float(row["params_x"]) == trial["params"]["x"]
        assert row["params_kind"] == ("" if trial["params"]["kind"] is None else str(trial["params"]["kind"]))
        assert row["reason"] == (trial["reason"] or "")
        assert row["datetime_complete"] == trial["datetime_complete"]


def table(studyd, query="", headers=None):
    answer = studyd.http.request("GET", path("studies", "wine", "trials") + query, headers={"Accept": "text/csv", **(headers or {})})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8; header=present")
    return answer, list(csv.DictReader(io.StringIO(answer.text(), newline="")))


def test_a_csv_that_names_no_page_is_whole(studyd):
    """All trials, more than any page has, by number whatever changed last; `state` picks; `limit` and `since` ask for pages."""
    studyd.create({**SPEC, "max_trials": 1101})
    trials = [trial for _ in range(11) for trial in studyd.ask("wine", count=100)["trials"]] + [studyd.ask_one("wine")]
    for number in (1100, 600, 3):
        studyd.tell("wine", number, trials[number]["lease"], value=number)
    answer, rows = table(studyd)
    assert [int(row["number"]) for row in rows] == list(range(1101))
    assert [row["value"] for row in rows if row["state"] == "complete"] == ["3.0", "600.0", "1100.0"]
    assert (answer.headers["Link"], answer.headers["Vary"]) == (None, "Accept")
    assert [row["number"] for row in table(studyd, "?state=complete")[1]] == ["3", "600", "1100"]
    assert len(table(studyd, "?since=0")[1]) == len(table(studyd, "?limit=1000")[1]) == 1000
    assert len(studyd.http.get(path("studies", "wine", "trials"))["trials"]) == 1000
    head = studyd.http.request("HEAD", path("studies", "wine", "trials"), headers={"Accept": "text/csv"})
    assert (head.status, head.body) == (200, b"")
    assert table(studyd, "?state=waiting")[1] == []


def test_enqueue(studyd):
    """An enqueued trial has its number at once, keeps what was given, and goes out first."""
    studyd.create(SPEC)
    answer = studyd.http.request("POST", path("studies", "wine", "enqueue"), {"params": {"x": 0.5}, "request_id": "r"})
    assert (answer.status, answer.json()) == (201, {"number": 0})
    assert studyd.enqueue("wine", {"x": 0.5}, request_id="r") == {"number": 0}
    assert refusal(studyd.enqueue, "wine", {"x": 0.25}, request_id="r").status == 422
    assert studyd.trial("wine", 0)["state"] == "waiting"
    trial = studyd.ask_one("wine")
    assert (trial["number"], trial["params"]["x"]) == (0, 0.5)
    assert refusal(studyd.enqueue, "wine", {"y": 1}).document["field"].startswith("params")


def test_ask_of_all_studies(studyd):
    """POST /v1/ask names the study of each trial, and gives only those whose runner is asked for."""
    studyd.create({**SPEC, "objective": {"runner": "xgboost"}})
    studyd.create({**SPEC, "name": "beer", "objective": {"runner": "quadratic"}})
    answer = studyd.http.post("/v1/ask", {"runners": ["quadratic"], "count": 2})
    assert {trial["study"] for trial in answer["trials"]} == {"beer"}
    answer = studyd.http.post("/v1/ask", {})
    assert [trial["study"] for trial in answer["trials"]] == ["wine"]
    assert studyd.http.post("/v1/ask", {"runners": ["none"]})["trials"] == []


def test_workers(studyd):
    """Who asked, what they hold, what they told."""
    studyd.create(SPEC)
    run(studyd, 2)
    studyd.ask_one("wine", worker="node2")
    workers = studyd.http.get("/v1/workers")["workers"]
    assert [(row["name"], row["running"], row["complete"]) for row in workers] == [("node1", 0, 2), ("node2", 1, 0)]
    assert all(row["last_seen"].endswith("Z") for row in workers)


def test_status_page(studyd):
    """GET / is a table for people: each study with its progress and best value, each worker."""
    assert "no studies yet" in studyd.http.request("GET", "/").text()
    studyd.create(SPEC)
    run(studyd, 3)
    answer = studyd.http.request("GET", "/", headers={"Accept": "text/html,*/*"})
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Vary"] == "Accept"
    lines = {line.split()[0]: line.split() for line in answer.text().splitlines() if line}
    assert lines["wine"][1:4] == ["running", "3/100", "0"] and "98" in lines["wine"]
    assert lines["node1"][1:3] == ["0", "3"]


def test_status_page_with_long_names(studyd, optuna5, sqlite):
    """Optuna's names have up to 512 characters: the columns stay together, and the page says where the whole names are."""
    name = "日本" * 128 + "x" * 255 + "!"
    studyd.create({**SPEC, "name": "short"})
    assert "are cut" not in studyd.http.request("GET", "/").text()
    studyd.stop()
    optuna5.run("import sys, optuna; optuna.create_study(study_name=sys.argv[1], storage=sys.argv[2])", name,
                sqlite.optuna_url)
    studyd.start()
    page = studyd.http.request("GET", "/").text()
    assert max(map(len, page.splitlines())) < 130
    (long,) = [line for line in page.splitlines() if line.startswith(name[:20])]
    (short,) = [line for line in page.splitlines() if line.startswith("short")]
    assert long.index("running") == short.index("running") and long.split()[0].endswith("xxx!")
    assert "cut; GET /v1/studies has them whole" in page
    assert name in [study["name"] for study in studyd.http.get("/v1/studies")["studies"]]


def test_a_trial_that_another_program_deleted(studyd, sqlite):
    """It is 404, and missing in lists, however studyd remembers it."""
    studyd.create(SPEC)
    run(studyd, 2)
    with sqlite3.connect(sqlite.path) as connection:
        connection.execute("DELETE FROM trials WHERE trial_id = (SELECT min(trial_id) FROM trials)")
    connection.close()
    problem = refusal(studyd.trial, "wine", 0)
    assert problem.type == "not-found" and "is gone" in problem.document["detail"]
    assert [trial["number"] for trial in studyd.trials("wine")] == [1]


def test_health(studyd):
    """Alive and ready, each with the version; what is true now is not kept."""
    assert studyd.http.get("/healthz")["status"] == "alive"
    assert studyd.http.get("/readyz")["status"] == "ready"
    assert studyd.http.request("GET", "/healthz").headers["Cache-Control"] == "no-store"
