"""JSON that many rows share: kept once, compressed, found by its sha256."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_LEVEL = 6


class Blobs:
    """The blobs of one open history. What was put or read once is remembered."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[bytes, int] = {}

    def put(self, data: bytes) -> int:
        """Keep bytes, and return their number; bytes that are there already keep theirs. Inside a transaction."""
        return self.put_digested(hashlib.sha256(data).digest(), data)

    def put_digested(self, digest: bytes, data: bytes) -> int:
        """Keep bytes whose sha256 is known."""
        number = self._numbers.get(digest)
        if number is None:
            found = self._connection.execute("SELECT id FROM blob WHERE digest = ?", (digest,)).fetchone()
            if found is None:
                row = (digest, zlib.compress(data, _LEVEL))
                number = self._connection.execute("INSERT INTO blob (digest, data) VALUES (?, ?)", row).lastrowid
                assert number is not None  # an INSERT has one
            else:
                (number,) = found
            self._numbers[digest] = number
        return number

    def get(self, number: int) -> bytes:
        """Return the bytes of a number that a row holds."""
        (data,) = self._connection.execute("SELECT data FROM blob WHERE id = ?", (number,)).fetchone()
        return zlib.decompress(data)
