# SPDX-License-Identifier: MIT
"""The account that studyd has at the database server: what it needs, and what is said where something is missing."""

import os
import pathlib
import subprocess

import pytest

from harness import child
from harness.child import free_port, wait_until
from harness.http_json import Refused, path
from harness.stores import Mariadb
from harness.studyd import BUILD, Studyd, sanitizer_env

STUDYD = str(BUILD / "daemon" / "studyd")
RIGHTS = ["SELECT", "INSERT", "UPDATE", "DELETE"]
SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random"}}


def use_account(store, rights, password="secret"):
    """From now on the store's URL logs in with these rights on its database, and none elsewhere."""
    store.server.new_account("narrow", password, *([f"{', '.join(rights)} ON `{store.name}`.*"] if rights else []))
    store.url = f"mysql://narrow:{password}@localhost/{store.name}?unix_socket={store.server.socket}"
    return store


def make_tables(store):
    """As the administrator does: the output of studyd --print-schema, given to the server."""
    schema = subprocess.run([STUDYD, "--print-schema"], capture_output=True, text=True, check=True, env=sanitizer_env())
    store.query(schema.stdout)
    return store


def run(store):
    """A studyd that is expected to end by itself."""
    return subprocess.run([STUDYD, "--listen", "127.0.0.1:0", "--store", store.url], capture_output=True, text=True,
                          timeout=60, check=False, env=sanitizer_env(), preexec_fn=child.die_with_parent)


@pytest.fixture
def prepared(shared_mariadb):
    """A database with the tables that the administrator has made."""
    return make_tables(shared_mariadb.new_database())


def test_four_rights_are_enough(prepared, start_studyd, start_standby):
    """A whole life with SELECT, INSERT, UPDATE and DELETE on one database: create, ask, report, tell, enqueue, attributes,
    another attempt, a restart, a standby that takes over, and a deleted study whose rows go."""
    use_account(prepared, RIGHTS)
    first = start_studyd(prepared)
    first.create({**SPEC, "retries": 1})
    trial = first.ask_one("one", worker="w")
    first.report("one", trial["number"], trial["lease"], 1, 0.5)
    first.tell("one", trial["number"], trial["lease"], state="waiting")
    again = first.ask_one("one")
    assert (again["number"], again["attempt"]) == (trial["number"], 2)
    first.report("one", again["number"], again["lease"], 1, 0.25)
    first.tell("one", again["number"], again["lease"], 1.0, user_attrs={"a": 1})
    first.enqueue("one", {"x": 0.5})
    first.http.patch(path("studies", "one"), {"user_attrs": {"owner": "me"}})
    first.stop()
    first.start()

    second = start_standby(prepared)
    second.wait_for_log("standby")
    first.kill()
    second.wait_for_log("serving")
    assert second.trial("one", 0)["value"] == 1.0
    assert second.ask_one("one")["params"] == {"x": 0.5}
    second.http.request("DELETE", path("studies", "one") + "?force=true")
    for table in ("trials", "studyd_trials", "trial_params", "trial_intermediate_values", "studies", "studyd_studies"):
        wait_until(f"no row in {table}", lambda table=table: prepared.query(f"SELECT COUNT(*) FROM {table}") == [["0"]])
    assert "denied" not in first.log() + second.log()


def test_over_the_network(directory, daemons):
    """By TCP, without TLS, with a password: also MySQL's caching_sha2_password, which then sends it under the server's key.
    The second login is another exchange: the server remembers the first."""
    (directory / "db").mkdir()
    port = free_port()
    server = Mariadb(directory / "db", "--skip-networking=0", "--bind-address=127.0.0.1", f"--port={port}")
    daemons.append((server, 0))
    server.start()
    store = server.new_database()
    server.query(f"CREATE USER far@127.0.0.1 IDENTIFIED BY 'secret'; GRANT ALL ON {store.name}.* TO far@127.0.0.1")
    store.url = f"mysql://far:secret@127.0.0.1:{port}/{store.name}"
    studyd = Studyd(directory, store)
    daemons.append((studyd, 0))
    studyd.start()
    studyd.create(SPEC)
    studyd.stop()
    studyd.start()
    assert studyd.show("one")["name"] == "one"


def test_first_start_makes_the_tables(shared_mariadb, start_studyd):
    """With CREATE and REFERENCES beside the four, studyd makes the tables itself: the same that --print-schema makes."""
    made = use_account(shared_mariadb.new_database(), [*RIGHTS, "CREATE", "REFERENCES"])
    start_studyd(made).stop()
    printed = make_tables(shared_mariadb.new_database())
    tables = [name for name, in made.query("SHOW TABLES")]
    assert len(tables) == 16 and tables == [name for name, in printed.query("SHOW TABLES")]
    for table in tables:
        assert made.query(f"SHOW CREATE TABLE {table}") == printed.query(f"SHOW CREATE TABLE {table}")
    for table in ("version_info", "alembic_version"):
        assert made.query(f"SELECT * FROM {table}") == printed.query(f"SELECT * FROM {table}") != []


def test_the_tables_once_more(prepared):
    """What --print-schema prints can be given again, makes what is missing, and leaves what is there: above all another
    version of Optuna's, which the start goes on to refuse."""
    prepared.query("DROP TABLE studyd_trials; UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    make_tables(prepared)
    assert len(prepared.query("SHOW TABLES")) == 16
    assert prepared.query("SELECT version_num FROM alembic_version") == [["v3.0.0.d"]]
    assert "schema v3.0.0.d" in run(prepared).stderr


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_right_is_missing(prepared, missing):
    """3 at the start, not hours later; one line says which right on which table, and what the administrator must do."""
    answer = run(use_account(prepared, [right for right in RIGHTS if right != missing]))
    assert answer.returncode == 3
    assert f"{missing} command denied to user 'narrow'@'localhost' for table" in answer.stderr
    assert f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{prepared.name}`.* TO this user" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["CREATE", "REFERENCES"])
def test_tables_may_not_be_made(shared_mariadb, start_studyd, missing):
    """In an empty database: which right is missing, and the way without it. With it the next start makes what is left."""
    if missing == "REFERENCES" and "MariaDB" in shared_mariadb.query("SELECT VERSION()")[0][0]:
        pytest.skip("MariaDB 10.11 asks for no such right")
    rights = [*RIGHTS, "CREATE", "REFERENCES"]
    store = use_account(shared_mariadb.new_database(), [right for right in rights if right != missing])
    answer = run(store)
    assert answer.returncode == 3
    assert f"{missing} command denied to user 'narrow'@'localhost'" in answer.stderr
    assert f"GRANT CREATE, REFERENCES ON `{store.name}`.* TO this user" in answer.stderr
    assert "studyd --print-schema" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    start_studyd(use_account(store, rights))
    assert len(store.query("SHOW TABLES")) == 16


def test_no_right_at_all(shared_mariadb):
    """A database that the account does not see: the same whether it is there or not."""
    store = use_account(shared_mariadb.new_database(), [])
    answer = run(store)
    assert answer.returncode == 3
    assert f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{store.name}`.* TO this user" in answer.stderr


def test_a_way_to_log_in_that_the_library_lacks(directory, daemons):
    """3, at once: it does not come by waiting. Oracle's library has not had the passwords of MariaDB since 9.0."""
    if b"libmysqlclient.so" not in pathlib.Path(STUDYD).read_bytes():
        pytest.skip("this studyd has MariaDB's client library, which has both; make check-mysql has the other one")
    server = Mariadb(directory)
    server.env = {**os.environ, "STUDYD_MYSQL": ""}
    daemons.append((server, 0))
    server.start()
    answer = run(use_account(server.new_database(), RIGHTS))
    assert answer.returncode == 3
    assert "'mysql_native_password' cannot be loaded" in answer.stderr and "ALTER USER" in answer.stderr


def test_an_absent_database(shared_mariadb):
    """The statement that makes it, as it can be pasted."""
    url = f"mysql://root@localhost/nowhere?unix_socket={shared_mariadb.socket}"
    store = shared_mariadb.new_database()
    store.url = url
    answer = run(store)
    assert answer.returncode == 3
    assert "CREATE DATABASE `nowhere` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" in answer.stderr


def test_a_database_of_another_program(shared_mariadb, start_studyd):
    """It may hold other tables; whoever did not mean that is told, once."""
    store = shared_mariadb.new_database()
    store.query("CREATE TABLE posts (id INTEGER)")
    studyd = start_studyd(store)
    assert "others=1" in studyd.wait_for_log("another program's too")
    studyd.stop()
    studyd.start()
    assert studyd.log().count("another program's too") == 1


def test_a_right_on_one_table_is_missing(prepared, start_studyd):
    """Where rights are given table by table: the change that needs the missing one is refused with what helps, and what
    does not need it goes on; once it is given the same change is taken."""
    use_account(prepared, ["SELECT", "UPDATE", "DELETE"])
    grant = "GRANT INSERT ON {} TO narrow@localhost"
    for table, in prepared.query("SHOW TABLES"):
        if table != "trial_values":
            prepared.query(grant.format(table))
    studyd = start_studyd(prepared)
    studyd.create(SPEC)
    trial = studyd.ask_one("one")
    with pytest.raises(Refused) as refused:
        studyd.tell("one", trial["number"], trial["lease"], 1.0)
    assert (refused.value.status, refused.value.type) == (500, "store-refused")
    line = studyd.wait_for_log("the database refuses a change")
    assert "INSERT command denied" in line and "trial_values" in line and "must GRANT" in line
    assert studyd.ask_one("one")["number"] == 1
    prepared.query(grant.format("trial_values"))
    assert studyd.tell("one", trial["number"], trial["lease"], 1.0)["state"] == "complete"
