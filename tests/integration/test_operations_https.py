# SPDX-License-Identifier: MIT
"""docs/operations.md on tokens and https, typed as it stands: its commands, its settings, a worker and curl that come by them."""

import os
import re
import shutil
import subprocess

import pytest

from harness import child
from harness.child import wait_until
from harness.studyd import BUILD, LISTENING, ROOT, sanitizer_env

SPEC = '{"name": "wine", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "objective": {"runner": "none"}}'


class Manual:
    """The section's lines by how they begin; its paths are those of a private directory, its host is this machine."""

    def __init__(self, directory):
        manual = (ROOT / "docs" / "operations.md").read_text()
        section = re.search(r"^## Tokens and https\n(.*?)^## ", manual, re.MULTILINE | re.DOTALL).group(1)
        self.text = (section.replace("/etc/studyd", str(directory)).replace("driver.example", "localhost")
                     .replace("-o root -g studyd ", "").replace("0.0.0.0:8090", "127.0.0.1:0"))
        self.directory = directory
        self.here = directory / "here"
        self.here.mkdir()

    def lines(self, start):
        found = re.findall(rf"^    ({start} .*)$", self.text, re.MULTILINE)
        assert found, f"the manual has no line with {start}"
        return found

    def settings(self, first):
        """The block of settings that begins with this key, as a file."""
        block = re.search(rf"^((?:    \w+ = .+\n)*    {first} = .+\n(?:    \w+ = .+\n)*)", self.text, re.MULTILINE).group(1)
        file = self.directory / f"{first}.conf"
        file.write_text(block)
        return file

    def make_files(self):
        """The token file and the certificates, and those of the worker where it looks for them."""
        for line in self.lines("(?:install|openssl)"):
            self.run(line)
        for file in self.here.glob("node7.*"):
            shutil.copy(file, self.directory)

    def run(self, line, **env):
        """What it prints, alone on stdout."""
        words = f'PATH="{BUILD}/daemon:$PATH"; {line}'
        done = subprocess.run(words, shell=True, cwd=self.here, timeout=60, env={**sanitizer_env(), **env}, text=True,
                              capture_output=True, check=False, preexec_fn=child.die_with_parent)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def manual(directory):
    return Manual(directory)


class Program(child.Daemon):
    def __init__(self, name, directory, *command):
        super().__init__(name, [BUILD / command[0], *command[1:]], directory / f"{name}.log", env=sanitizer_env())


def test_as_it_stands(manual, directory, sqlite, daemons):
    """With the manual's own authority, certificates, tokens and settings, curl makes a study and a worker is heard of."""
    manual.make_files()
    admin, worker_token = (manual.run(line).strip() for line in manual.lines("studyd"))
    (directory / "worker.token").write_text(worker_token + "\n")

    studyd = Program("studyd", directory, "daemon/studyd", "--config", manual.settings("listen"), "--store", sqlite.url)
    daemons.append((studyd, 0))
    studyd.start()
    url = studyd.wait_for_log(LISTENING).rpartition(LISTENING)[2]
    assert url.startswith("https://127.0.0.1:")
    port = url.rpartition(":")[2]

    [curl] = manual.lines("curl")
    curl = curl.replace(":8090", f":{port}") + " --silent --show-error --fail-with-body --cert node7.pem --key node7.key"
    made = manual.run(f"{curl} -H 'Content-Type: application/json' -d '{SPEC}'", TOKEN=admin)
    assert '"name":"wine"' in made.replace(" ", "")

    settings = manual.settings("coordinator")
    settings.write_text(settings.read_text().replace(":8090", f":{port}"))
    worker = Program("study-worker", directory, "worker/study-worker", "--config", settings, "--runner", "none=false",
                     "--name", "node7")
    daemons.append((worker, 143))
    worker.start()
    wait_until("the worker to be seen", lambda: "node7" in manual.run(curl.replace("/v1/studies", "/v1/workers"), TOKEN=admin))


def test_no_file_is_read_by_others(manual, directory):
    """Keys and the token file are for their owner, and for the group of studyd at most."""
    manual.make_files()
    for file in [*directory.rglob("*.key"), directory / "tokens"]:
        assert os.stat(file).st_mode & 0o007 == 0, file
