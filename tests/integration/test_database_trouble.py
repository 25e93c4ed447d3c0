# SPDX-License-Identifier: MIT
"""A database that others have locked, or that hangs: what the operator sees, who has to wait, and that it ends."""

import http.client
import json
import signal
import socket
import threading
import time

import pytest

from harness.child import wait_until
from harness.http_json import Refused
from harness.studyd import Studyd


def spec(name):
    return {"name": name, "space": {"x": {"type": "float", "low": 0, "high": 1}}, "sampler": {"type": "random"}}


class Client(threading.Thread):
    """Asks and tells in one study until it is stopped; what it was told, and how long the slowest request took."""

    def __init__(self, studyd, study):
        super().__init__(daemon=True)
        self.studyd, self.study = studyd, study
        self.told, self.refused, self.slowest_s = [], [], 0.0
        self.is_stopped = False
        self.start()

    def turn(self):
        trial = self.studyd.ask_one(self.study)
        self.studyd.tell(self.study, trial["number"], trial["lease"], 1.0)
        self.told.append(trial["number"])

    def run(self):
        while not self.is_stopped:
            begin = time.monotonic()
            try:
                self.turn()
                self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
            except Refused as refused:
                assert refused.status == 503
                self.refused.append(refused.document["detail"])
            except (OSError, http.client.HTTPException):
                return  # studyd has ended

    def stop(self):
        self.is_stopped = True
        self.join(30)


class Teller(Client):
    """Tells one trial until it is taken."""

    def __init__(self, studyd, trial):
        self.trial = trial
        super().__init__(studyd, "a")

    def turn(self):
        self.studyd.tell(self.study, self.trial["number"], self.trial["lease"], 2.0)
        self.told.append(self.trial["number"])
        self.is_stopped = True


def ready(studyd):
    """(status, detail) of /readyz."""
    answer = studyd.http.request("GET", "/readyz")
    return answer.status, answer.json().get("detail", "")


WHOLE = {"sqlite": [], "mysql": ["SELECT * FROM studyd_owner FOR UPDATE"]}


def test_a_lock_on_all_of_it(studyd, store):
    """One line says what is in the way and what helps, /readyz the same, reads go on; one line when it is over."""
    studyd.create(spec("a"))
    client = Client(studyd, "a")
    wait_until("some trials", lambda: client.told)
    with store.session(*WHOLE[store.kind]):
        begin = time.monotonic()
        line = studyd.wait_for_log("takes no changes", 15)
        assert time.monotonic() - begin > 4
        status, detail = ready(studyd)
        assert status == 503
        for text in (line, detail):
            if store.kind == "mysql":
                assert "error 1205) at UPDATE studyd_owner" in text and "information_schema.INNODB_TRX" in text
            else:
                assert "database is locked" in text and f"`fuser {store.path}`" in text
        assert "NOT READY" in studyd.http.request("GET", "/").text()
        assert studyd.trial("a", client.told[0])["state"] == "complete"
        with pytest.raises(Refused) as refused:
            studyd.ask("a")
        assert refused.value.type == "store-away" and "/readyz" in refused.value.document["detail"]
    studyd.wait_for_log("is back after")
    assert ready(studyd)[0] == 200
    n_told = len(client.told)
    wait_until("trials again", lambda: len(client.told) > n_told)
    client.stop()
    assert studyd.log().count("takes no changes") == studyd.log().count("is back after") == 1
    states = {trial["number"]: trial["state"] for trial in studyd.trials("a")}
    assert all(states[number] == "complete" for number in client.told)


ROWS = {
    "its own": "SELECT * FROM studies WHERE study_id = 1 FOR UPDATE",
    "its uid": "SELECT * FROM study_system_attributes WHERE study_id = 1 AND `key` = 'studyd:uid' FOR UPDATE",
    "a trial's": "SELECT * FROM trials WHERE trial_id = {trial_id} FOR UPDATE",
    "ours": "SELECT uid INTO @uid FROM studyd_studies WHERE study_id = 1; "
            "SELECT HEX(uid) FROM studyd_studies WHERE uid = @uid FOR UPDATE",
}


@pytest.mark.parametrize("rows", ROWS)
def test_a_lock_on_one_study(rows, start_studyd, shared_mariadb):
    """Its changes wait, one line names it, another study goes on, studyd stays ready; and it is as it was afterwards."""
    store = shared_mariadb.new_database()
    studyd = start_studyd(store)
    studyd.create(spec("a"))
    studyd.create(spec("b"))
    held = studyd.ask_one("a")
    trial_id = store.query("SELECT trial_id FROM trials")[0][0]
    with store.session(ROWS[rows].format(trial_id=trial_id)):
        other = Client(studyd, "b")
        waiting = Teller(studyd, held) if rows == "a trial's" else Client(studyd, "a")
        line = studyd.wait_for_log("changes of a study wait", 20)
        assert 'study="a"' in line and "another session" in line and "information_schema.INNODB_TRX" in line
        assert ready(studyd)[0] == 200
        n_told = len(other.told)
        wait_until("trials of the other study", lambda: len(other.told) > n_told + 5)
        assert not other.refused and other.slowest_s < 4.5
    studyd.wait_for_log("wait no longer")
    wait_until("trials of the study", lambda: waiting.told)
    waiting.stop()
    other.stop()
    assert studyd.log().count("changes of a study wait,") == studyd.log().count("wait no longer") == 1
    assert "takes no changes" not in studyd.log() and "study deleted" not in studyd.log()


def test_a_locked_database_at_the_start(sqlite, start_studyd):
    """It waits, and says for what; and serves when the lock is gone."""
    studyd = start_studyd(sqlite)
    studyd.stop()
    with sqlite.session():
        super(Studyd, studyd).start()
        assert "database is locked" in studyd.wait_for_log("cannot be reached", 20)
    studyd.wait_for_log("listening on")
    assert studyd.log().count("cannot be reached") == 1


def test_a_file_that_is_moved(sqlite, start_studyd, directory):
    """Nothing is acknowledged that whoever opens the path would not find; it goes on when the file is back."""
    studyd = start_studyd(sqlite)
    studyd.create(spec("a"))
    trial = studyd.ask_one("a")
    sqlite.path.rename(directory / "elsewhere")
    with pytest.raises(Refused) as refused:
        studyd.tell("a", 0, trial["lease"], 1.0)
    assert refused.value.type == "store-away"
    assert f"{sqlite.path} was moved" in studyd.wait_for_log("takes no changes", 15)
    assert ready(studyd)[0] == 503 and not sqlite.path.exists()
    (directory / "elsewhere").rename(sqlite.path)
    studyd.wait_for_log("is back after")
    assert studyd.tell("a", 0, trial["lease"], 1.0)["state"] == "complete"
    assert sqlite.query("SELECT COUNT(*), MAX(value) FROM trial_values") == [["1", "1.0"]]


@pytest.mark.mysql
def test_an_old_session_that_does_not_end(mariadb, start_studyd):
    """The server keeps the lock of a session that studyd has lost, as it does while it hangs: the line says why that was lost."""
    store = mariadb.new_database()
    studyd = start_studyd(store)
    studyd.create(spec("a"))
    holders = store.query(f"SELECT IS_USED_LOCK('studyd:{store.name}')")
    with store.session(f"KILL {holders[0][0]}", f"SELECT GET_LOCK('studyd:{store.name}', 10)"):
        line = studyd.wait_for_log("cannot be reached", 20)
        assert "(error 2006); the server has not freed the lock" in line
    studyd.wait_for_log("is back after")
    assert studyd.ask_one("a")["number"] == 0


def test_a_frozen_owner_loses_the_database(start_studyd, start_standby, shared_mariadb):
    """The standby takes over; the frozen one, when it goes on, writes nothing and ends with 1."""
    store = shared_mariadb.new_database()
    first = start_studyd(store)
    first.create(spec("a"))
    trial = first.ask_one("a")
    second = start_standby(store)
    host, port = first.http.address.split(":")
    with socket.create_connection((host, int(port))) as late:
        first.process.send_signal(signal.SIGSTOP)
        try:
            body = json.dumps({"lease": trial["lease"], "value": 1.0}).encode()
            late.sendall(b"POST /v1/studies/a/trials/0/tell HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
                         b"Content-Type: application/json\r\n\r\n%s" % (len(body), body))
            second.wait_for_log("serving", 30)
            assert second.tell("a", 0, trial["lease"], 2.0)["state"] == "complete"
        finally:
            first.process.send_signal(signal.SIGCONT)
        assert first.wait(30) == 1
        answer = late.recv(10000)
    assert "another studyd has taken the database over" in first.log()
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert second.trial("a", 0)["value"] == 2.0
    assert store.query("SELECT COUNT(*), MAX(value) FROM trial_values") == [["1", "2"]]


def test_an_owner_frozen_within_a_transaction(start_studyd, start_standby, shared_mariadb):
    """It stands still between two statements of a batch. What it had written is not there when another one has taken over, and
    when it goes on it cannot finish: who told it has no 200, and tells the new owner."""
    store = shared_mariadb.new_database()
    first = start_studyd(store)
    first.create(spec("a"))
    trial = first.ask_one("a")
    second = start_standby(store)
    with store.session("SELECT * FROM trials FOR UPDATE"):
        teller = Teller(first, trial)
        wait_until("the batch to wait for the trial's row", lambda: store.query(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE trials %'") == [["1"]])
        first.process.send_signal(signal.SIGSTOP)
    try:
        second.wait_for_log("serving", 30)
        assert store.query("SELECT state FROM trials") == [["RUNNING"]]
    finally:
        first.process.send_signal(signal.SIGCONT)
    assert first.wait(30) == 1
    teller.stop()
    assert not teller.told
    assert second.tell("a", 0, trial["lease"], 3.0)["state"] == "complete"
    assert store.query("SELECT COUNT(*), MAX(value) FROM trial_values") == [["1", "3"]]


def test_sigterm_while_the_database_hangs(mariadb, start_studyd):
    """A frozen server under reads and changes: studyd ends with 0 in time, and what was acknowledged is there afterwards."""
    studyd = start_studyd(mariadb.new_database())
    studyd.create(spec("a"))
    client = Client(studyd, "a")
    wait_until("some trials", lambda: len(client.told) > 10)
    mariadb.process.send_signal(signal.SIGSTOP)
    try:
        host, port = studyd.http.address.split(":")
        with socket.create_connection((host, int(port))) as read:
            read.sendall(b"GET /v1/studies/a/trials/0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            studyd.http.get("/healthz")  # what was sent before has arrived too
            studyd.process.send_signal(signal.SIGTERM)
            begin = time.monotonic()
            assert studyd.wait(20) == 0
            assert time.monotonic() - begin < 10
    finally:
        mariadb.process.send_signal(signal.SIGCONT)
    client.stop()
    studyd.start()
    states = {trial["number"]: trial["state"] for trial in studyd.trials("a")}
    assert all(states[number] == "complete" for number in client.told)


def test_sigterm_while_it_hangs_at_the_start(mariadb, directory, daemons):
    """So it is before anything is loaded."""
    store = mariadb.new_database()
    mariadb.process.send_signal(signal.SIGSTOP)
    try:
        studyd = Studyd(directory, store)
        super(Studyd, studyd).start()
        studyd.wait_for_log("cannot be reached", 20)
        studyd.process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        assert studyd.wait(20) == 0
        assert time.monotonic() - begin < 10
    finally:
        mariadb.process.send_signal(signal.SIGCONT)
