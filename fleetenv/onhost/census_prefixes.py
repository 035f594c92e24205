"""Minicondas in a census: where they are, whether they are whole, and what was left lying about in them."""

from __future__ import annotations

import re
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .generations import every
from .lock import holder_of, read
from .places import registered
from .processes import user_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = ("miniconda3", "miniconda", "anaconda3", "miniforge3", "mambaforge", "conda")
_FOLDERS = ("/opt", "/usr/local")
_STARTED = ".fleetenv/miniconda/started"
_MOST = 50
_RECORD = re.compile(r"(?P<name>conda|python)-(?P<version>[0-9][^-]*)-[^-]+\.json")
_SECONDS = 30  # in which Python starts, also from a slow disk


@dataclass(frozen=True)
class Miniconda:
    """One installation."""

    asked: bool  # it was asked for; otherwise it was found
    conda: str = ""  # versions, by conda's records; empty: not there
    python: str = ""
    lacks: str = ""  # what it lacks to be whole; empty: nothing
    owner: str = ""
    writable: list[str] = field(default_factory=list)  # folders into which everybody may write
    leftovers: dict[str, str] = field(default_factory=dict)  # path -> what it is


def is_begun(path: Path) -> bool:
    """Whether anything of Miniconda's is there: an empty folder may be a place to mount something."""
    return any((path / part).exists() for part in ("conda-meta", "bin/conda", "bin/python", "envs", _STARTED))


def is_miniconda(path: Path) -> bool:
    """Whether conda itself is installed there."""
    try:
        return (path / "conda-meta" / "history").is_file() and (path / "bin" / "conda").exists()
    except OSError:
        return False


def others(known: Sequence[Path], homes: Sequence[Path]) -> list[Path]:
    """Find Minicondas at the usual places, and those that conda has registered for its users."""
    usual = [folder / name for folder in (*map(Path, _FOLDERS), *homes) for name in _NAMES]
    listed = [path.parent.parent if path.parent.name == "envs" else path for path in registered(homes)]
    real = {path.resolve() for path in known}
    found: list[Path] = []
    for path in (*usual, *listed):
        if is_miniconda(path) and path.resolve() not in real:
            real.add(path.resolve())
            found.append(path)
    return found[:_MOST]


def examine(prefix: Path, *, start: bool) -> Miniconda:
    """Look at one installation; `start`: whether its Python may be started, which is code of whoever owns it."""
    versions = _versions(prefix)
    return Miniconda(
        asked=start,
        conda=versions.get("conda", ""),
        python=versions.get("python", ""),
        lacks=_lacks(prefix, versions, start=start),
        owner=user_name(prefix.stat().st_uid),
        writable=[str(path) for path in _shared(prefix) if _is_open(path)],
        leftovers=_leftovers(prefix) if start else {},
    )


def _versions(prefix: Path) -> dict[str, str]:
    matches = (_RECORD.fullmatch(path.name) for path in sorted((prefix / "conda-meta").glob("*.json")))
    return {match["name"]: match["version"] for match in matches if match}


def _lacks(prefix: Path, versions: dict[str, str], *, start: bool) -> str:
    """Tell what a run of the installer that died half-way has not come to."""
    if (prefix / _STARTED).exists():
        return "its installation was begun, and not finished"
    for path in ("conda-meta/history", "bin/python", "bin/conda"):
        if not (prefix / path).exists():
            return f"there is no {path}"
    for name in ("python", "conda"):
        if name not in versions:
            return f"conda-meta has no record of {name}"
    if not start:
        return ""
    try:
        done = subprocess.run(
            [str(prefix / "bin" / "python"), "-I", "-S", "-c", ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
            timeout=_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "its Python does not start"
    return "its Python does not start" if done.returncode else ""


def _shared(prefix: Path) -> list[Path]:
    """List the folders in which everybody's programs lie."""
    parts = ("", "bin", "lib", "conda-meta", "condabin", "envs", "pkgs", "envs/.fleetenv")
    found = [prefix / part for part in parts]
    with suppress(OSError):
        found += sorted(path for path in (prefix / "envs").iterdir() if path.name[0] != ".")
    return found


def _is_open(path: Path) -> bool:
    """Whether everybody may replace what is in a folder."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _leftovers(prefix: Path) -> dict[str, str]:
    """Name what a fleetenv that was killed has left; nothing while another one is at work."""
    folder = prefix / "envs" / ".fleetenv"
    if holder_of(folder) is not None:
        return {}
    left = {
        str(path): "unfinished: left by a build that was cut off"
        for each in every(prefix)
        for path in each.unfinished()
    }
    holder = read(folder / "lock.held")
    if holder is not None:
        left[str(folder / "lock.held")] = f"a lock that nobody holds any more ({holder})"
    return dict(list(left.items())[:_MOST])
