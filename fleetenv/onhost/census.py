"""A census of this host: its Minicondas with all environments and packages, virtualenvs, kernels, .condarc files.

But for the room that disks have left, only what stays as it is while nobody changes anything: no sizes, times or
processes. All lists are bounded.
"""

from __future__ import annotations

import math
import os
import pwd
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .census_disks import Disk, disks
from .census_environments import Environment, look
from .census_layers import Kernel, Virtualenv, condarc_files, kernels, virtualenvs
from .census_prefixes import Miniconda, examine, is_begun, is_miniconda, others
from .places import Place, environments, homes, registered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SECONDS = 60.0  # for the files of all environments, unless every one is to be read
_MOST = 200  # environments of a host
_MOST_HOMES = 1000
_FIRST, _NOBODY = 1000, 65534  # numbers of accounts that are people's lie between
_TEMPORARY = Path("/tmp")  # noqa: S108  where pip builds, and jobs write: looked at, never used
_SYSTEM = 2  # parts of a path such as `/opt`


@dataclass(frozen=True)
class Census:
    """What a host has; keys are absolute paths."""

    homes: list[str]
    minicondas: dict[str, Miniconda]  # those that were asked for, and others that were found
    condarc: dict[str, str]  # each file's text
    environments: dict[str, Environment]
    virtualenvs: dict[str, Virtualenv]
    kernels: dict[str, Kernel]
    disks: dict[str, Disk] = field(default_factory=dict)  # by mount point


def answer(
    prefixes: Sequence[str],
    virtualenv_paths: Sequence[str],
    kernel_folders: Sequence[str],
    *,
    all_homes: bool,
    deep: bool,
) -> Census:
    """Look at everything.

    Args:
        prefixes: Minicondas that are looked into closely, and whose Python may be started.
        virtualenv_paths: Virtualenvs that are known; the folders that they lie in are searched for more.
        kernel_folders: Folders of kernels, beside those of Jupyter's own.
        all_homes: Whether to look into all users' homes, and not only into that of whoever asks.
        deep: Whether to compare the content of every file with its package's.
    """
    with suppress(OSError):
        os.nice(10)  # whatever else this host does is worth more
    at_home = _homes() if all_homes else [Path.home()]
    asked = [Path(os.path.expanduser(path)) for path in prefixes]  # noqa: PTH111  # '~user' that is none stays
    found = [*asked, *others(asked, at_home)]
    there = [path for path in found if is_begun(path)]
    until = math.inf if deep else time.monotonic() + _SECONDS
    seen: dict[str, Environment] = {}
    for prefix, place in _places(there, at_home):
        asked_for, in_time = prefix in asked, time.monotonic() < until
        looked = _look(place, prefix, close=asked_for and in_time, deep=deep)
        seen[str(place.path)] = replace(looked, unchecked=asked_for and not in_time)
    return Census(
        homes=[str(home) for home in at_home],
        minicondas={str(path): examine(path, start=path in asked) for path in there},
        condarc=condarc_files(there, at_home),
        environments=seen,
        virtualenvs=virtualenvs(virtualenv_paths, at_home),
        kernels=kernels(kernel_folders, there, at_home),
        disks=disks(asked, [*(Path(path).expanduser() for path in virtualenv_paths), _TEMPORARY]),
    )


def _look(place: Place, prefix: Path | None, *, close: bool, deep: bool) -> Environment:
    """Look at an environment; one that cannot be looked at, or goes away meanwhile, must not cost the others."""
    try:
        return look(place, prefix, close=close, deep=deep)
    except OSError as error:
        return Environment(str(prefix or ""), place.name, unread=[f"{error.filename}: {error.strerror}"])


def _homes() -> list[Path]:
    """List the homes of people, as far as they are known: not those of services, which may be `/opt` or `/usr/sbin`."""
    services = {each.pw_dir for each in pwd.getpwall() if each.pw_uid and not _FIRST <= each.pw_uid < _NOBODY}
    plain = [home for home in homes() if len(home.parts) > _SYSTEM or home == Path("/root")]
    return [home for home in plain if str(home) not in services or home == Path.home()][:_MOST_HOMES]


def _places(prefixes: Sequence[Path], at_home: Sequence[Path]) -> Iterator[tuple[Path | None, Place]]:
    """Yield all environments, each with its Miniconda; links to nothing, too, where environments lie."""
    known: set[str] = set()
    places: list[tuple[Path | None, Place]] = []
    for prefix in prefixes:
        own = environments(prefix) if os.access(prefix, os.R_OK) else []
        names = {place.name for place in own}
        with suppress(OSError):
            own += [
                Place(path.name, path, managed=False)
                for path in sorted((prefix / "envs").iterdir())
                if path.is_symlink() and not path.exists() and path.name not in names and path.name[0] != "."
            ]
        places += [(prefix, place) for place in own]
    known |= {os.path.realpath(place.path) for _, place in places} | {os.path.realpath(path) for path in prefixes}
    for path in registered(at_home):
        real = os.path.realpath(path)
        with suppress(OSError):
            if real not in known and (path / "conda-meta" / "history").is_file() and not is_miniconda(path):
                known.add(real)
                places.append((None, Place(str(path), path, managed=False)))
    yield from places[:_MOST]
