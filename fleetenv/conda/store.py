"""The controller's store of packages: each file once, under its sha256, however many hosts and environments ask.

A download that was cut off is gone on with, also by a later run; runs at the same time wait for each other's files.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fleetenv.conda.cache import cache_folder
from fleetenv.conda.lock import PlatformLock
from fleetenv.conda.mirrors import condarc_channels, mirror_route, route, sources
from fleetenv.conda.spec import Spec
from fleetenv.errors import InputError, TaskFailed
from fleetenv.onhost.download import Downloader, Patience, RemoteFile
from fleetenv.onhost.report import Failure
from fleetenv.onhost.wheels import file_name
from fleetenv.remote import Offer

_AT_ONCE = 8  # downloads
_KEPT = 90 * 24 * 3600.0  # seconds that a file stays without being asked for


class PackageStore:
    """Files under their sha256, downloaded when they are first asked for.

    Args:
        folder: Where they are; by default in the user's cache.
        patience: How long a source may take.
    """

    def __init__(self, folder: Path | None = None, patience: Patience | None = None) -> None:
        self._folder = folder or cache_folder() / "packages"
        self._patience = patience or Patience()
        self._downloader: Downloader | None = None
        self._lock: int | None = None  # a descriptor; closing any one of this file would give up all its locks
        self._begun: dict[str, Future[Path]] = {}
        self._turn = threading.Lock()
        self._free = threading.Semaphore(_AT_ONCE)

    def offer(self, file: RemoteFile) -> Offer:
        """Return how steps are offered a file."""
        return Offer(file.sha256, partial(self.obtain, file), self._notes)

    def _notes(self) -> list[str]:
        return self._downloader.notes if self._downloader else []

    def obtain(self, file: RemoteFile) -> Future[Path]:
        """Begin to get a file, unless that has begun; its path comes once it is here, whole and right.

        The future fails with [`TaskFailed`][] when no source gives the file, or it cannot be written.
        """
        with self._turn:
            known = self._begun.get(file.sha256)
            if known and not (known.done() and known.exception()):  # what failed is tried again for the next who asks
                return known
            future = self._begun[file.sha256] = Future()
            # Daemons: a run that is interrupted does not wait for downloads, the next one goes on with them.
            threading.Thread(target=self._get, args=(file, future), daemon=True, name=file.name).start()
        return future

    def _get(self, file: RemoteFile, future: Future[Path]) -> None:
        try:
            with self._free, self._locked(file.sha256):
                path = self._open().get(file)
            os.utime(path)
            future.set_result(path)
        except Failure as failure:
            future.set_exception(TaskFailed(str(failure)))
        except OSError as error:
            future.set_exception(TaskFailed(f"the controller's {self._folder}: {error.strerror or error}"))
        except BaseException as error:
            future.set_exception(error)
            raise

    def _open(self) -> Downloader:
        with self._turn:
            if self._downloader is None:
                self._downloader = Downloader(self._folder, self._patience)
                self._forget()
            return self._downloader

    def _forget(self) -> None:
        """Remove what nobody has asked for in a long time."""
        oldest = time.time() - _KEPT
        for path in self._folder.iterdir():
            with suppress(OSError):
                if path.name != "lock" and path.stat().st_mtime < oldest:
                    path.unlink()

    @contextmanager
    def _locked(self, sha256: str) -> Iterator[None]:
        """Keep other processes from getting the same file: each file is one byte of the lock."""
        with self._turn:
            if self._lock is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        byte = int(sha256[:15], 16)
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, byte)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, byte)


def offers(
    store: PackageStore,
    spec: Spec,
    platforms: Mapping[str, PlatformLock],
    mirrors: Sequence[str],
    pip_index: str | None,
) -> Mapping[str, tuple[Offer, ...]]:
    """Return all files of a lock for each platform, to be downloaded by the controller.

    Args:
        store: Where they go.
        spec: What was locked.
        platforms: What the lock has.
        mirrors: Where to download conda packages; otherwise as the controller's own `.condarc` says.
        pip_index: An index whose user and password are those for the pip section's files on the same site.

    Raises:
        InputError: a file of the pip section would have to be built on the host; or the `.condarc` cannot be read.
    """
    found = {}
    for platform, locked in platforms.items():
        channels = {package.url.rsplit("/", 2)[0] for package in locked.conda}
        routes = [mirror_route(each) for each in mirrors] or [route(condarc_channels(), channels)]
        files = [RemoteFile(file_name(each.url), each.sha256, sources(each.url, routes)) for each in locked.conda]
        for package in locked.pip:
            name = file_name(package.url)
            if not name.endswith(".whl"):
                where = (each.location for each in spec.pip if each.name == package.name)
                raise InputError(
                    f"{name} has to be built, for which a host needs a package index",
                    location=next(where, spec.location),
                    hint=f"ask for a version of {package.name} with a wheel for {platform}, or for packages_via: host",
                )
            files.append(RemoteFile(name, package.sha256, [with_account(package.url, pip_index)]))
        found[platform] = tuple(store.offer(file) for file in files)
    return found


def with_account(url: str, index: str | None) -> str:
    """Add an index's user and password to the URL of a file on the same site; locks have a folder's files by path."""
    if url.startswith("/"):
        return Path(url).as_uri()
    account, _, site = urlsplit(index or "").netloc.rpartition("@")
    return url.replace("://", f"://{account}@", 1) if account and urlsplit(url).netloc == site else url
