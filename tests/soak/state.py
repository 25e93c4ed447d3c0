# SPDX-License-Identifier: MIT
"""What there is at the end: in the database's tables, and as studyd shows it, in one shape, to be compared.

A state is {uid: study}, a study {name, state, max_trials, directions, user_attrs, trials: {number: trial}}, a trial
{state, values, params, intermediate_values, user_attrs, constraints, attempt, worker, reason}; those from the database have
is_ours, retries, and how many rows bear the number, too.
"""

import collections
import json

FIELDS = ("state", "values", "params", "intermediate_values", "user_attrs", "constraints", "attempt", "worker", "reason")
INFINITE = {"INF_POS": "Infinity", "INF_NEG": "-Infinity", "NAN": "NaN"}


def from_daemon(studyd):
    """As studyd shows it."""
    state = {}
    for summary in studyd.http.get("/v1/studies")["studies"]:
        shown = studyd.show(summary["name"])
        state[shown["uid"]] = {
            "name": shown["name"], "state": shown["state"], "max_trials": shown["max_trials"], "directions": shown["directions"],
            "user_attrs": shown["user_attrs"],
            "trials": {trial["number"]: {field: trial[field] for field in FIELDS} for trial in studyd.trials(shown["name"])}}
    return state


def from_hex(text):
    return json.loads(bytes.fromhex(text))


def number(value, kind):
    return INFINITE.get(kind) or float(value)


class Tables:
    """The tables, read once."""

    def __init__(self, store):
        self.store = store

    def rows_of(self, columns, table, key="trial_id"):
        """{trial_id: [row…]}"""
        found = collections.defaultdict(list)
        for row in self.store.query(f"SELECT {key}, {columns} FROM {table}"):
            found[row[0]].append(row[1:])
        return found

    def attributes(self, table, key="trial_id"):
        """{id: {key: value}}"""
        return {owner: {name: from_hex(text) for name, text in rows}
                for owner, rows in self.rows_of("`key`, HEX(value_json)", table, key).items()}


def param(text, distribution):
    distribution = json.loads(distribution)
    if distribution["name"] == "CategoricalDistribution":
        return distribution["attributes"]["choices"][int(float(text))]
    return int(float(text)) if distribution["name"] == "IntDistribution" else float(text)


def reason_of(failure):
    """As studyd shows it: the class, and what was said."""
    return failure and ": ".join(failure[key] for key in ("class", "reason") if key in failure)


def read_trials(tables):
    """{study_id: {number: trial}}"""
    params = tables.rows_of("param_name, param_value, HEX(distribution_json)", "trial_params")
    values = tables.rows_of("objective, value, value_type", "trial_values")
    points = tables.rows_of("step, intermediate_value, intermediate_value_type", "trial_intermediate_values")
    user_attrs = tables.attributes("trial_user_attributes")
    system_attrs = tables.attributes("trial_system_attributes")
    ours = tables.rows_of("attempt, retries, worker", "studyd_trials")
    studies = collections.defaultdict(dict)
    for trial_id, study_id, place, state in tables.store.query("SELECT trial_id, study_id, number, state FROM trials ORDER BY trial_id"):
        own = ours.get(trial_id, [["0", "0", "NULL"]])[0]
        attrs = system_attrs.get(trial_id, {})
        before = studies[study_id].get(int(place))
        studies[study_id][int(place)] = {
            "state": state.lower(),
            "values": [number(value, kind) for _, value, kind in sorted(values[trial_id], key=lambda row: int(row[0]))],
            "params": {name: param(text, bytes.fromhex(distribution)) for name, text, distribution in params[trial_id]},
            "intermediate_values": {step: number(value, kind) for step, value, kind in points[trial_id]},
            "user_attrs": user_attrs.get(trial_id, {}),
            "constraints": attrs.get("constraints"),
            "attempt": int(own[0]), "worker": None if own[2] in ("NULL", "") else own[2], "reason": reason_of(attrs.get("studyd:failure")),
            "is_ours": trial_id in ours, "retries": int(own[1]), "n_rows": 1 + (before["n_rows"] if before else 0)}
    return studies


def from_database(store):
    """As the tables have it."""
    tables = Tables(store)
    trials = read_trials(tables)
    user_attrs = tables.attributes("study_user_attributes", "study_id")
    system_attrs = tables.attributes("study_system_attributes", "study_id")
    directions = tables.rows_of("objective, direction", "study_directions", "study_id")
    state = {}
    for uid, study_id, name, course in store.query("SELECT LOWER(HEX(s.uid)), s.study_id, study_name, s.state FROM studyd_studies s "
                                                   "JOIN studies USING (study_id)"):
        spec = system_attrs[study_id].get("studyd:spec", {})
        state[uid] = {"name": name, "state": course, "max_trials": spec.get("max_trials"), "retries": spec.get("retries"),
                      "directions": [word.lower() for _, word in sorted(directions[study_id])],
                      "user_attrs": user_attrs.get(study_id, {}), "trials": trials[study_id]}
    return state


def shown(state):
    """A state without what only the database knows."""
    return {uid: {**{key: value for key, value in study.items() if key != "retries"},
                  "trials": {place: {field: trial[field] for field in FIELDS} for place, trial in study["trials"].items()}}
            for uid, study in state.items()}
