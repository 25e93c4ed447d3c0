# SPDX-License-Identifier: MIT
"""https: certificates of both sides, that they change while studyd runs, and who is slow or wrong with them."""

import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from harness import child
from harness.certificates import Authority
from harness.http_json import Http, path
from harness.studyd import BUILD, sanitizer_env

STUDYD = str(BUILD / "daemon" / "studyd")
SPEC = {"name": "one", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "max_trials": 10,
        "objective": {"runner": "none"}}


@pytest.fixture
def authority(directory):
    return Authority(directory)


@pytest.fixture
def pair(directory, authority):
    """The files that studyd serves with; a test may write others over them."""
    for made, name in zip(authority.issue("first"), ("cert", "key")):
        shutil.copy(made, directory / name)
    return directory / "cert", directory / "key"


@pytest.fixture
def start_tls(start_studyd, sqlite, authority, pair):
    """start_tls(*options): a studyd that serves https, and whose `http` trusts the authority."""
    def start(*options):
        studyd = start_studyd(sqlite, "--tls-cert-file", pair[0], "--tls-key-file", pair[1], *options)
        studyd.http.tls = authority.context()
        return studyd
    return start


def address(studyd):
    host, port = studyd.http.address.split(":")
    return host, int(port)


def subject(studyd, authority):
    """Whom the certificate that a new connection is shown is for."""
    with socket.create_connection(address(studyd), timeout=20) as plain, \
            authority.context().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        return dict(item[0] for item in connection.getpeercert()["subject"])["commonName"]


def check_config(*options):
    return subprocess.run([STUDYD, "--check-config", "--store", "sqlite:////tmp/none.db", *map(str, options)], text=True,
                          capture_output=True, timeout=30, check=False, env=sanitizer_env(), preexec_fn=child.die_with_parent)


def test_requests(start_tls):
    """It says https, and whole studies go over it: large bodies, large answers in parts, many requests on a connection."""
    studyd = start_tls()
    assert studyd.url.startswith("https://")
    studyd.create({**SPEC, "space": {"c": {"type": "categorical", "choices": ["x" * 50000]}}, "max_trials": 60})
    for _ in range(3):
        trials = studyd.ask("one", count=20)["trials"]
        for trial in trials:
            studyd.tell("one", trial["number"], trial["lease"], 1.0)
    table = studyd.http.request("GET", path("studies", "one", "trials"), headers={"Accept": "text/csv"})
    assert table.body.count(b"\r\n") == 61 and len(table.body) > 60 * 50000


def test_old_protocols_are_refused(start_tls, authority):
    """TLS 1.2 and 1.3 are spoken, nothing older, and no plain HTTP."""
    studyd = start_tls()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = authority.context()
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(address(studyd), timeout=20) as plain, \
                context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            assert connection.version().replace(".", "_") == version.name
    for option, expected in (("-tls1_2", False), ("-tls1_1", True), ("-tls1", True)):
        told = subprocess.run(["openssl", "s_client", "-connect", studyd.http.address, option, "-cipher", "ALL:@SECLEVEL=0"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
        assert ("no peer certificate available" in told.stdout) == expected, (option, told.stdout)
    with socket.create_connection(address(studyd), timeout=20) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            assert b"HTTP/" not in plain.recv(1000)
        except ConnectionResetError:
            pass
    assert studyd.http.get("/healthz")["status"] == "alive"


def test_a_certificate_changes_while_it_runs(start_tls, authority, pair):
    """SIGHUP: new connections get the new certificate, and a long poll on the old one gets its trial."""
    studyd = start_tls()
    studyd.create(SPEC)
    studyd.http.patch(path("studies", "one"), {"state": "paused"})
    answers = []
    poll = threading.Thread(target=lambda: answers.append(studyd.ask("one", worker="waits", wait_s=50)), daemon=True)
    poll.start()
    child.wait_until("the poll to wait", lambda: studyd.show("one")["waiting_asks"] == 1)

    assert subject(studyd, authority) == "first"
    for made, file in zip(authority.issue("second"), pair):
        shutil.copy(made, file)
    studyd.process.send_signal(signal.SIGHUP)
    studyd.wait_for_log("the settings were read again")
    assert subject(studyd, authority) == "second"
    for _ in range(3):  # what the long poll stands on is let go by none of these
        studyd.process.send_signal(signal.SIGHUP)
        assert subject(studyd, authority) == "second"
    studyd.http.patch(path("studies", "one"), {"state": "running"})
    poll.join(20)
    assert len(answers[0]["trials"]) == 1


def test_a_bad_new_certificate_changes_nothing(start_tls, authority, pair):
    """A key that is another's, a broken file: the log says which file is wrong, the old pair goes on."""
    studyd = start_tls()
    other = authority.issue("second")
    shutil.copy(other[1], pair[1])
    studyd.process.send_signal(signal.SIGHUP)
    said = studyd.wait_for_log("the old ones stay")
    assert f"the key in {pair[1]} is not that of the certificate in {pair[0]}" in said
    assert subject(studyd, authority) == "first"
    pair[0].write_text("nonsense")
    studyd.process.send_signal(signal.SIGHUP)
    studyd.wait_for_log(f"{pair[0]} holds no certificate in PEM")
    assert subject(studyd, authority) == "first"


def test_settings(directory, authority, pair):
    """--check-config looks at the pair as a start would; dates are a warning."""
    cert, key = authority.issue("other")
    old = authority.issue("old", days=-1)
    empty = directory / "empty"
    empty.write_text("")
    good = ("--tls-cert-file", pair[0], "--tls-key-file", pair[1])
    assert (check_config(*good).returncode, check_config(*good).stderr) == (0, "")
    assert check_config(*good, "--tls-client-ca-file", authority.file).returncode == 0
    for options, said in (
            (good[:2], "there is no tls_key_file"),
            (good[2:], "there is no tls_cert_file"),
            (("--tls-client-ca-file", authority.file), "there is no tls_cert_file"),
            ((*good[:2], "--tls-key-file", key), f"the key in {key} is not that of the certificate in {pair[0]}"),
            ((*good[:2], "--tls-key-file", "/nowhere"), "cannot read /nowhere: No such file or directory"),
            ((*good, "--tls-client-ca-file", "/nowhere"), "tls_client_ca_file: cannot read /nowhere: No such file or directory"),
            ((*good[:2], "--tls-key-file", cert), f"{cert} holds no key in PEM"),
            (("--tls-cert-file", key, "--tls-key-file", key), f"{key} holds no certificate in PEM"),
            ((*good, "--tls-client-ca-file", empty), f"{empty} holds no certificate in PEM")):
        told = check_config(*options)
        assert (told.returncode, said in told.stderr) == (2, True), told.stderr
    told = check_config("--tls-cert-file", old[0], "--tls-key-file", old[1])
    assert told.returncode == 0 and "has ended on" in told.stderr
    soon = authority.issue("soon", days=3)
    told = check_config("--tls-cert-file", soon[0], "--tls-key-file", soon[1])
    assert told.returncode == 0 and f"the certificate in {soon[0]} ends on" in told.stderr


def test_client_certificates(start_tls, directory, authority):
    """With tls_client_ca_file only a client of that authority gets in; one without, of another authority, or a server's, does not."""
    clients = Authority(directory, "clients")
    studyd = start_tls("--tls-client-ca-file", clients.file)
    good = clients.issue("node7", usage="clientAuth")
    assert Http(studyd.url, tls=authority.context(good)).get("/healthz")["status"] == "alive"
    for client in (None, authority.issue("stranger", usage="clientAuth"), clients.issue("server"),
                   clients.issue("old", usage="clientAuth", days=-1)):
        with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
            Http(studyd.url, tls=authority.context(client)).get("/healthz")
    assert Http(studyd.url, tls=authority.context(good)).get("/healthz")["status"] == "alive"


def test_a_client_that_left_gets_no_trial(start_tls):
    """Over TLS, too, a poll whose client has gone is given nothing."""
    studyd = start_tls()
    studyd.create(SPEC)
    studyd.http.patch(path("studies", "one"), {"state": "paused"})
    leaving = Http(studyd.url, tls=studyd.http.tls)
    poll = leaving.connect()
    poll.request("POST", path("studies", "one", "ask"), b'{"worker": "leaves", "wait_s": 50}', {"Content-Type": "application/json"})
    child.wait_until("the poll to wait", lambda: studyd.show("one")["waiting_asks"] == 1)
    poll.sock.close()
    studyd.http.patch(path("studies", "one"), {"state": "running"})
    child.wait_until("the poll to be over", lambda: studyd.show("one")["waiting_asks"] == 0)
    assert studyd.show("one")["counts"]["running"] == 0


def test_silent_handshakes(start_tls):
    """Who connects and says nothing, or half a greeting, blocks nobody, and is cut off after request_timeout_s."""
    studyd = start_tls("--request-timeout-s", "2")
    silent = [socket.create_connection(address(studyd), timeout=30) for _ in range(50)]
    for connection in silent[25:]:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    for _ in range(10):
        studyd.http.close()
        assert studyd.http.get("/healthz")["status"] == "alive"
    for connection in silent:
        while connection.recv(1000):  # an alert may come first
            pass
        connection.close()
    studyd.http.close()
    assert studyd.http.get("/healthz")["status"] == "alive"


def test_a_worker_over_tls(start_tls, start_worker, directory, authority):
    """study-worker trusts ca_file, shows cert_file, and runs trials."""
    clients = Authority(directory, "clients")
    studyd = start_tls("--tls-client-ca-file", clients.file)
    cert, key = clients.issue("node7", usage="clientAuth")
    studyd.http.tls = authority.context((cert, key))
    studyd.create({**SPEC, "max_trials": 3})
    worker = start_worker(studyd, "--ca-file", authority.file, "--cert-file", cert, "--key-file", key, "--runner", "none=false",
                          "--name", "node7")
    child.wait_until("the worker to be seen", lambda: studyd.http.get("/v1/workers")["workers"])
    worker.stop(143)


WRONG = {
    "another authority": (dict(), "other", "is not signed by an authority that is trusted here: set ca_file"),
    "an old certificate": (dict(days=-1), "authority", "certificate has ended on"),
    "another host": (dict(host="DNS:elsewhere.example"), "authority", "does not match"),
}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.replace(" ", "-"))
def test_what_a_worker_says(start_studyd, sqlite, start_worker, directory, authority, case):
    """A coordinator that it must not trust: the worker says why, and what would help."""
    issue, trusted, said = WRONG[case]
    cert, key = authority.issue("first", **issue)
    ca_file = {"authority": authority, "other": Authority(directory, "other")}[trusted].file
    studyd = start_studyd(sqlite, "--tls-cert-file", cert, "--tls-key-file", key)
    worker = start_worker(studyd, "--ca-file", ca_file, "--runner", "none=false")
    assert said in worker.wait_for_log("no answer from the coordinator")


def test_a_worker_without_a_certificate(start_tls, start_worker, directory, authority):
    """It says which settings are missing."""
    studyd = start_tls("--tls-client-ca-file", Authority(directory, "clients").file)
    worker = start_worker(studyd, "--ca-file", authority.file, "--runner", "none=false")
    assert "does it want a certificate of us: cert_file, key_file" in worker.wait_for_log("no answer from the coordinator")


def test_a_worker_with_an_old_certificate(start_tls, start_worker, directory, authority):
    """What may be wrong with its certificate: studyd ends the connection, and does not say."""
    clients = Authority(directory, "clients")
    cert, key = clients.issue("old", usage="clientAuth", days=-1)
    studyd = start_tls("--tls-client-ca-file", clients.file)
    worker = start_worker(studyd, "--ca-file", authority.file, "--cert-file", cert, "--key-file", key, "--runner", "none=false")
    assert "is our cert_file still valid, for clients, and signed by" in worker.wait_for_log("no answer from the coordinator")


def test_a_worker_that_speaks_https_to_http(start_studyd, sqlite, start_worker):
    """It asks whether that is https."""
    studyd = start_studyd(sqlite)
    studyd.http.url = studyd.url.replace("http:", "https:")
    worker = start_worker(studyd, "--runner", "none=false")
    assert "does the coordinator speak https" in worker.wait_for_log("no answer from the coordinator")


def test_a_worker_that_speaks_http_to_https(start_tls, start_worker):
    """It asks the same, and says what would be right."""
    studyd = start_tls()
    studyd.http.url = studyd.url.replace("https:", "http:")
    worker = start_worker(studyd, "--runner", "none=false")
    assert "does the coordinator speak https on this port (https://" in worker.wait_for_log("no answer from the coordinator")
