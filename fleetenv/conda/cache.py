"""What the controller keeps that can be made again: its folder, and what it found out about texts and large files."""

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
_SETTLED = 2.0  # seconds after which a change of a file shows in its times, however coarse those of its disk are


def cache_folder() -> Path:
    """Return where the controller keeps what can be made again; it may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fleetenv"


def file_sha256(path: Path) -> str:
    """Return a file's hash. It is noted, and read again only when the file's size, inode or times are others.

    A file that has just been changed is not noted, so that another change in the same moment cannot be missed.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        times = (found.st_mtime_ns, found.st_ctime_ns)
        what = f"{path.resolve()} {found.st_dev} {found.st_ino} {found.st_size} {times}"
        notes = Notes("files-1")
        noted = notes.recall(what, dict[str, str]) or {}
        if digest := noted.get("sha256"):
            return digest
        settled = max(times) / 1e9 < time.time() - _SETTLED
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if settled:
            notes.note(what, {"sha256": digest})
        return digest


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
