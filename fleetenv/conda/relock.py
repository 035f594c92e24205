"""Making the lock of a spec: solve the conda part, resolve the pip part, write the file.

What the present lock has stays as long as it fits, so that one new wish does not renew everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from fleetenv.conda.lock import CondaPackage, Lock, PipPackage, Target, lock_path, read_lock, write_lock
from fleetenv.conda.pypi import IndexUnreachable, resolve
from fleetenv.conda.repodata import ChannelsUnreadable
from fleetenv.conda.resolution import PipIndex
from fleetenv.conda.settings import MACHINES, Baseline, Settings
from fleetenv.conda.solve import DEFAULT_GLIBC, DEFAULT_PLATFORM, Kept, solve, target
from fleetenv.conda.sources import Sources, sources
from fleetenv.conda.spec import Spec, normalized
from fleetenv.errors import InputError, nearest

if TYPE_CHECKING:
    from rattler import RepoDataRecord

T = TypeVar("T")

Say = Callable[[str], None]
"""Takes one line for the user."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says about a lock beside the spec.

    Baselines that are None or empty are those of the spec's `fleetenv:` block, else of the present lock, else the
    defaults.
    """

    platforms: tuple[str, ...] = ()
    glibc: str | None = None
    cuda: str | None = None  # `none`: no driver is expected
    mirror: str | None = None  # a preset's name, or a URL; otherwise what the controller's .condarc says
    pip_index: str | None = None
    update: tuple[str, ...] = ()  # packages that are to be the newest that fit; all others stay if they can
    update_all: bool = False
    offline: bool = False  # solve from what the cache has

    def renews(self, package: CondaPackage | PipPackage) -> bool:
        """Whether a locked package is to be looked for anew."""
        return self.update_all or normalized(package.name) in {normalized(name) for name in self.update}


@dataclass(frozen=True, slots=True)
class Solution:
    """The packages of a spec for each target, and where they were found."""

    sources: Sources
    index: PipIndex
    conda: Mapping[Target, Sequence[RepoDataRecord]]
    pip: Mapping[Target, Sequence[PipPackage]]


def relock(spec: Spec, wishes: Wishes | None = None, say: Say = lambda _: None) -> Lock:
    """Solve a spec and write its lock, whole or not at all.

    Args:
        spec: The spec.
        wishes: What is to be otherwise than the spec and the present lock say.
        say: Is told when the network was down and the cache was used instead.

    Raises:
        InputError: it cannot be solved, at the line of the spec that the reason names.
    """
    wishes = wishes or Wishes()
    present = present_lock(spec)
    solution = solved(spec, targets(present, spec.settings, wishes), wishes, present, say)
    return write_lock(lock_path(spec.path), spec, solution.sources.channels, solution.conda, solution.pip)


def solved(
    spec: Spec, wanted: Sequence[Target], wishes: Wishes, present: Lock | None = None, say: Say = lambda _: None
) -> Solution:
    """Solve a spec for some targets; what `present` has stays where it fits.

    Raises:
        InputError: it cannot be solved, at the line of the spec that the reason names.
    """
    platforms = present.platforms.values() if present else ()
    conda_kept = {each.platform: [one for one in each.conda if not wishes.renews(one)] for each in platforms}
    renewed = frozenset(one.name for each in platforms for one in each.conda if wishes.renews(one))
    kept = Kept(conda_kept, frozenset() if wishes.update_all else renewed)
    pip_kept = {each.platform: [one for one in each.pip if not wishes.renews(one)] for each in platforms}
    here = sources(spec, wishes.mirror, offline=wishes.offline)
    try:
        conda = solve(spec, wanted, here, kept)
    except ChannelsUnreadable as error:
        here = replace(here, offline=True)
        conda = _cached(partial(solve, spec, wanted, here, kept), error, say)
    index = PipIndex(wishes.pip_index, offline=wishes.offline)
    pip = {}
    for each in wanted:
        stay = pip_kept.get(each.platform, ())
        try:
            pip[each] = resolve(spec, each, conda[each], here, index, stay)
        except IndexUnreachable as error:
            index = replace(index, offline=True)
            pip[each] = _cached(partial(resolve, spec, each, conda[each], here, index, stay), error, say)
    return Solution(here, index, conda, pip)


def relocked(spec: Spec, wishes: Wishes, say: Say = lambda _: None) -> Lock:
    """Return the lock of a spec; one that is missing, stale or not as wished is made first, as [`relock`][] does."""
    return relock(spec, wishes, say) if stale(spec, wishes) else read_lock(lock_path(spec.path))


def stale(spec: Spec, wishes: Wishes | None = None) -> str | None:
    """Say why the lock of a spec must be made (again); None when it need not."""
    lock = present_lock(spec)
    if lock is None:
        return "there is no lock"
    if lock.spec_digest != spec.digest:
        return "the spec was changed after it was locked"
    have = {(each.platform, frozenset(each.virtual_packages)) for each in lock.platforms.values()}
    want = {(each.platform, frozenset(each.virtual_packages)) for each in targets(lock, Settings(), wishes or Wishes())}
    return None if have == want else "it was made for other platforms or other hosts"


def present_lock(spec: Spec) -> Lock | None:
    """Read the lock that a spec has now; None: there is none, or none that can be read."""
    try:
        return read_lock(lock_path(spec.path))
    except InputError:
        return None


def targets(lock: Lock | None, settings: Settings, wishes: Wishes) -> tuple[Target, ...]:
    """Return what a spec is to be solved for: the wishes count most, then the spec's settings, then its lock.

    Raises:
        InputError: a platform or a version is none.
    """
    locked = lock.platforms.values() if lock else ()
    before = {each.platform: _versions(each.virtual_packages) for each in locked if each.platform in MACHINES}
    some = next(iter(before.values()), {})
    result = []
    for platform in dict.fromkeys(wishes.platforms or settings.platforms or tuple(before) or (DEFAULT_PLATFORM,)):
        had = before.get(platform, some)
        said = settings.baselines.get(platform, Baseline())
        cuda = wishes.cuda or said.cuda or settings.cuda or had.get("__cuda")
        glibc = wishes.glibc or said.glibc or settings.glibc or had.get("__glibc", DEFAULT_GLIBC)
        result.append(target(platform, glibc=glibc, cuda=None if cuda == "none" else cuda))
    return tuple(result)


def check_update(names: Iterable[str], specs: Collection[Spec]) -> None:
    """Check that there is something to update.

    Raises:
        InputError: no spec and no lock has a package of one of these names.
    """
    locks = [lock for spec in specs if (lock := present_lock(spec))]
    known = {normalized(each.name) for spec in specs for each in (*spec.conda, *spec.pip)}
    locked = [each for lock in locks for each in lock.platforms.values()]
    known |= {normalized(one.name) for each in locked for one in each.conda} | {p.name for e in locked for p in e.pip}
    for name in names:
        if normalized(name) not in known:
            raise InputError(f"--update {name}: no lock has a package '{name}'", hint=nearest(normalized(name), known))


def _versions(virtual_packages: tuple[str, ...]) -> dict[str, str]:
    return {name: version for name, version, *_ in (each.split("=") for each in virtual_packages if "=" in each)}


def _cached(again: Callable[[], T], error: InputError, say: Say) -> T:
    """Try once more from the cache; what was wrong with the network is told, or raised when the cache does not do."""
    try:
        answer = again()
    except InputError:
        raise error from None
    say(f"{error.message}; used what was cached before instead")
    return answer
