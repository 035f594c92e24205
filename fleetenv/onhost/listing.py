"""The environments of this host and the virtualenvs on top of them: packages, sizes, generations, who uses them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .disk import Tally
from .generations import Generations, every
from .layers import Layer, found, standing
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
class Virtualenv:
    """One virtualenv, with all its generations."""

    path: str
    managed: bool
    generation: str | None  # the current one; None: not one of fleetenv's, or removed while it was in use
    environment: str  # what it stands on, by name; the folder of an interpreter that is in no environment
    base: str | None  # the generation of that environment; None: it has none
    stale: bool  # the environment has another generation by now
    works: bool  # the interpreter that it stands on is there
    packages: int
    size: int  # bytes on disk of all generations, hard links counted once
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
    virtualenvs: list[Virtualenv] = field(default_factory=list)  # by path


def answer(prefix: str) -> Listing:
    """List the environments of a Miniconda prefix, and those that its users have registered elsewhere."""
    root = Path(prefix)
    cache = Tally([root / "pkgs"])
    total = Tally()
    total.inodes |= cache.inodes
    inside, outside, layers = environments(root), elsewhere(root), found(root)
    places = [place.path for place in (*inside, *outside)]  # some are links to other places
    processes = Processes(root, *places, *(path for layer in layers for path in (layer.path, *layer.copies)))
    listed = [_environment(place, root, cache, total, processes) for place in inside]
    known = {each.name for each in listed}
    left = (each for each in every(root) if each.name not in known and each.numbered())  # the environment was removed
    listed += [_managed(each, cache, total, processes) for each in left]
    listed += [_environment(place, root, cache, total, processes) for place in outside]
    virtualenvs = [_virtualenv(each, root, total, processes) for each in layers]
    busy = str(holder_of(root / "envs" / ".fleetenv") or "")
    return Listing(listed, cache.size, total.size, busy, virtualenvs)


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
    listed, together = _generations(generations, "conda-meta/history", total, processes)
    return Environment(
        name=generations.name,
        managed=True,
        generation=current.name if current else None,
        conda=_conda(current) if current else 0,
        pip=_pip(current) if current else 0,
        size=together.size,
        shared=together.shared_with(cache),
        switched=generations.link.lstat().st_mtime if current else None,
        processes=_users(listed),
        generations=listed,
    )


def _virtualenv(layer: Layer, prefix: Path, total: Tally, processes: Processes) -> Virtualenv:
    current = layer.generations.current()
    listed, together = _generations(layer.generations, layer.generations.stamp, total, processes)
    if not layer.managed:
        together.add(layer.path)
        total.inodes |= together.inodes
    said = standing(prefix, layer.path)
    switched = None
    with suppress(OSError):
        switched = (layer.path if layer.managed else layer.path / "pyvenv.cfg").lstat().st_mtime
    using = {*_users(listed), *processes.using(layer.path)}
    return Virtualenv(
        path=str(layer.path),
        managed=layer.managed,
        generation=current.name if current else None,
        environment=said.environment if said else "",
        base=said.generation if said else None,
        stale=said is not None and said.stale,
        works=said is not None and said.works,
        packages=sum(1 for _ in layer.path.glob("lib/python3*/site-packages/*.dist-info")),
        size=together.size,
        switched=switched,
        processes=sorted(using, key=lambda process: process.number),
        generations=listed,
    )


def _generations(
    generations: Generations, built_by: str, total: Tally, processes: Processes
) -> tuple[list[Generation], Tally]:
    """List generations, the newest first, and what they take together; `built_by` is the file whose time tells when."""
    current = generations.current()
    together = Tally()
    listed = []
    for _, path in reversed(generations.numbered()):
        size = Tally([path])
        together.inodes |= size.inodes
        built = None
        with suppress(OSError):
            built = (path / built_by).stat().st_mtime
        using = processes.using(path)
        listed.append(Generation(path.name, path == current, generations.is_whole(path), size.size, built, using))
    total.inodes |= together.inodes
    return listed, together


def _users(generations: list[Generation]) -> list[Process]:
    users = {process for each in generations for process in each.processes}
    return sorted(users, key=lambda process: process.number)


def _only_of_base(prefix: Path, processes: Processes) -> list[Process]:
    """List the processes that use base itself, not only what lies in its folder."""
    parts = ("bin", "lib", "libexec", "share")
    using = {process for part in parts for process in processes.using(prefix / part)}
    return sorted(using, key=lambda process: process.number)


def _conda(environment: Path) -> int:
    return sum(1 for _ in (environment / "conda-meta").glob("*.json"))


def _pip(environment: Path) -> int:
    return sum(1 for _ in pip_infos(environment))
