"""Which files of the controller decide what a run does: all that it opens, of the user's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fleetenv
from fleetenv.source import shown

_WRITES = os.O_WRONLY | os.O_RDWR
_PACKAGE = Path(fleetenv.__file__).parent


class Sources:
    """The files below some folders that were opened for reading while [`watching`][].

    Python tells of every file that it opens (`sys.audit`), whatever opened it: a playbook, a role, variables, a
    template, a lookup, a spec and its lock.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(dict.fromkeys(folder.resolve() for folder in folders))
        self._watches = False
        self.opened: dict[str, None] = {}  # as errors show them
        sys.addaudithook(self._hear)  # for as long as the process lives: there is no way to end it

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take note of files."""
        self._watches = True
        try:
            yield
        finally:
            self._watches = False

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._watches or event != "open":
            return
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITES:
            return
        if isinstance(path, str | bytes | os.PathLike):
            place = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100  # as it was named, links in it unresolved
            if any(_is_own(place, folder) for folder in self._folders):
                self.opened[shown(place)] = None


def _is_own(place: Path, folder: Path) -> bool:
    """Whether a file is of a project in a folder: no program's, no hidden folder's (caches, git), none of ssh's."""
    if (
        place.name.startswith("known_hosts")
        or not place.is_relative_to(folder)
        or place.is_relative_to(sys.prefix)
        or place.is_relative_to(_PACKAGE)
    ):
        return False
    return not any(part.startswith(".") for part in place.relative_to(folder).parts[:-1])


def seals(files: Iterable[str], seal: Callable[[bytes], str]) -> dict[str, str]:
    """Return each file's seal; a file that is not there, or no file, has an empty one."""
    return {file: _seal(Path(file), seal) for file in sorted(files)}


def _seal(file: Path, seal: Callable[[bytes], str]) -> str:
    try:
        return seal(file.read_bytes())
    except OSError:
        return ""


def changed_sources(planned: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say which files are others than when a plan was made; `now` may hold more, which were read in vain then."""
    told = []
    for file, seal in now.items():
        if file not in planned:
            told.append(f"{file} is new")
        elif seal != planned[file]:
            told.append(f"{file} {'has changed' if seal else 'is gone'}")
    return told
