# SPDX-License-Identifier: MIT
"""Sockets that systemd holds: studyd serves on them, and a restart refuses nobody. systemd's part is played by the test."""

import signal
import socket
import subprocess
import threading

import pytest

from harness import child
from harness.certificates import Authority
from harness.http_json import Http
from harness.studyd import BUILD, LISTENING, Studyd, sanitizer_env

# As systemd does it: the sockets from 3 on, and whose they are. The test's comes as stdin.
PASS = ["sh", "-c", 'exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh"]


def listen(host="127.0.0.1"):
    return socket.create_server((host, 0), backlog=4096)


class PassedStudyd(Studyd):
    """A studyd that is passed a socket."""

    def __init__(self, directory, store, holder, *options):
        super().__init__(directory, store, *options)
        self.command = [*PASS, *self.command]
        self.holder = holder

    def start(self, timeout_s=60.0):
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=self.holder, stdout=log, stderr=log, env=self.env,
                                            preexec_fn=child.die_with_parent)
        line = self.wait_for_log(LISTENING, timeout_s)
        self.http = Http(line[line.index(LISTENING) + len(LISTENING):].split()[0])
        return self


@pytest.fixture
def start_passed(directory, sqlite, daemons):
    """start_passed(holder, *options): a studyd on the holder's socket."""
    def start(holder, *options):
        studyd = PassedStudyd(directory, sqlite, holder, *options)
        daemons.append((studyd, 0))
        return studyd.start()
    return start


class Visitor(threading.Thread):
    """Comes again and again, on a new connection each time, and keeps count of how it is received."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.counts = {}
        self.is_over = False

    def visit(self):
        try:
            with socket.create_connection(self.address, timeout=60) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return connection.recv(1000).split(b" ")[1:2] and "answered"
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "cut"

    def run(self):
        while not self.is_over:
            how = self.visit() or "cut"
            self.counts[how] = self.counts.get(how, 0) + 1


def test_a_restart_refuses_nobody(start_passed):
    """Who connects while studyd is away waits for the next one, which answers; in five restarts nobody is refused."""
    with listen() as holder:
        address = holder.getsockname()
        studyd = start_passed(holder)
        assert studyd.http.address == f"127.0.0.1:{address[1]}"
        visitor = Visitor(address)
        visitor.start()
        for _ in range(5):
            seen = visitor.counts.get("answered", 0)
            child.wait_until("visits", lambda: visitor.counts.get("answered", 0) > seen)
            studyd.stop()
            with socket.create_connection(address, timeout=60) as early:
                early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                studyd.start()
                assert early.recv(1000).startswith(b"HTTP/1.1 200 ")
        visitor.is_over = True
        visitor.join(60)
        assert "refused" not in visitor.counts and visitor.counts["answered"] > 5, visitor.counts


def test_without_one_a_restart_does_refuse(start_studyd, sqlite):
    """What the test above would see, had studyd opened the socket itself."""
    studyd = start_studyd(sqlite)
    host, port = studyd.http.address.split(":")
    studyd.stop()
    assert Visitor((host, int(port))).visit() == "refused"


def test_tls_on_a_passed_socket(start_passed, directory):
    """https is served on it just the same."""
    authority = Authority(directory)
    cert, key = authority.issue("first")
    with listen() as holder:
        studyd = start_passed(holder, "--tls-cert-file", cert, "--tls-key-file", key)
        assert studyd.url == f"https://127.0.0.1:{holder.getsockname()[1]}"
        studyd.http.tls = authority.context()
        assert studyd.http.get("/healthz")["status"] == "alive"


def run_passed(holder, *options):
    return subprocess.run([*PASS, str(BUILD / "daemon" / "studyd"), "--store", "sqlite:////tmp/none.db", "--check-config",
                           *map(str, options)], stdin=holder, capture_output=True, text=True, timeout=30, check=False,
                          env=sanitizer_env(), preexec_fn=child.die_with_parent)


def test_beyond_loopback(directory):
    """A passed socket that others can reach needs tokens as well; what `listen` says does not matter then."""
    with listen("0.0.0.0") as holder:
        told = run_passed(holder, "--listen", "127.0.0.1:0")
        assert told.returncode == 2 and f"listen 0.0.0.0:{holder.getsockname()[1]} can be reached" in told.stderr
        assert run_passed(holder, "--allow-unauthenticated").returncode == 0
    with listen() as holder:
        assert run_passed(holder, "--listen", "0.0.0.0:0").returncode == 0


def test_tokens_cannot_be_taken_away_from_a_passed_socket(start_passed, directory):
    """On a reload, either: a token file that is gone from the settings is refused, and the old one stays."""
    config, tokens = directory / "studyd.conf", directory / "tokens"
    subprocess.run([str(BUILD / "daemon" / "studyd"), "--token-file", tokens, "--new-token", "admin"], check=True,
                   capture_output=True, timeout=30, env=sanitizer_env(), preexec_fn=child.die_with_parent)
    config.write_text(f"token_file = {tokens}\n")
    with listen("0.0.0.0") as holder:
        studyd = start_passed(holder, "--config", config)
        assert "tokens go over the network as plain text" in studyd.log()
        config.write_text("")
        studyd.process.send_signal(signal.SIGHUP)
        assert "can be reached from other machines" in studyd.wait_for_log("the old ones stay")
        assert studyd.http.request("GET", "/v1/studies").status == 401


def test_what_is_no_listening_tcp_socket(directory):
    """Is refused, with what would be right."""
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as deaf:
        unix.bind(str(directory / "socket"))
        unix.listen()
        for other in (unix, deaf):
            told = run_passed(other)
            assert told.returncode == 2 and "does not listen on TCP" in told.stderr
