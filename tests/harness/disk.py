# SPDX-License-Identifier: MIT
"""A small disk of its own for a test, to be filled: a tmpfs in a mount namespace, reached through the process that holds it."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from harness import child
from harness.stores import SqliteStore

MOUNT = 'mkdir -p "$1" && mount -t tmpfs -o "size=$2" none "$1" && echo mounted && exec sleep infinity'


class SmallDisk:
    """Skips the test where no namespace can be had. Only a program that runs `inside` sees it at `directory`; everybody finds its
    files at `path`, but SQLite, which follows links, does not."""

    def __init__(self, directory, size="8m"):
        for options in (["--mount"], ["--mount", "--user", "--map-root-user"]):
            self.keeper = child.start(["unshare", *options, "sh", "-c", MOUNT, "sh", str(directory), size], stdout=subprocess.PIPE, text=True)
            if self.keeper.stdout.readline() == "mounted\n":
                break
            self.close()
        else:
            pytest.skip("unshare --mount cannot mount a tmpfs here")
        user = ["--user", "--preserve-credentials"] if "--user" in options else []
        self.inside = ["nsenter", f"--target={self.keeper.pid}", "--mount", *user]
        self.path = pathlib.Path(f"/proc/{self.keeper.pid}/root/{directory}")

    def fill(self):
        """To the last byte."""
        with open(self.path / "filler", "wb", buffering=0) as filler:
            for size in (65536, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    def empty(self):
        (self.path / "filler").unlink()

    def close(self):
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()


class StoreOnDisk(SqliteStore):
    """A database on a small disk. Queries are made on a copy: it must not be written meanwhile."""

    def __init__(self, disk, directory):
        super().__init__(directory)
        self.disk = disk

    def query(self, sql):
        with tempfile.TemporaryDirectory() as copies:
            for path in self.disk.path.glob("studyd.db*"):
                shutil.copy(path, copies)
            return SqliteStore(pathlib.Path(copies)).query(sql)
