# SPDX-License-Identifier: MIT
"""The databases of the tests: an SQLite file, or a database of a MariaDB that the tests start for themselves."""

import contextlib
import sqlite3
import subprocess

from harness import child
from harness.studyd import ROOT


class SqliteStore:
    kind = "sqlite"

    def __init__(self, directory):
        self.path = directory / "studyd.db"
        self.url = f"sqlite:///{self.path}"
        self.optuna_url = self.url

    def query(self, sql):
        """Rows as lists of strings, as MariaDB's client gives them."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as connection:
            return [["NULL" if field is None else str(field) for field in row] for row in connection.execute(sql)]

    def execute(self, sql):
        with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            connection.execute(sql)

    @contextlib.contextmanager
    def session(self, *statements):
        """Another session in a transaction: what these statements lock stays locked until the block ends."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            yield
            connection.execute("ROLLBACK")


class MysqlStore:
    kind = "mysql"

    def __init__(self, server, name):
        self.server = server
        self.name = name
        where = f"root@localhost/{name}?unix_socket={server.socket}"
        self.url = f"mysql://{where}"
        self.optuna_url = f"mysql+pymysql://{where}"

    def query(self, sql):
        return self.server.query(f"USE `{self.name}`; {sql}")

    execute = query

    @contextlib.contextmanager
    def session(self, *statements):
        """Another session in a transaction: what these statements lock stays locked until the block ends."""
        client = subprocess.Popen(["mariadb", "--no-defaults", "--user=root", f"--socket={self.server.socket}", "--batch",
                                   "--skip-column-names", "--unbuffered", self.name],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with client:
            for statement in ("START TRANSACTION", *statements, "SELECT 'held'"):
                client.stdin.write(statement + ";\n")
            client.stdin.flush()
            while (line := client.stdout.readline()) != "held\n":
                assert line, "the session ended"
            yield
            client.stdin.close()


class Mariadb(child.Daemon):
    """A server on a private socket (Oracle's MySQL under make check-mysql). It can be killed and started again: its data
    stay."""

    FORBIDDEN = ("Assertion", "got signal")

    def __init__(self, directory, *options):
        super().__init__("mariadbd", [ROOT / "tests" / "mariadb", "run", directory, *options], directory / "server.log")
        self.socket = directory / "sock"
        self.n_databases = 0

    def start(self, timeout_s=60.0):
        super().start()
        self.wait_for_log("ready for connections", timeout_s)
        return self

    def query(self, sql):
        """Rows as lists of strings."""
        answer = subprocess.run(
            ["mariadb", "--no-defaults", "--user=root", f"--socket={self.socket}", "--batch", "--skip-column-names",
             "--execute", sql], capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, answer.stderr
        return [line.split("\t") for line in answer.stdout.splitlines()]

    def new_account(self, name, password, *rights):
        """An account on this machine; `rights` as in GRANT."""
        self.query("; ".join([f"DROP USER IF EXISTS {name}@localhost",
                              f"CREATE USER {name}@localhost IDENTIFIED BY '{password}'",
                              *(f"GRANT {right} TO {name}@localhost" for right in rights)]))

    def new_database(self):
        self.n_databases += 1
        name = f"optuna{self.n_databases}"
        self.query(f"CREATE DATABASE {name}")
        return MysqlStore(self, name)
