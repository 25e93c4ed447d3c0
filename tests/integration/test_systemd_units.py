# SPDX-License-Identifier: MIT
"""The units in systemd/: what systemd itself thinks of them."""

import os
import re
import shutil
import subprocess

import pytest

from harness.studyd import ROOT

# The most that each may be exposed, of 10. The worker keeps what GPUs and compilers need.
MOST = {"studyd.service": 2.0, "study-worker@.service": 2.0}

analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not there (package systemd)")


def run(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          check=False)


@analyze
@pytest.mark.parametrize("unit", MOST)
def test_exposure(unit):
    """A unit is hardened as well as it was, and better than 2.0."""
    told = run("security", "--offline=yes", ROOT / "systemd" / unit)
    assert float(re.search(r"Overall exposure level for \S+ ([0-9.]+)", told.stdout)[1]) <= MOST[unit], told.stdout


@analyze
@pytest.mark.parametrize("unit", ["studyd.service", "studyd.socket", "study-worker@.service"])
def test_every_line_is_understood(unit):
    """systemd knows every key and every value, and only misses the programs, which are not installed here."""
    told = run("verify", ROOT / "systemd" / unit)
    ours = [line for line in told.stderr.splitlines() if "study" in line and "is not executable" not in line]
    assert not ours, told.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("systemd-tmpfiles"), reason="needs root and systemd")
def test_who_may_read_settings(directory):
    """In the directory that is made, a worker's user reads its settings, and neither lists what there is nor reads studyd's."""
    etc = directory / "etc"
    etc.mkdir()
    for kind in ("sysusers", "tmpfiles"):
        made = subprocess.run([f"systemd-{kind}", f"--root={directory}", *(["--create"] if kind == "tmpfiles" else []),
                               ROOT / "systemd" / f"studyd.{kind}"], capture_output=True, text=True, timeout=60, check=False)
        assert made.returncode == 0, made.stderr
    for name, mode in (("worker-gpu.conf", 0o644), ("studyd.conf", 0o640)):
        file = etc / "studyd" / name
        file.write_text("")
        file.chmod(mode)
    directory.chmod(0o755)
    codes = [subprocess.run([program, etc / "studyd" / name], capture_output=True, timeout=30, check=False, user=65534, group=65534,
                            extra_groups=[]).returncode for program, name in (("cat", "worker-gpu.conf"), ("cat", "studyd.conf"), ("ls", "."))]
    assert [code == 0 for code in codes] == [True, False, False]
