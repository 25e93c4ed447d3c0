# SPDX-License-Identifier: MIT
"""studyd as a process: its command line, how it starts, waits, reloads and stops, and what it ends with."""

import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from harness import child
from harness.child import free_port, wait_until
from harness.http_json import Http, Refused, path
from harness.stores import SqliteStore
from harness.studyd import BUILD, ROOT, Studyd, sanitizer_env

STUDYD = str(BUILD / "daemon" / "studyd")
SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "max_trials": 1}


def run(*arguments, **env):
    return subprocess.run([STUDYD, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
                          env={**sanitizer_env(), **env}, preexec_fn=child.die_with_parent)


# ---- the command line ----

def test_what_is_answered_at_once(sqlite):
    """Version, help, the sample file, and whether the settings are valid: on stdout, with 0."""
    assert run("--version").stdout.startswith("studyd ")
    assert "--allow-unauthenticated" in run("--help").stdout
    assert run("--sample-config").stdout == (ROOT / "conf" / "studyd.conf").read_text()
    checked = run("--check-config", "--store", sqlite.url)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert not sqlite.path.exists()


@pytest.mark.parametrize("arguments, says", [
    (["--stor", "x"], "did you mean --store?"),
    (["--listen", "8090"], "ADDR:PORT"),
    (["--store", "postgres://x"], "mysql:// or sqlite://"),
    (["--config", "/nonexistent"], "/nonexistent"),
    (["--log-level", "loud"], "error, warning, info or debug"),
    (["--token-file", "/nonexistent"], "/nonexistent"),
    (["--new-token", "admin"], "--token-file"),
])
def test_wrong_settings(arguments, says):
    """2, and one line that says what would be right; the same with --check-config."""
    for option in ([], ["--check-config"]):
        answer = run("--listen", "127.0.0.1:0", *option, *arguments)
        assert answer.returncode == 2
        assert says in answer.stderr
        assert len(answer.stderr.splitlines()) == 1
        assert "listening" not in answer.stderr


def test_settings_from_a_file(directory, sqlite):
    """Keys of the file are read, and a wrong one is named with its line."""
    file = directory / "studyd.conf"
    file.write_text(f"[studyd]\nlisten = 127.0.0.1:0\nstore = {sqlite.url}\nlog_level = debug\n")
    assert run("--config", file, "--check-config").returncode == 0
    file.write_text("listen = 127.0.0.1:0\nlog_levle = debug\n")
    answer = run("--config", file, "--check-config")
    assert answer.returncode == 2
    assert f"{file}:2: " in answer.stderr and "log_level" in answer.stderr


# ---- starting ----

def test_a_port_in_use(start_studyd, sqlite, directory):
    """1, and the address that is taken; the database is not touched."""
    studyd = start_studyd(sqlite)
    other = SqliteStore(directory / "other")
    answer = run("--listen", studyd.http.address, "--store", other.url)
    assert answer.returncode == 1
    assert f"cannot listen on {studyd.http.address}: Address already in use" in answer.stderr
    assert not other.path.exists()


def test_its_own_directory(directory, daemons):
    """Without --store the studies are in the state directory, which is made."""
    state = directory / "deep" / "state"
    studyd = child.Daemon("studyd", [STUDYD, "--listen", "127.0.0.1:0"], directory / "studyd.log",
                          env={**sanitizer_env(), "STATE_DIRECTORY": str(state)})
    daemons.append((studyd, 0))
    studyd.start()
    studyd.wait_for_log("listening on")
    assert (state / "studyd.db").exists()
    assert str(state / "studyd.db") in studyd.log()


def test_a_directory_that_cannot_be_made(directory):
    """1, its path, and what else can be done."""
    (directory / "file").write_text("")
    answer = run("--listen", "127.0.0.1:0", "--state-dir", directory / "file" / "state")
    assert answer.returncode == 1
    assert f"{directory / 'file' / 'state'}: Not a directory; name another one with --state-dir" in answer.stderr


def test_another_schema(sqlite):
    """3: a database of another version of Optuna is left as it is."""
    with sqlite3.connect(sqlite.path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES ('v9.9.9')")
        connection.execute("CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512))")
    connection.close()
    answer = run("--listen", "127.0.0.1:0", "--store", sqlite.url)
    assert answer.returncode == 3
    assert "v9.9.9" in answer.stderr


def test_a_refused_login(shared_mariadb):
    """3, at once: a wrong password does not get better by waiting."""
    shared_mariadb.new_account("locked", "right")
    url = f"mysql://locked:wrong@localhost/optuna?unix_socket={shared_mariadb.socket}"
    answer = run("--listen", "127.0.0.1:0", "--store", url)
    assert answer.returncode == 3
    assert "Access denied" in answer.stderr
    assert "wrong" not in answer.stderr


def test_a_password_file(shared_mariadb, directory, daemons):
    """The password of the file opens the database, and stands in no log line."""
    store = shared_mariadb.new_database()
    shared_mariadb.new_account("keeper", "open sesame", f"ALL ON {store.name}.*")
    secret = directory / "password"
    secret.write_text("open sesame\n")
    store.url = f"mysql://keeper@localhost/{store.name}?unix_socket={shared_mariadb.socket}"
    studyd = Studyd(directory, store, "--password-file", secret, "--log-level", "debug")
    daemons.append((studyd, 0))
    studyd.start()
    studyd.create(SPEC)
    assert "sesame" not in studyd.log()


def test_a_database_that_is_away(directory, mariadb, daemons):
    """It waits, says so once, is alive and not ready meanwhile; and serves when the database is there."""
    store = mariadb.new_database()
    mariadb.stop()
    port = free_port()
    studyd = child.Daemon("studyd", [STUDYD, "--listen", f"127.0.0.1:{port}", "--store", store.url],
                          directory / "studyd.log", env=sanitizer_env())
    daemons.append((studyd, 0))
    studyd.start()
    studyd.wait_for_log("cannot be reached")
    client = Http(f"http://127.0.0.1:{port}")
    assert client.get("/healthz")["status"] == "alive"
    for target in ("/readyz", "/v1/studies", "/", "/openapi.yaml"):
        with pytest.raises(Refused) as refused:
            client.get(target)
        assert refused.value.type == "store-away"
        assert int(refused.value.headers["Retry-After"]) > 0
    assert "listening on" not in studyd.log()
    mariadb.start()
    studyd.wait_for_log("listening on")
    assert client.get("/readyz")["status"] == "ready"
    assert studyd.log().count("cannot be reached") == 1


def test_reads_go_on_while_the_database_is_away(mariadb, start_studyd):
    """Memory is read, changes are refused with 503, readyz says so; all is well again when it is back."""
    studyd = start_studyd(mariadb.new_database())
    studyd.create(SPEC)
    mariadb.stop()

    def change():
        try:
            studyd.http.patch(path("studies", "one"), {"user_attrs": {"a": 1}})
            return True
        except Refused as refused:
            assert refused.type == "store-away"
            return False

    assert not change()
    assert studyd.show("one")["state"] == "running"
    with pytest.raises(Refused) as refused:
        studyd.http.get("/readyz")
    assert refused.value.type == "store-away"
    assert "cannot be reached" in studyd.http.request("GET", "/").text()
    mariadb.start()
    wait_until("a change to be stored", change)
    assert studyd.http.get("/readyz")["status"] == "ready"


def test_a_standby_takes_over(start_studyd, start_standby, store):
    """A second studyd is alive, refuses all else, says who owns the database; and serves when the first is killed."""
    first = start_studyd(store)
    first.create(SPEC)
    second = start_standby(store)
    assert second.http.get("/healthz")["status"] == "alive"
    for target in ("/readyz", "/v1/studies"):
        with pytest.raises(Refused) as refused:
            second.http.get(target)
        assert refused.value.type == "standby"
        assert f"pid {first.process.pid}" in refused.value.document["detail"]
        assert "Retry-After" in refused.value.headers
    first.kill()
    second.wait_for_log("serving")
    assert second.show("one")["name"] == "one"
    assert second.log().count("listening on") == 1


# ---- reloading ----

def test_reload(directory, sqlite, daemons):
    """SIGHUP takes over what can change, names what cannot, and keeps the old where the new is wrong."""
    file = directory / "studyd.conf"
    file.write_text("log_level = info\n")
    studyd = Studyd(directory, sqlite, "--config", file)
    daemons.append((studyd, 0))
    studyd.start()
    assert "http: GET" not in studyd.log()

    file.write_text("log_level = debug\nmax_connections = 7\nhosts = study.example\n")
    studyd.process.send_signal(signal.SIGHUP)
    assert "max_connections" in studyd.wait_for_log("a restart is needed")
    assert studyd.http.request("POST", "/v1/studies", SPEC, {"Host": "study.example"}).status == 201
    studyd.wait_for_log("http: POST /v1/studies status=201")

    file.write_text("log_level = error\n\nnonsense = 1\n")
    studyd.process.send_signal(signal.SIGHUP)
    assert f"{file}:3" in studyd.wait_for_log("the old ones stay")
    spec = {**SPEC, "name": "two"}
    assert studyd.http.request("POST", "/v1/studies", spec, {"Host": "study.example"}).status == 201


# ---- stopping ----

class Poll(threading.Thread):
    """An ask that waits for a minute."""

    def __init__(self, studyd):
        super().__init__(daemon=True)
        self.studyd = studyd
        self.refused = None
        self.start()

    def run(self):
        try:
            self.studyd.ask("one", wait_s=60)
        except Refused as refused:
            self.refused = refused


def test_sigterm_answers_every_poll(start_studyd, sqlite):
    """503 with Retry-After for each ask that waits; then it ends with 0, long before the asks' time."""
    studyd = start_studyd(sqlite)
    studyd.create(SPEC)
    studyd.ask_one("one")
    polls = [Poll(studyd) for _ in range(20)]
    wait_until("the asks to wait", lambda: studyd.show("one")["waiting_asks"] == 20)
    studyd.stop()
    for poll in polls:
        poll.join(30)
        assert (poll.refused.status, poll.refused.type) == (503, "stopping")
        assert "Retry-After" in poll.refused.headers
        assert poll.refused.headers["Connection"] == "close"


def test_sigterm_finishes_what_was_begun(start_studyd, sqlite):
    """Requests under way at SIGTERM are acknowledged and stored, or refused: never one without the other."""
    studyd = start_studyd(sqlite)
    studyd.create({**SPEC, "max_trials": 100000})
    told, lock = [], threading.Lock()

    def work():
        try:
            while True:
                trial = studyd.ask_one("one")
                studyd.tell("one", trial["number"], trial["lease"], 1.0)
                with lock:
                    told.append(trial["number"])
        except (OSError, http.client.HTTPException, Refused):
            return  # the daemon stops

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until("some trials", lambda: len(told) > 20)
    studyd.stop()
    for thread in threads:
        thread.join(30)
    studyd.start()
    complete = {trial["number"] for trial in studyd.trials("one") if trial["state"] == "complete"}
    assert set(told) <= complete


def test_a_slow_client_does_not_hold_up_the_stop(start_studyd, sqlite):
    """A request whose body never ends, and a connection that says nothing, are cut off."""
    studyd = start_studyd(sqlite)
    host, port = studyd.http.address.split(":")
    slow = socket.create_connection((host, int(port)))
    slow.sendall(b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    idle = socket.create_connection((host, int(port)))
    studyd.http.get("/healthz")
    begin = time.monotonic()
    studyd.stop()
    assert time.monotonic() - begin < 20
    slow.close()
    idle.close()


def test_a_flood_of_connections_passes(start_studyd, sqlite):
    """After as many connections as it takes have come and gone, it accepts again."""
    studyd = start_studyd(sqlite, "--max-connections", "20")
    host, port = studyd.http.address.split(":")
    for _ in range(10):
        flood = [socket.create_connection((host, int(port)), timeout=30) for _ in range(20)]
        for connection in flood:
            connection.close()
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_second_sigterm_ends_at_once(directory, sqlite):
    """Whoever asks twice is not made to wait."""
    studyd = Studyd(directory, sqlite).start()
    host, port = studyd.http.address.split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        studyd.http.get("/healthz")
        studyd.process.send_signal(signal.SIGTERM)
        studyd.wait_for_log("stopping")
        studyd.process.send_signal(signal.SIGTERM)
        assert studyd.wait() == 1
    assert "second time" in studyd.log()


# ---- systemd ----

def test_what_systemd_hears(directory, sqlite, daemons):
    """READY when it serves, WATCHDOG in time, RELOADING with the time and READY again, STOPPING; STATUS in words."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(directory / "notify"))
        notify.settimeout(30)
        studyd = Studyd(directory, sqlite)
        studyd.env = {**sanitizer_env(), "NOTIFY_SOCKET": str(directory / "notify"), "WATCHDOG_USEC": "200000"}
        daemons.append((studyd, 0))
        heard = []

        def hear(text):
            """Until a message holds `text`."""
            while not any(text in message for message in heard):
                heard.append(notify.recv(4096).decode())

        studyd.start()
        hear("READY=1")
        hear("STATUS=serving")
        hear("WATCHDOG=1")
        heard.clear()
        studyd.process.send_signal(signal.SIGHUP)
        hear("RELOADING=1\nMONOTONIC_USEC=")
        hear("READY=1")
        studyd.process.send_signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert studyd.wait() == 0


def test_journald(directory, sqlite, daemons):
    """Where stderr is the journal, lines begin with a priority, and carry no time."""
    log = directory / "studyd.log"
    log.touch()
    status = os.stat(log)
    studyd = Studyd(directory, sqlite)
    studyd.env = {**sanitizer_env(), "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    daemons.append((studyd, 0))
    studyd.start()
    assert any(line.startswith("<6>info: serving ") for line in studyd.log().splitlines())
