# SPDX-License-Identifier: MIT
"""studyds on one database: one owns it, the others stand by. They are killed and frozen, and keep their addresses."""

import contextlib
import signal
import time

from harness.child import free_port, wait_until
from harness.http_json import Http
from harness.studyd import Studyd


class Stage:
    def __init__(self, directory, store, n_studyds=1):
        self.directory, self.store = directory, store
        self.ports = [free_port() for _ in range(n_studyds)]
        self.studyds = [self.make_studyd(port) for port in self.ports]
        self.n_kills = self.n_failovers = 0
        self.n_deaths = 0  # counts what may have cost reports that were in memory only
        self.slowest_failover_s = self.slowest_restart_s = 0.0

    def make_studyd(self, port):
        directory = self.directory / f"studyd-{port}"
        directory.mkdir()
        return Studyd(directory, self.store, "--listen", f"127.0.0.1:{port}")

    def begin_studyds(self):
        for studyd in self.studyds:
            studyd.start()
        self.wait_until_served()

    @staticmethod
    def serves(studyd):
        """Does it own the database? Frozen ones do not answer."""
        with contextlib.suppress(OSError):
            return studyd.is_running() and Http(studyd.url, timeout_s=5).request("GET", "/readyz").status == 200
        return False

    def serving(self, but=None):
        """The studyd that owns the database, or None."""
        return next((studyd for studyd in self.studyds if studyd is not but and self.serves(studyd)), None)

    def wait_until_served(self, but=None):
        def probe():
            self.revive()
            return self.serving(but)
        return wait_until("a studyd that serves", probe, 60)

    def kill_studyd(self):
        """The owner; it is started again, as systemd does. Where another one stands by, that one serves first."""
        studyd = self.wait_until_served()
        studyd.kill()
        self.n_kills += 1
        self.n_deaths += 1
        begin = time.monotonic()
        if len(self.studyds) > 1:
            self.wait_until_served(but=studyd)
            self.n_failovers += 1
            self.slowest_failover_s = max(self.slowest_failover_s, time.monotonic() - begin)
            studyd.start()
        else:
            studyd.start()
            self.wait_until_served()
            self.slowest_restart_s = max(self.slowest_restart_s, time.monotonic() - begin)

    @contextlib.contextmanager
    def frozen_owner(self):
        """Stops the owner in whatever it does until another one has the database, and for the block. What it then still writes must
        be refused, and so it ends. Until it has found out it answers reports from memory: they are lost with it, as in a crash."""
        owner = self.wait_until_served()
        owner.process.send_signal(signal.SIGSTOP)
        self.n_deaths += 1
        begin = time.monotonic()
        try:
            self.wait_until_served(but=owner)
            self.slowest_failover_s = max(self.slowest_failover_s, time.monotonic() - begin)
            self.n_failovers += 1
            yield
        finally:
            self.n_deaths += 1
            owner.process.send_signal(signal.SIGCONT)
        assert owner.wait(30) == 1, owner.log()
        self.n_deaths += 1
        owner.start()

    def revive(self):
        """What systemd does with one that another one has deposed, however late it finds out."""
        for studyd in self.studyds:
            if not studyd.is_running() and studyd.process.returncode == 1:
                studyd.start()

    def counts(self):
        """A row of the summary."""
        return {"studyd kills": self.n_kills, "fail-overs": self.n_failovers, "slowest": f"{self.slowest_failover_s:.1f}",
                "restart": f"{self.slowest_restart_s:.1f}"}

    def stop(self):
        """Whatever happened: nothing is left running, and the logs are looked at."""
        for studyd in self.studyds:
            if studyd.is_running():
                studyd.kill()
        for studyd in self.studyds:
            studyd.check_log()
