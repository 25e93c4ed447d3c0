# SPDX-License-Identifier: MIT
"""The tables that studyd makes are those that the real Optuna makes, and Optuna finds nothing to say about them."""

import pathlib
import tempfile

import pytest

from harness.stores import SqliteStore

# What SQLAlchemy sees of a database, as JSON; names that a server gives by itself are left out.
REFLECT = """
import json, re, sys
import sqlalchemy as sa
engine = sa.create_engine(sys.argv[1])
inspector = sa.inspect(engine)
tables = {}
for name in inspector.get_table_names():
    if name.startswith("studyd_"):
        continue
    tables[name] = {
        "columns": [(c["name"], re.sub("(, )?collation='[^']*'(, )?", "", repr(c["type"].dialect_impl(engine.dialect))),
                     c["nullable"], repr(c["default"]), c.get("autoincrement")) for c in inspector.get_columns(name)],
        "primary key": inspector.get_pk_constraint(name)["constrained_columns"],
        "unique": sorted(u["column_names"] for u in inspector.get_unique_constraints(name)),
        "indexes": sorted((i["name"], i["column_names"], bool(i["unique"])) for i in inspector.get_indexes(name)),
        "foreign keys": sorted((f["constrained_columns"], f["referred_table"], f["referred_columns"],
                                f["options"]) for f in inspector.get_foreign_keys(name)),
        "checks": sorted(c["sqltext"].strip("()").replace("`", "").replace(" ", "")
                         for c in inspector.get_check_constraints(name)),
    }
with engine.connect() as connection:
    for name, column in (("version_info", "schema_version"), ("alembic_version", "version_num")):
        tables[name]["rows"] = [list(row) for row in connection.execute(sa.text(f"SELECT {column} FROM {name}"))]
print(json.dumps(tables, sort_keys=True))
"""

CREATE = """
import sys
import optuna
optuna.storages.RDBStorage(sys.argv[1])
"""


@pytest.fixture
def empty_store(store, request):
    """Another empty database of the same kind."""
    if store.kind == "mysql":
        yield store.server.new_database()
        return
    with tempfile.TemporaryDirectory(prefix="st-", dir="/tmp") as path:
        yield SqliteStore(pathlib.Path(path))


def test_tables_are_optunas(store, empty_store, start_studyd, optuna5):
    """Each table, column, type, key and index, and the version rows."""
    start_studyd(store)
    optuna5.run(CREATE, empty_store.optuna_url)
    ours = optuna5.run(REFLECT, store.optuna_url)
    theirs = optuna5.run(REFLECT, empty_store.optuna_url)
    assert len(theirs) == 13
    assert ours == theirs


def test_optuna_opens_them(store, start_studyd, optuna):
    """Optuna 4.9 and 5.0 take them for their own version."""
    start_studyd(store)
    optuna.run(CREATE, store.optuna_url)


def test_studyd_opens_optunas(store, start_studyd, optuna):
    """And the other way round."""
    optuna.run(CREATE, store.optuna_url)
    assert start_studyd(store).http.get("/v1/studies")["studies"] == []
