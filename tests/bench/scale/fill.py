# SPDX-License-Identifier: MIT
"""Fills a study with finished trials, as fast as the database takes them: the rows that studyd would have written."""

import contextlib
import random
import sqlite3
import struct
import subprocess

from harness.child import wait_until

CHUNK = 50_000
TIME = "2026-01-01 00:00:00"
DISTRIBUTION = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}'
PARAMETERS = tuple(f"x{index}" for index in range(6))
SPACE = {name: {"type": "float", "low": 0, "high": 1} for name in PARAMETERS}
TABLES = {
    "trials": ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "studyd_trials": ("uid", "trial_id", "attempt", "retries", "lease", "worker", "request", "sampled_seq", "asked_seq",
                      "finished_seq", "outcome", "params"),
}


class Sqlite:
    def __init__(self, store):
        self.connection = sqlite3.connect(store.path)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA cache_size = -1000000")

    def query(self, sql):
        return self.connection.execute(sql).fetchall()

    def insert(self, table, rows):
        columns = TABLES[table]
        self.connection.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)

    def close(self):
        self.connection.commit()
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()


class Mysql:
    def __init__(self, store):
        self.store = store

    def query(self, sql):
        return self.store.query(sql)

    def insert(self, table, rows):
        """Through a pipe into LOAD DATA; bytes go as hex digits."""
        columns = TABLES[table]
        is_bytes = [column in ("uid", "lease", "request", "outcome", "params") for column in columns]
        names = ", ".join(f"@{name}" if packed else name for name, packed in zip(columns, is_bytes))
        setting = ", ".join(f"{name} = UNHEX(@{name})" for name, packed in zip(columns, is_bytes) if packed)
        sql = (f"SET unique_checks = 0, foreign_key_checks = 0; LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {table} "
               f"FIELDS ESCAPED BY '' ({names})" + (f" SET {setting}" if setting else ""))
        client = subprocess.Popen(["mariadb", "--no-defaults", "--user=root", f"--socket={self.store.server.socket}",
                                   "--local-infile=1", "--execute", sql, self.store.name], stdin=subprocess.PIPE)
        with client:
            for row in rows:
                fields = (field.hex() if isinstance(field, bytes) else str(field) for field in row)
                client.stdin.write(("\t".join(fields) + "\n").encode())
        assert client.returncode == 0, f"{table} was not filled"

    def close(self):
        """What was written is on the disk then: else a commit waits behind it."""
        self.query("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        wait_until("the pages to be written", lambda: int(self.query(
            "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")[0][1]) < 100, 600)
        self.query("SET GLOBAL innodb_max_dirty_pages_pct = 90")


def packed_rows(uid, begin, end, draw):
    """Each trial's row of ours, with the parameters and the value that belong to it."""
    for number in range(begin, end):
        params = [draw.random() for _ in PARAMETERS]
        value = sum((param - 0.3) ** 2 for param in params)
        request = bytes(16) + draw.randbytes(16)
        row = (uid, number + 1, 1, 0, draw.randbytes(16), f"worker-{number % 1000}", request, 2 * number,
               2 * number + 1, 2 * number + 2, draw.randbytes(16), struct.pack("<6d", *params))
        yield row, params, value


def fill(store, study, n_trials):
    """Into an empty study of SPACE, while no studyd serves it."""
    database = Sqlite(store) if store.kind == "sqlite" else Mysql(store)
    draw = random.Random(1)
    with contextlib.closing(database):
        (study_id, uid_json), = database.query(
            "SELECT s.study_id, a.value_json FROM studies s JOIN study_system_attributes a ON a.study_id = s.study_id "
            f"WHERE s.study_name = '{study}' AND a.`key` = 'studyd:uid'")
        uid = bytes.fromhex(uid_json.strip('"'))
        for begin in range(0, n_trials, CHUNK):
            end = min(begin + CHUNK, n_trials)
            rows = list(packed_rows(uid, begin, end, draw))
            database.insert("trials", ((number + 1, number, study_id, "COMPLETE", TIME, TIME) for number in range(begin, end)))
            database.insert("studyd_trials", (row for row, _, _ in rows))
            database.insert("trial_values", ((row[1], 0, value, "FINITE") for row, _, value in rows))
            database.insert("trial_params", ((row[1], name, param, DISTRIBUTION)
                                             for row, params, _ in rows for name, param in zip(PARAMETERS, params)))
        database.query(f"UPDATE studyd_studies SET seq = {2 * n_trials + 2} WHERE uid = x'{uid.hex()}'")
