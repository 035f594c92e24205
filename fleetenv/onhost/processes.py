"""Which processes of this host use a folder: they run a program of it, or have a file of it mapped."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def users_of(folders: list[Path]) -> dict[Path, str]:
    """Tell for each folder which processes use it; empty text when none does.

    A process of another user may hide what it has mapped (all of them do from anybody but root). One that looks like
    Python is then taken to use every folder: what cannot be seen must not be broken.
    """
    users: dict[Path, list[str]] = {folder: [] for folder in folders}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        seen = _seen(entry)
        for folder, found in users.items():
            if seen is None or f"{folder}/" in seen:
                found.append(entry.name)
    return {folder: _told(found) for folder, found in users.items()}


def _seen(process: Path) -> str | None:
    """Return all the paths that a process shows, as one text; None when it hides them and may be a Python."""
    parts = []
    hidden = False
    for name in ("exe", "cwd"):
        try:
            parts.append(f"{(process / name).readlink()}/")
        except PermissionError:
            hidden = True
        except OSError:
            pass  # a kernel thread, or it has just ended
    try:
        parts.append((process / "maps").read_text("utf-8", "replace"))
    except PermissionError:
        hidden = True
    except OSError:
        pass
    command = ""
    with suppress(OSError):
        command = (process / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
        parts.append(command)
    if hidden and "python" in command.partition(" ")[0]:
        return None
    return "\n".join(parts)


def _told(numbers: list[str]) -> str:
    if not numbers:
        return ""
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return f"process {', '.join(sorted(numbers, key=int)[:3])}{more}"
