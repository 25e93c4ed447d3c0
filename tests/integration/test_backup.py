# SPDX-License-Identifier: MIT
"""The recipe of docs/operations.md: a backup under load, and a studyd that goes on from it."""

import http.client
import re
import subprocess
import threading

import pytest

from harness.child import wait_until
from harness.http_json import Refused
from harness.stores import SqliteStore
from harness.studyd import ROOT

SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random", "seed": 1}}


class Client(threading.Thread):
    """Asks and tells until studyd is gone; `told` is what was acknowledged, by number."""

    def __init__(self, studyd, told):
        super().__init__(daemon=True)
        self.studyd, self.told = studyd, told
        self.start()

    def run(self):
        try:
            while True:
                trial = self.studyd.ask_one("one")
                self.studyd.tell("one", trial["number"], trial["lease"], trial["params"]["x"] / 3)
                self.told[trial["number"]] = trial["params"]["x"] / 3
        except (OSError, http.client.HTTPException, Refused):
            return


def recipe(tool):
    """The lines of the manual's section that begin with this tool's name."""
    manual = (ROOT / "docs" / "operations.md").read_text()
    section = re.search(r"^## Backup and restore\n(.*?)^## ", manual, re.MULTILINE | re.DOTALL).group(1)
    lines = re.findall(rf"^    ({tool} .*)$", section, re.MULTILINE)
    assert lines, f"the manual has no line with {tool}"
    return lines


class Mysql:
    def __init__(self, store, directory):
        self.store, self.directory = store, directory
        self.restored = store.server.new_database()
        store.server.query(f"DROP DATABASE {self.restored.name}")
        (directory / ".my.cnf").write_text(f"[client]\nuser=root\nsocket={store.server.socket}\n")

    def run(self, line):
        line = line.replace("optuna", self.store.name, 1).replace("restored", self.restored.name)
        subprocess.run(line, shell=True, check=True, cwd=self.directory, timeout=120, env={"HOME": str(self.directory)})

    def back_up(self):
        for line in recipe("mysqldump"):
            self.run(line)

    def restore(self):
        for line in recipe("mysql"):
            self.run(line)
        return self.restored


class Sqlite:
    def __init__(self, store, directory):
        self.store, self.restored = store, SqliteStore(directory)
        self.restored.path = directory / "restored.db"
        self.restored.url = f"sqlite:///{self.restored.path}"

    def back_up(self):
        for line in recipe("sqlite3"):
            line = line.replace("/var/lib/studyd/studyd.db", str(self.store.path))
            subprocess.run(line.replace("/backup/studyd.db", str(self.restored.path)), shell=True, check=True, timeout=120)

    def restore(self):
        return self.restored


@pytest.fixture
def backup(store, directory):
    return (Mysql if store.kind == "mysql" else Sqlite)(store, directory)


def test_a_backup_under_load(store, backup, start_studyd):
    """All that was acknowledged before the backup began is in it, once, and no number is missing. The restored studyd takes
    the tell of a lease from before the backup, refuses the one of a lease that the backup does not know, and goes on."""
    studyd = start_studyd(store)
    studyd.create(SPEC)
    held = studyd.ask_one("one")
    told = {}
    clients = [Client(studyd, told) for _ in range(4)]
    wait_until("some trials", lambda: len(told) > 100)
    before = dict(told)
    backup.back_up()
    n_after = len(told)
    wait_until("more trials, which will be lost", lambda: len(told) > n_after + 50)
    late = studyd.ask_one("one")
    studyd.kill()
    for client in clients:
        client.join(30)

    restored = start_studyd(backup.restore())
    trials = restored.trials("one")
    assert [trial["number"] for trial in trials] == list(range(len(trials)))
    values = {trial["number"]: trial["value"] for trial in trials if trial["state"] == "complete"}
    assert values.items() >= before.items()
    assert all(value == trials[number]["params"]["x"] / 3 for number, value in values.items())
    assert len(trials) <= late["number"]
    with pytest.raises(Refused) as refused:
        restored.tell("one", late["number"], late["lease"], 1.0)
    assert refused.value.type == "not-found"
    assert restored.tell("one", held["number"], held["lease"], 0.5)["state"] == "complete"
    fresh = restored.ask_one("one")
    assert restored.tell("one", fresh["number"], fresh["lease"], 0.25)["state"] == "complete"
    assert restored.show("one")["state"] == "running"
