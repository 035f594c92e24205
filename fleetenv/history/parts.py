"""Snapshots cut into parts, which hosts and days share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from fleetenv.history.blobs import Blobs
from fleetenv.history.storable import encoded, storable_text

if TYPE_CHECKING:
    import sqlite3

    from fleetenv.drift.snapshot import Plain, Snapshot

WHOLE = ""
"""The name of the one part of a section that is not cut."""


def put_snapshot(connection: sqlite3.Connection, blobs: Blobs, snapshot: Snapshot) -> int:
    """Keep a snapshot, and return its number; equal ones have the same. Inside a transaction."""
    parts = []
    whole = hashlib.sha256()
    for section, name, part in _cut(snapshot):
        data = encoded(part)
        digest = hashlib.sha256(data).digest()
        whole.update(msgspec.json.encode((section, name)) + digest)
        parts.append((section, name, digest, data))
    found = connection.execute("SELECT id FROM snapshot WHERE digest = ?", (whole.digest(),)).fetchone()
    if found is not None:
        return int(found[0])
    number = connection.execute("INSERT INTO snapshot (digest) VALUES (?)", (whole.digest(),)).lastrowid
    assert number is not None  # an INSERT has one
    connection.executemany(
        "INSERT OR IGNORE INTO part VALUES (?, ?, ?, ?)",
        [(number, section, name, blobs.put_digested(digest, data)) for section, name, digest, data in parts],
    )
    return number


def _cut(snapshot: Snapshot) -> Iterator[tuple[str, str, Plain]]:
    """Yield section, name and content of the parts; a section that holds named things of fields is cut into those."""
    for section in sorted(snapshot):
        content = snapshot[section]
        if isinstance(content, Mapping) and content and all(_is_thing(*each) for each in content.items()):
            yield from ((storable_text(section), storable_text(name), content[name]) for name in sorted(content))
        else:
            yield storable_text(section), WHOLE, content


def _is_thing(name: str, content: Plain) -> bool:
    return name != WHOLE and isinstance(content, Mapping) and storable_text(name) == name
