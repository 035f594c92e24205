"""File systems in a census: how much room is left where Miniconda, its environments and virtualenvs are written."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_PREFIX = ("", "pkgs", "envs")  # any of which may be a mount, or a link to another disk
_MOST = 50


@dataclass(frozen=True)
class Disk:
    """One file system that can be written, as `df` sees it."""

    size: int  # bytes
    free: int  # bytes, without what is kept for root
    inodes: int  # 0: it does not count them
    inodes_free: int
    holds: list[str] = field(default_factory=list)  # the paths for whose sake it was looked at


def disks(prefixes: Iterable[Path], paths: Iterable[Path]) -> dict[str, Disk]:
    """Look at the file systems of Minicondas and of other paths, there or to come; keys are their mount points."""
    found: dict[str, Disk] = {}
    for path in (*(prefix / part for prefix in prefixes for part in _IN_PREFIX), *paths):
        real = os.path.realpath(path)
        mount = _mount(real)
        if mount in found:
            holds = found[mount].holds
            if not any(Path(path).is_relative_to(each) for each in holds):
                holds.append(str(path))
        elif len(found) < _MOST and (seen := _look(mount, str(path))):
            found[mount] = seen
    return found


def _mount(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)  # noqa: PTH120  a text as realpath returns it
    return path


def _look(mount: str, path: str) -> Disk | None:
    """Look at one; None where nothing can be written, or nothing is counted."""
    try:
        seen = os.statvfs(mount)
    except OSError:
        return None
    if seen.f_flag & os.ST_RDONLY or not seen.f_blocks:
        return None
    return Disk(
        size=seen.f_blocks * seen.f_frsize,
        free=seen.f_bavail * seen.f_frsize,
        inodes=seen.f_files,
        inodes_free=seen.f_favail,
        holds=[path],
    )
