# SPDX-License-Identifier: MIT
"""docs/operations.md against the sources: every line that studyd logs as a warning or an error is explained, at its level."""

import re

from harness.studyd import ROOT

CALL = re.compile(r'\blog_(warning|error)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)[,)]')
ROW = re.compile(r"^\| (warning|error) \| `([^`]+)` \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
SAID_BY_STUDYD = [*(ROOT / "daemon").rglob("*.c"), ROOT / "proto" / "memory.c", ROOT / "proto" / "require.c"]


def line_of(literals):
    """The words of a format, without its keys and values: `database %s: %s id=%d` is `database …: …`."""
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))
    text = re.sub(r"%[.*]*(?:ll|z)?[sdu]", "…", text)
    return re.split(r":? \w+=(?=…|\\)", text)[0]


def test_each_line_of_the_log_is_explained():
    """And no line that is not there any more. The reason why a start failed is whatever it is: `%s`."""
    said = set()
    for file in SAID_BY_STUDYD:
        text = file.read_text()
        calls = CALL.findall(text)
        assert len(calls) == len(re.findall(r"\blog_(?:warning|error)\(", text)), f"{file}: a call without a text of its own"
        said |= {(level, line_of(literals)) for level, literals in calls}
    said -= {("error", "…"), ("warning", "…")}
    explained = ROW.findall((ROOT / "docs" / "operations.md").read_text())
    assert len(said) > 30
    assert set(explained) == said
    assert len(explained) == len(set(explained))
