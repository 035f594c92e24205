"""Linking the conda packages of a generation, with py-rattler."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rattler import LockFile, PackageCache, PackageCacheLayer, ValidationMode
from rattler import install as rattler_install
from rattler.exceptions import InstallerError
from rattler.install import InstallerReporter
from rattler.networking import Client, MirrorMiddleware

from .arrivals import Wanted
from .bytecode import Package
from .mirror import LocalMirror
from .report import Failure, Progress
from .supply import stem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rattler import RepoDataRecord

    from .supply import Supply

_LONGEST_REASON = 60_000  # bytes


def read_records(lock: str, platform: str) -> list[RepoDataRecord]:
    """Read the conda packages for a platform out of a lock's text."""
    descriptor = os.memfd_create("environment.lock")  # a file that nobody can leave behind
    with os.fdopen(descriptor, "wb") as file:
        file.write(lock.encode())
        file.flush()
        environment = LockFile.from_path(Path(f"/proc/self/fd/{descriptor}")).default_environment()
    records = environment.conda_repodata_records() if environment else {}
    if platform not in records:
        raise Failure(f"the lock has no packages for {platform}")
    return records[platform]


def install(
    records: Sequence[RepoDataRecord], generation: Path, supply: Supply, progress: Progress, *, sealed: bool
) -> None:
    """Install packages into an empty generation.

    Args:
        records: The packages.
        generation: Where to.
        supply: Where they come from.
        progress: Gets one step a package.
        sealed: Whether those in the supply's cache are known to be whole; else every file of theirs is checked, and a
            package with a wrong one is fetched anew.

    Raises:
        Failure: a package cannot be had, or cannot be installed.
        OSError: the disk is full.
    """
    bases = {each: f"{number}/" for number, each in enumerate(dict.fromkeys(_channel(each.url) for each in records))}
    fetch = {
        bases[_channel(record.url)] + record.url.removeprefix(_channel(record.url)): partial(
            supply.get, supply.package(record)
        )
        for record in records
    }
    mirror = LocalMirror(fetch)
    routes = {channel: f"{mirror.url}{base}" for channel, base in bases.items()}
    elsewhere = {
        channel: here for channel, here in routes.items() if supply.offered is not None and _is_folder(channel)
    }
    for record in records:
        if here := elsewhere.get(_channel(record.url)):
            record.url = here + record.url.removeprefix(_channel(record.url))
    try:
        reason = _attempt(records, generation, _layer(supply.cache, sealed=sealed), routes, mirror, progress)
    finally:
        mirror.close()
    if mirror.error:
        raise mirror.error
    wanted = [sha256 for each in mirror.failures.values() if isinstance(each, Wanted) for sha256 in each.hashes]
    if wanted:
        raise Wanted(wanted)
    if reason is not None:
        if not mirror.failures and ("os error 28" in reason or "No space left" in reason):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(supply.cache))
        first, *others = [str(each) for each in mirror.failures.values()] or [explained(reason)]
        raise Failure(f"{first} (and {len(others)} more)" if others else first)
    if elsewhere:
        _restore(generation, elsewhere)


def cached(records: Sequence[RepoDataRecord], cache: Path) -> list[Package]:
    """Say where in conda's cache packages lie that were installed."""
    return [Package(str(cache / stem(record.file_name)), record.noarch.python) for record in records]


def folders(records: Sequence[RepoDataRecord], cache: Path) -> dict[Path, str]:
    """Say where in conda's cache packages lie, or will, and which sha256 the archive of each has."""
    return {cache / stem(record.file_name): record.sha256.hex() if record.sha256 else "" for record in records}


def _is_folder(channel: str) -> bool:
    """Whether py-rattler would look for a channel on this host's own disk."""
    return channel.startswith("file:")


def _restore(generation: Path, elsewhere: Mapping[str, str]) -> None:
    """Let conda's records have the canonical URLs of packages that a folder of the controller's has."""
    for path in (generation / "conda-meta").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        for channel, here in elsewhere.items():
            text = text.replace(f'"{here}', f'"{channel}')
        path.write_text(text, encoding="utf-8")


def _channel(url: str) -> str:
    """Return the URL of the channel that a package is in."""
    return url.rsplit("/", 2)[0] + "/"


def _layer(cache: Path, *, sealed: bool) -> PackageCacheLayer:
    return PackageCacheLayer(cache).with_validation_mode(ValidationMode.skip() if sealed else ValidationMode.full())


def _attempt(
    records: Sequence[RepoDataRecord],
    generation: Path,
    layer: PackageCacheLayer,
    routes: Mapping[str, str],
    mirror: LocalMirror,
    progress: Progress,
) -> str | None:
    """Install; returns why it failed, or None.

    It has a process of its own: when one package fails, py-rattler's threads go on writing others for a while. They end
    with their process, so that nothing is written into a generation that is being removed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        mirror.leave()
        reason = "py-rattler failed without a word"
        try:
            asyncio.run(_install(records, generation, layer, routes, progress))
            reason = ""
        except (InstallerError, OSError) as error:
            reason = str(error) or reason
        finally:
            os.write(writing, reason.encode()[:_LONGEST_REASON])
            os._exit(bool(reason))
    os.close(writing)
    mirror.start()
    with open(reading, "rb") as pipe:  # noqa: PTH123  # a descriptor, not a path
        said = pipe.read().decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if status == 0 else said or f"py-rattler was ended by signal {-status}"


async def _install(
    records: Sequence[RepoDataRecord],
    generation: Path,
    layer: PackageCacheLayer,
    routes: Mapping[str, str],
    progress: Progress,
) -> None:
    for name in ("NO_PROXY", "no_proxy"):  # what is asked for comes from this host itself
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
    reporter = _Reporter(progress)  # type: ignore[abstract]  # a Protocol, but with empty bodies on purpose
    await rattler_install(
        list(records),
        generation,
        client=Client([MirrorMiddleware({channel: [here] for channel, here in routes.items()})]),
        package_cache=PackageCache.from_layers([layer]),
        installed_packages=[],
        execute_link_scripts=True,  # conda runs them, too
        reporter=reporter,
    )


class _Reporter(InstallerReporter):
    """Turns py-rattler's callbacks into progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._names: list[str] = []

    def on_link_start(self, operation: int, package_name: str) -> int:
        self._names.append(package_name)
        return len(self._names) - 1

    def on_link_complete(self, index: int) -> None:
        self._progress.step(f"linked {self._names[index]}")


def explained(error: str) -> str:
    """Say in one line what py-rattler says in many."""
    lines = [line.removeprefix("Caused by: ").strip() for line in error.splitlines()]
    what = lines[0].removeprefix("failed to fetch ")
    mismatch = re.search(r"expected ([0-9a-f]{64}), got ([0-9a-f]{64})", error)
    if mismatch:
        return f"{what}: what was downloaded has sha256 {mismatch[2][:12]}..., the lock says {mismatch[1][:12]}..."
    return ": ".join(lines)
