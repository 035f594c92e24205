"""Snapshots cut into parts, which hosts and days share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from fleetenv.history.blobs import Blobs
from fleetenv.history.storable import encoded, storable, storable_text

if TYPE_CHECKING:
    import sqlite3

    from fleetenv.drift.snapshot import Plain, Snapshot

WHOLE = ""
"""The name of the one part of a section that is not cut."""

_LARGEST = 8_000_000  # bytes of a part: an environment of 1,000 packages has 100,000
_MOST_THINGS = 1000  # of a section that is cut


def put_snapshot(connection: sqlite3.Connection, blobs: Blobs, snapshot: Snapshot) -> int:
    """Keep a snapshot, and return its number; equal ones have the same. Inside a transaction."""
    parts = []
    whole = hashlib.sha256()
    for section, name, part in _cut(snapshot):
        data = _encoded(part)
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


def as_kept(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot as it would come back from the store, to be compared with what did."""
    kept: Snapshot = {}
    for section, name, part in _cut(snapshot):
        try:
            msgspec.json.encode(part)
        except (UnicodeEncodeError, OverflowError):
            part = msgspec.json.decode(_encoded(part))
        if name == WHOLE:
            kept[section] = part
        else:
            things = kept.setdefault(section, {})
            assert isinstance(things, dict)  # a section is cut, or it is not
            things[name] = part
    return kept


def _encoded(part: Plain) -> bytes:
    data = encoded(part)
    if len(data) <= _LARGEST:
        return data
    data = encoded(storable(part))
    return data if len(data) <= _LARGEST else encoded(f"({len(data)} bytes: too much to be kept)")


def _cut(snapshot: Snapshot) -> Iterator[tuple[str, str, Plain]]:
    """Yield section, name and content of the parts; a section that holds named things of fields is cut into those."""
    for section in sorted(snapshot):
        content = snapshot[section]
        if (
            isinstance(content, Mapping)
            and 0 < len(content) <= _MOST_THINGS
            and all(_is_thing(*each) for each in content.items())
        ):
            yield from ((storable_text(section), storable_text(name), content[name]) for name in sorted(content))
        else:
            yield storable_text(section), WHOLE, content


def _is_thing(name: str, content: Plain) -> bool:
    return name != WHOLE and isinstance(content, Mapping) and storable_text(name) == name
