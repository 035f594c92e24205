"""Downloading and linking the conda packages of a generation, with py-rattler."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rattler import LockFile, PackageCache, PackageCacheLayer, ValidationMode
from rattler import install as rattler_install
from rattler.exceptions import InstallerError
from rattler.install import InstallerReporter
from rattler.networking import AuthenticationMiddleware, Client, MirrorMiddleware, RetryMiddleware

from fleetenv.conda.channels import without_credentials

from .report import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rattler import RepoDataRecord

_PATIENCE = 60.0  # seconds without a byte of any download, before the next mirror is tried
_LONGEST_REASON = 60_000  # bytes
_RETRIES = 2  # of one mirror, with growing pauses, before the next one is tried


def read_records(lock: str, platform: str) -> list[RepoDataRecord]:
    """Read the conda packages for a platform out of a lock's text."""
    with tempfile.TemporaryDirectory(prefix="fleetenv-") as folder:
        path = Path(folder, "environment.lock")
        path.write_text(lock, encoding="utf-8")
        environment = LockFile.from_path(path).default_environment()
    records = environment.conda_repodata_records() if environment else {}
    if platform not in records:
        raise Failure(f"the lock has no packages for {platform}")
    return records[platform]


def install(
    records: list[RepoDataRecord],
    generation: Path,
    cache: Path,
    routes: Sequence[Mapping[str, str]],
    progress: Progress,
) -> list[str]:
    """Install packages into an empty generation; returns what to tell of mirrors that failed.

    Args:
        records: The packages.
        generation: Where to.
        cache: conda's package cache: every file of the packages concerned is checked there, and a package with a wrong
            one is downloaded anew.
        routes: Ways to download, tried in order: canonical URL -> mirror. An empty one goes to the canonical URLs.
        progress: Gets one step a package.
    """
    failures: list[str] = []
    for route in routes or [{}]:
        reason = _attempt(records, generation, cache, route, progress)
        if reason is None:
            return [f"{failure}; the next mirror was used" for failure in failures]
        failures.append(explained(reason, cache))
        if not _is_download(reason):
            break
        shutil.rmtree(generation)
        generation.mkdir()
        progress.reach(0)
    raise Failure("; ".join(dict.fromkeys(failures)))


def _attempt(
    records: list[RepoDataRecord],
    generation: Path,
    cache: Path,
    route: Mapping[str, str],
    progress: Progress,
) -> str | None:
    """Install over one route; returns why it failed, or None.

    It has a process of its own: when one package fails, py-rattler's threads go on writing others for a while. They end
    with their process, so that nothing is written into a generation that is being removed or filled anew.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        reason = "py-rattler failed without a word"
        try:
            asyncio.run(_install(records, generation, cache, route, progress))
            reason = ""
        except (InstallerError, _Silent, OSError) as error:
            reason = str(error) or reason
        finally:
            os.write(writing, reason.encode()[:_LONGEST_REASON])
            os._exit(bool(reason))
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123  # a descriptor, not a path
        said = pipe.read().decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if status == 0 else said or f"py-rattler was ended by signal {-status}"


async def _install(
    records: list[RepoDataRecord],
    generation: Path,
    cache: Path,
    route: Mapping[str, str],
    progress: Progress,
) -> None:
    mirrors = MirrorMiddleware({canonical: [mirror] for canonical, mirror in route.items()})
    layer = PackageCacheLayer(cache).with_validation_mode(ValidationMode.full())
    reporter = _Reporter(progress)  # type: ignore[abstract]  # a Protocol, but with empty bodies on purpose
    work = asyncio.ensure_future(
        rattler_install(
            records,
            generation,
            client=Client([RetryMiddleware(_RETRIES), mirrors, AuthenticationMiddleware()]),
            package_cache=PackageCache.from_layers([layer]),
            installed_packages=[],
            execute_link_scripts=True,  # conda runs them, too
            reporter=reporter,
        )
    )
    while not work.done():
        await asyncio.wait([work], timeout=1)
        if reporter.silence() > _PATIENCE:
            work.cancel()
            where = ", ".join(without_credentials(mirror) for mirror in route.values()) or "the channel itself"
            raise _Silent(f"failed to fetch {reporter.awaited}: for {_PATIENCE:.0f} s not a byte came from {where}")
    await work


class _Silent(Exception):
    """A server took the request, or swallowed it, and says nothing."""


class _Reporter(InstallerReporter):
    """Turns py-rattler's callbacks into progress, and notices when downloads stand still."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._names: list[str] = []
        self._downloads: set[int] = set()
        self._heard = time.monotonic()

    @property
    def awaited(self) -> str:
        """Name the packages that are being downloaded."""
        return ", ".join(self._names[each] for each in sorted(self._downloads))

    def silence(self) -> float:
        """Return for how many seconds no download has moved; 0 when there is none."""
        return time.monotonic() - self._heard if self._downloads else 0.0

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        self._names.append(package_name)
        return len(self._names) - 1

    def on_download_start(self, cache_entry: int) -> int:
        self._heard = time.monotonic()
        self._downloads.add(cache_entry)
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        self._heard = time.monotonic()
        size = f" of {total / 1e6:.0f}" if total else ""
        self._progress.doing(f"downloading {self._names[download_idx]}: {progress / 1e6:.0f}{size} MB")

    def on_download_completed(self, download_idx: int) -> None:
        self._downloads.discard(download_idx)

    def on_link_start(self, operation: int, package_name: str) -> int:
        self._names.append(package_name)
        return len(self._names) - 1

    def on_link_complete(self, index: int) -> None:
        self._progress.step(f"linked {self._names[index]}")


def _is_download(error: str) -> bool:
    return error.startswith("failed to fetch") and "os error 28" not in error


def explained(error: str, where: Path) -> str:
    """Say in one line what py-rattler says in many."""
    lines = [line.removeprefix("Caused by: ").strip() for line in error.splitlines()]
    if "os error 28" in error or "No space left" in error:
        free = shutil.disk_usage(where.parent).free
        return f"the disk of {where.parent} is full ({free / 1e6:.0f} MB free)"
    what = lines[0].removeprefix("failed to fetch ")
    mismatch = re.search(r"expected ([0-9a-f]{64}), got ([0-9a-f]{64})", error)
    if mismatch:
        return f"{what}: what was downloaded has sha256 {mismatch[2][:12]}..., the lock says {mismatch[1][:12]}..."
    url = re.search(r"for url \(([^)]*)\)", error)
    if lines[0].startswith("failed to fetch") and url:
        address = re.sub(r"//[^/@]*@|(?<=/t/)[^/]+", lambda match: "//" if match[0].startswith("//") else "***", url[1])
        reason = lines[-1].partition(" for url")[0]
        return f"cannot download {address}: {reason}"
    return ": ".join(lines)
