# SPDX-License-Identifier: MIT
"""docs/security.md: each test that stands behind a promise is there."""

import re

from harness.studyd import ROOT


def test_every_promise_has_its_test():
    """A test that is renamed or deleted takes a promise with it, unless the text changes, too."""
    named = re.findall(r"`(tests/[\w/.]+)::(test_\w+)`", (ROOT / "docs" / "security.md").read_text())
    missing = [f"{file}::{name}" for file, name in named
               if not re.search(rf"^(def|static void) {name}\(", (ROOT / file).read_text(), re.MULTILINE)]
    assert len(named) > 25 and not missing
