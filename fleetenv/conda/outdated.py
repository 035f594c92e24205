"""What newer versions a lock could have: those that fit its spec, and the newest that there are at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from fleetenv.conda.lock import PlatformLock, Target, lock_path
from fleetenv.conda.pypi import newest
from fleetenv.conda.relock import Say, Solution, Wishes, present_lock, solved
from fleetenv.conda.repodata import records, run
from fleetenv.conda.sources import Sources
from fleetenv.conda.spec import Spec, normalized
from fleetenv.errors import InputError

if TYPE_CHECKING:
    from rattler import RepoDataRecord


@dataclass(frozen=True, slots=True)
class Outdated:
    """A locked package for which there is a newer version."""

    package: str
    locked: str
    fits: str | None  # the version that 'fleetenv lock --update-all' would lock; None: it would not need the package
    newest: str  # that the channels have for the platform, or the index for its Python
    channel: str  # conda-forge; or pip
    platforms: tuple[str, ...]
    direct: bool  # the spec names it, and not only something that needs it


def outdated(spec: Spec, wishes: Wishes, say: Say = lambda _: None) -> tuple[Outdated, ...]:
    """Compare the lock of a spec with what there is now; nothing is written.

    Args:
        spec: The spec; its lock may be stale.
        wishes: Where to look: the mirror, the index, whether offline.
        say: Is told when the network was down and the cache was used instead.

    Raises:
        InputError: it has no lock, cannot be solved, or the channels cannot be read.
    """
    lock = present_lock(spec)
    if lock is None:
        path = lock_path(spec.path)
        raise InputError(f"there is no lock {path}", location=spec.location, hint=f"run 'fleetenv lock {spec.path}'")
    wanted = [Target(each.platform, each.virtual_packages) for each in lock.platforms.values()]
    solution = solved(spec, wanted, replace(wishes, update_all=True), None, say)
    found: dict[_Row, list[str]] = {}
    for target in wanted:
        locked = lock.platforms[target.platform]
        for row in (*_conda(locked, solution, target), *_pip(spec, locked, solution, target)):
            found.setdefault(row, []).append(target.platform)
    direct = {normalized(each.name) for each in (*spec.conda, *spec.pip)}
    packages = [Outdated(*row, tuple(where), normalized(row[0]) in direct) for row, where in found.items()]
    return tuple(sorted(packages, key=lambda each: (not each.direct, each.package, each.channel)))


_Row: TypeAlias = tuple[str, str, str | None, str, str]  # package, locked, fits, newest, channel


def _conda(locked: PlatformLock, solution: Solution, target: Target) -> Iterator[_Row]:
    from rattler import Version

    fits = {record.name.normalized: str(record.version) for record in solution.conda[target]}
    latest = run(_latest(solution.sources, target.platform, [each.name for each in locked.conda]))
    for each in locked.conda:
        fitting, best = fits.get(each.name), latest.get(each.name, each.version)
        if any(Version(other) > Version(each.version) for other in (fitting, best) if other):
            yield each.name, each.version, fitting, best, each.channel


async def _latest(sources: Sources, platform: str, names: Iterable[str]) -> dict[str, str]:
    """Return the newest version of each package in the first channel that has it, as strict priority wants it."""
    latest: dict[str, RepoDataRecord] = {}
    for of_channel in await records(sources, platform, names):
        best: dict[str, RepoDataRecord] = {}
        for record in of_channel:
            name = record.name.normalized
            if name not in best or record.version > best[name].version:
                best[name] = record
        latest = best | latest
    return {name: str(record.version) for name, record in latest.items()}


def _pip(spec: Spec, locked: PlatformLock, solution: Solution, target: Target) -> Iterator[_Row]:
    direct = {each.name for each in spec.pip if each.direct_url}
    packages = [each for each in locked.pip if each.name not in direct]
    fits = {each.name: each.version for each in solution.pip[target]}
    latest = newest(spec, target, solution.conda[target], solution.index, [each.name for each in packages])
    for each in packages:
        fitting, best = fits.get(each.name), latest.get(each.name, each.version)
        if each.version != best or (fitting and fitting != each.version):
            yield each.name, each.version, fitting, best, "pip"
