"""Making the lock of a spec: solve the conda part, resolve the pip part, write the file."""

from __future__ import annotations

from dataclasses import dataclass

from fleetenv.conda.builder import cache_folder
from fleetenv.conda.lock import Lock, Target, lock_path, read_lock, write_lock
from fleetenv.conda.mirrors import condarc_channels, mirror_route, route
from fleetenv.conda.pypi import resolve
from fleetenv.conda.solve import DEFAULT_GLIBC, DEFAULT_PLATFORM, MACHINES, Sources, solve, target
from fleetenv.conda.spec import Spec
from fleetenv.errors import InputError


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says about a lock; what is None or empty stays as the present lock has it, else as by default."""

    platforms: tuple[str, ...] = ()
    glibc: str | None = None
    cuda: str | None = None  # `none`: no driver is expected
    mirror: str | None = None  # a preset's name, or a URL; otherwise what the controller's .condarc says
    pip_index: str | None = None


def relock(spec: Spec, wishes: Wishes | None = None) -> Lock:
    """Solve a spec and write its lock, whole or not at all.

    Raises:
        InputError: it cannot be solved, at the line of the spec that the reason names.
    """
    wishes = wishes or Wishes()
    targets = _targets(present_lock(spec), wishes)
    sources = _sources(spec, wishes.mirror)
    solved = solve(spec, targets, sources)
    pip = {
        each: resolve(spec, each, solved[each], sources.mirrors, wishes.pip_index, cache_folder()) for each in targets
    }
    return write_lock(lock_path(spec.path), spec, sources.channels, solved, pip)


def relocked(spec: Spec, wishes: Wishes) -> Lock:
    """Return the lock of a spec; one that is missing or stale is made first, as [`relock`][] does."""
    return relock(spec, wishes) if stale(spec) else read_lock(lock_path(spec.path))


def stale(spec: Spec, wishes: Wishes | None = None) -> str | None:
    """Say why the lock of a spec must be made (again); None when it need not."""
    lock = present_lock(spec)
    if lock is None:
        return "there is no lock"
    if lock.spec_digest != spec.digest:
        return "the spec was changed after it was locked"
    have = {(each.platform, frozenset(each.virtual_packages)) for each in lock.platforms.values()}
    want = {(each.platform, frozenset(each.virtual_packages)) for each in _targets(lock, wishes or Wishes())}
    return None if have == want else "it was made for other platforms or other hosts"


def present_lock(spec: Spec) -> Lock | None:
    """Read the lock that a spec has now; None: there is none, or none that can be read."""
    try:
        return read_lock(lock_path(spec.path))
    except InputError:
        return None


def _targets(lock: Lock | None, wishes: Wishes) -> tuple[Target, ...]:
    locked = lock.platforms.values() if lock else ()
    before = {each.platform: _versions(each.virtual_packages) for each in locked if each.platform in MACHINES}
    some = next(iter(before.values()), {})
    targets = []
    for platform in dict.fromkeys(wishes.platforms or tuple(before) or (DEFAULT_PLATFORM,)):
        had = before.get(platform, some)
        cuda = wishes.cuda or had.get("__cuda")
        glibc = wishes.glibc or had.get("__glibc", DEFAULT_GLIBC)
        targets.append(target(platform, glibc=glibc, cuda=None if cuda == "none" else cuda))
    return tuple(targets)


def _versions(virtual_packages: tuple[str, ...]) -> dict[str, str]:
    return {name: version for name, version, *_ in (each.split("=") for each in virtual_packages if "=" in each)}


def _sources(spec: Spec, mirror: str | None) -> Sources:
    config = condarc_channels()
    channels = [url for channel in spec.channels for url in config.expand(channel)]
    named = {each.channel: config.expand(each.channel)[0] for each in spec.conda if each.channel}
    channels = list(dict.fromkeys([*channels, *named.values()]))
    routes = mirror_route(mirror) if mirror else route(config, channels)
    return Sources(
        tuple(channels), named, {canonical: [here] for canonical, here in routes.items()}, cache_folder() / "repodata"
    )
