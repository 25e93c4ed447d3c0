# SPDX-License-Identifier: MIT
"""What the integration tests stand on: real processes in a private directory, a real database each, real Optunas."""

import pathlib
import shutil
import tempfile

import pytest

from harness.peers import Peer
from harness.stores import Mariadb, SqliteStore
from harness.studyd import Studyd, Worker


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks what uses a MySQL server."""
    for item in items:
        kinds = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if ("mysql" in kinds or {"mariadb", "shared_mariadb"} & set(item.fixturenames)
                or "mysql" in item.path.name):
            item.add_marker("mysql")


@pytest.fixture
def directory():
    """A private directory with a short path (a socket's has room for 107 characters)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def shared_mariadb():
    """The server that most tests share; each has a database of its own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    server = Mariadb(path).start()
    yield server
    server.stop()
    server.check_log()
    shutil.rmtree(path)


@pytest.fixture
def mariadb(directory):
    """A server for this test alone, which it may kill and start again."""
    server = Mariadb(directory / "db")
    server.log_path.parent.mkdir()
    server.start()
    yield server
    if server.is_running():
        server.stop()


@pytest.fixture(params=["sqlite", "mysql"])
def store(request, directory):
    """An empty database; the test runs once with each kind."""
    if request.param == "sqlite":
        return SqliteStore(directory)
    return request.getfixturevalue("shared_mariadb").new_database()


@pytest.fixture
def sqlite(directory):
    """An empty SQLite database, for what does not depend on the store."""
    return SqliteStore(directory)


@pytest.fixture
def daemons():
    """Stops what a test started, last first: each must end as asked, in time, with nothing ugly in its log."""
    started = []
    yield started
    running = [(daemon, code) for daemon, code in reversed(started) if daemon.is_running()]
    try:
        for daemon, code in running:
            daemon.stop(expect=code)
    finally:
        for daemon, _ in running:
            if daemon.is_running():
                daemon.kill()
    for daemon, _ in started:
        daemon.check_log()


@pytest.fixture
def start_studyd(directory, daemons):
    """start_studyd(store, *options): a studyd that serves."""
    def start(store, *options):
        studyd = Studyd(directory, store, *options)
        daemons.append((studyd, 0))
        return studyd.start()
    return start


@pytest.fixture
def start_standby(directory, daemons):
    """start_standby(store): a second studyd on a database that has an owner."""
    def start(store):
        place = directory / "standby"
        place.mkdir()
        standby = Studyd(place, store)
        daemons.append((standby, 0))
        return standby.start()
    return start


@pytest.fixture
def studyd(start_studyd, store):
    """A studyd on an empty database, once with each kind of store."""
    return start_studyd(store)


@pytest.fixture
def start_worker(directory, daemons):
    """start_worker(studyd, *options): a study-worker for it. 143 is its answer to SIGTERM with work left."""
    def start(studyd, *options, name="study-worker", stopped=143):
        worker = Worker(directory, studyd.url, *options, name=name)
        daemons.append((worker, stopped))
        worker.start()
        return worker
    return start


@pytest.fixture(params=["optuna4", "optuna5"])
def optuna(request):
    """The real Optuna, 4.9 and 5.0."""
    return Peer(request.param)


@pytest.fixture
def optuna5():
    return Peer("optuna5")
