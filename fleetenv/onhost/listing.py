"""The environments of this host: their packages, sizes and generations, and who uses them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .disk import Tally
from .generations import Generations, every
from .lock import holder_of
from .places import BASE, Place, elsewhere, environments
from .processes import Process, Processes
from .records import pip_infos


@dataclass(frozen=True)
class Generation:
    """One built copy of an environment."""

    name: str
    current: bool
    finished: bool
    size: int  # bytes on disk, hard links counted once
    built: float | None  # seconds since 1970
    processes: list[Process]


@dataclass(frozen=True)
class Environment:
    """One environment, with all its generations."""

    name: str  # its whole path where it does not lie in the prefix
    managed: bool
    generation: str | None  # the current one; None: not one of fleetenv's
    conda: int  # packages
    pip: int  # packages
    size: int  # bytes on disk of all generations, hard links counted once
    shared: int  # bytes of it that the package cache has, too
    switched: float | None  # seconds since 1970
    processes: list[Process]  # that use any of its generations
    generations: list[Generation]  # the newest first


@dataclass(frozen=True)
class Listing:
    """The environments of a host."""

    environments: list[Environment]
    cache: int  # bytes of PREFIX/pkgs
    total: int  # bytes of all of this together, hard links counted once
    busy: str  # who is changing something now; empty: nobody


def answer(prefix: str) -> Listing:
    """List the environments of a Miniconda prefix, and those that its users have registered elsewhere."""
    root = Path(prefix)
    cache = Tally([root / "pkgs"])
    total = Tally()
    total.inodes |= cache.inodes
    inside, outside = environments(root), elsewhere(root)
    processes = Processes(root, *(place.path for place in (*inside, *outside)))  # some are links to other places
    listed = [_environment(place, root, cache, total, processes) for place in inside]
    known = {each.name for each in listed}
    left = (each for each in every(root) if each.name not in known and each.numbered())  # the environment was removed
    listed += [_managed(each, cache, total, processes) for each in left]
    listed += [_environment(place, root, cache, total, processes) for place in outside]
    return Listing(listed, cache.size, total.size, str(holder_of(root / "envs" / ".fleetenv") or ""))


def _environment(place: Place, prefix: Path, cache: Tally, total: Tally, processes: Processes) -> Environment:
    if place.managed:
        return _managed(Generations(prefix, place.name), cache, total, processes)
    real = place.path.resolve()
    size = Tally([real], besides=[real / "envs", real / "pkgs"])  # of base, here or of another Miniconda
    total.inodes |= size.inodes
    using = processes.using(place.path) if place.name != BASE else _only_of_base(prefix, processes)
    changed = None
    with suppress(OSError):
        changed = (place.path / "conda-meta" / "history").stat().st_mtime
    return Environment(
        name=place.name,
        managed=False,
        generation=None,
        conda=_conda(place.path),
        pip=_pip(place.path),
        size=size.size,
        shared=size.shared_with(cache),
        switched=changed,
        processes=using,
        generations=[],
    )


def _managed(generations: Generations, cache: Tally, total: Tally, processes: Processes) -> Environment:
    current = generations.current()
    together = Tally()
    listed = []
    for _, path in reversed(generations.numbered()):
        size = Tally([path])
        together.inodes |= size.inodes
        built = None
        with suppress(OSError):
            built = (path / "conda-meta" / "history").stat().st_mtime
        using = processes.using(path)
        listed.append(Generation(path.name, path == current, generations.is_whole(path), size.size, built, using))
    total.inodes |= together.inodes
    users = {process for each in listed for process in each.processes}
    return Environment(
        name=generations.name,
        managed=True,
        generation=current.name if current else None,
        conda=_conda(current) if current else 0,
        pip=_pip(current) if current else 0,
        size=together.size,
        shared=together.shared_with(cache),
        switched=generations.link.lstat().st_mtime if current else None,
        processes=sorted(users, key=lambda process: process.number),
        generations=listed,
    )


def _only_of_base(prefix: Path, processes: Processes) -> list[Process]:
    """List the processes that use base itself, not only what lies in its folder."""
    parts = ("bin", "lib", "libexec", "share")
    using = {process for part in parts for process in processes.using(prefix / part)}
    return sorted(using, key=lambda process: process.number)


def _conda(environment: Path) -> int:
    return sum(1 for _ in (environment / "conda-meta").glob("*.json"))


def _pip(environment: Path) -> int:
    return sum(1 for _ in pip_infos(environment))
