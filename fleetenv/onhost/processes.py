"""Which processes of this host use a folder: they run a program of it, have a file of it open, or mapped."""

from __future__ import annotations

import os
import pwd
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_COMMAND = 100  # characters that are told of a command


@dataclass(frozen=True)
class Process:
    """A running process."""

    number: int
    user: str
    command: str
    certain: bool  # False: it hides what it uses, and looks like Python


class Processes:
    """What all processes but this one use of some folders and below them, as seen once.

    A process of another user may hide what it has open and mapped (all of them do from anybody but root). One that
    looks like Python is then taken to use everything: what cannot be seen must not be broken.
    """

    def __init__(self, *folders: Path) -> None:
        roots = {str(folder) for folder in folders}
        roots |= {os.path.realpath(folder) for folder in folders}  # the kernel tells paths with all links resolved
        paths = re.compile("|".join(f"{re.escape(root)}/[^\n]*" for root in sorted(roots)))
        self._using: dict[str, list[Process]] = {}
        self._hidden: list[Process] = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            text, command, hidden = _look(entry)
            if hidden:
                self._hidden.append(_process(entry, command, certain=False))
                continue
            found = set(paths.findall(text))
            if found:
                self._add(_process(entry, command, certain=True), found, roots)

    def _add(self, process: Process, paths: set[str], roots: set[str]) -> None:
        folders = set()
        for path in paths:
            folder = path
            while folder not in roots and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]
            folders.add(folder)
        for folder in folders:
            self._using.setdefault(folder, []).append(process)

    def using(self, folder: Path) -> list[Process]:
        """List the processes that use a folder or what is in it; oldest numbers first."""
        found = {*self._using.get(str(folder), ()), *self._using.get(os.path.realpath(folder), ()), *self._hidden}
        return sorted(found, key=lambda process: process.number)


def told(processes: list[Process]) -> str:
    """Name processes in a few words; empty text for none."""
    if not processes:
        return ""
    more = f" and {len(processes) - 3} more" if len(processes) > 3 else ""
    users = ", ".join(sorted({process.user for process in processes}))
    return f"process {', '.join(str(process.number) for process in processes[:3])}{more} of {users}"


def user_name(number: int) -> str:
    """Return an account's name, or its number when it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _process(entry: Path, command: str, *, certain: bool) -> Process:
    user = "?"
    with suppress(OSError):
        user = user_name(entry.stat().st_uid)
    return Process(int(entry.name), user, " ".join(command.split())[:_COMMAND], certain)


def _look(process: Path) -> tuple[str, str, bool]:
    """Return the paths that a process shows, a line each; its command; whether it hides some and is a Python."""
    parts = []
    hidden = False
    command = ""
    with suppress(OSError):
        command = (process / "cmdline").read_text("utf-8", "replace")
        parts.append(command.replace("\0", "\n"))
    try:
        parts += [f"{os.readlink(process / name)}/" for name in ("exe", "cwd")]  # noqa: PTH115  # text is wanted
        parts.append((process / "maps").read_text("utf-8", "replace"))
        for descriptor in os.scandir(process / "fd"):
            with suppress(FileNotFoundError):
                parts.append(os.readlink(descriptor))  # noqa: PTH115
    except PermissionError:
        hidden = True
    except OSError:
        pass  # a kernel thread, or it has just ended
    command = command.replace("\0", " ")
    return "\n".join(parts), command, hidden and "python" in command.partition(" ")[0]
