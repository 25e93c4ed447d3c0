# SPDX-License-Identifier: MIT
"""The real Optuna, in environments of its own; scripts/make-peers makes them."""

import json
import subprocess

import pytest

from harness import child
from harness.studyd import ROOT


class Peer:
    """Runs Python text with one of the peers' interpreters."""

    def __init__(self, name):
        self.name = name
        self.python = ROOT / ".venv" / name / "bin" / "python"
        if not self.python.exists():
            pytest.skip(f".venv/{name} is not there: scripts/make-peers could not reach PyPI")

    def command(self, text, *arguments):
        return [str(self.python), "-W", "ignore", "-c", text, *map(str, arguments)]

    def run(self, text, *arguments, timeout_s=120.0, env=None):
        """Runs it to its end; returns what its last line says in JSON (Python's: NaN and Infinity as they are)."""
        done = subprocess.run(self.command(text, *arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout_s, preexec_fn=child.die_with_parent, env=env, check=False)
        assert done.returncode == 0, f"{self.name} failed:\n{done.stderr}"
        lines = done.stdout.splitlines()
        return json.loads(lines[-1]) if lines else None
