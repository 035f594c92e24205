"""What the controller keeps that can be made again: its folder, and the packages of locks that were read before."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

_KEPT = 90 * 24 * 3600.0  # seconds that a note stays


def cache_folder() -> Path:
    """Return where the controller keeps what can be made again; it may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fleetenv"


class Notes:
    """What was found out about texts, under the texts' sha256.

    Args:
        name: Of the folder below the cache; another one when something else is noted of the same texts.
    """

    def __init__(self, name: str) -> None:
        self._folder = cache_folder() / name

    def recall(self, text: str, kind: type[Mapping[str, T]]) -> Mapping[str, T] | None:
        """Return what is noted of a text, unless nothing is, or something else than `kind`."""
        try:
            return msgspec.json.decode(self._path(text).read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError):
            return None

    def note(self, text: str, found: object) -> None:
        """Note something; where that cannot be written it is found out again the next time."""
        path = self._path(text)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.iterdir():
                if old.stat().st_mtime < time.time() - _KEPT:
                    old.unlink()
            draft.write_bytes(msgspec.json.encode(found))
            draft.replace(path)

    def _path(self, text: str) -> Path:
        return self._folder / hashlib.sha256(text.encode()).hexdigest()
