# SPDX-License-Identifier: MIT
"""The rooms of docs/architecture.md: every include in the C files against the arrows that there may be."""

import re

from harness.studyd import ROOT

# Room: what it includes of other rooms. A header alone stands for the only one that is open to that room.
ARROWS = {
    "proto": set(),
    "daemon/sampler": {"proto"},
    "daemon/pruner": {"proto"},
    "daemon/store": {"proto"},
    "daemon/study": {"daemon/sampler", "daemon/pruner", "daemon/store/store.h", "proto"},
    "daemon/http": {"daemon/study", "proto"},
    "daemon": {"daemon/http", "daemon/study", "daemon/store/store.h", "proto"},
    "worker": {"proto"},
    "worker/xgboost": {"worker/runner_message.h", "proto"},
}
GENERATED = {"openapi_bytes.inc"}


def test_includes_are_the_picture():
    """Each arrow that is drawn is used, and no other: a room that is left out, or that nobody looked into, fails too."""
    found, sources = {}, [file for top in ("proto", "daemon", "worker") for file in (ROOT / top).rglob("*.[ch]")]
    for file in sources:
        room = str(file.parent.relative_to(ROOT))
        for header in set(re.findall(r'^\s*#\s*include\s*"([^"]+)"', file.read_text(), re.MULTILINE)) - GENERATED:
            assert (ROOT / header).is_file(), f"{file}: \"{header}\" does not name its room"
            target = header.rpartition("/")[0]
            open_to_room = header if header in ARROWS.get(room, ()) else target
            found.setdefault(room, set()).update({open_to_room} - {room})
    assert len(sources) > 100
    assert found == ARROWS
