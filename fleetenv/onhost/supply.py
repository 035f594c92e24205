"""Where the files of one build come from: mirrors and channels, or the controller through the SSH connection.

A file that is on its way lies in `PREFIX/pkgs/.fleetenv-partial`, under its sha256; a build that succeeds empties that.
"""

from __future__ import annotations

import re
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from fleetenv.conda.mirrors import sources

from .arrivals import FOLDER, Wanted
from .download import NO_ROOM, Downloader, Patience, RemoteFile, Unavailable
from .report import Failure
from .wheelcache import WheelCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from rattler import RepoDataRecord

    from .indexes import Indexes
    from .report import Progress
    from .wheels import Wheel

_File = TypeVar("_File")
_Got = TypeVar("_Got")

_UNPACKED = 3.0  # bytes of a package's files for one of its archive, as a rule of thumb: conda-forge's have 3 to 4
_CONTROLLER = Patience(silent=3600.0)  # it may have to download a file first; a lost connection is noticed anyway
_AT_ONCE = 8
_UNPACKING = re.compile(r"\.[a-z0-9_.-]+-[^-]+-[^-]+[A-Za-z0-9]{6}")  # .NAME-VERSION-BUILD and six random characters


@dataclass(frozen=True)
class Supply:
    """Where files come from.

    Attributes:
        cache: conda's package cache.
        routes: Canonical URL -> mirror, tried in order; an empty one goes to the canonical URLs.
        offered: The URL below which the controller has files by sha256; empty: it sends them when told which; None:
            they come from mirrors and channels.
        downloader: What fetches them.
    """

    cache: Path
    routes: Sequence[Mapping[str, str]]
    offered: str | None
    downloader: Downloader

    @classmethod
    def open(cls, cache: Path, routes: Sequence[Mapping[str, str]], offered: str | None, progress: Progress) -> Supply:
        """Prepare to fetch; the folder for that is made."""

        def told(name: str, done: int, total: int | None) -> None:
            size = f" of {total / 1e6:.0f}" if total else ""
            progress.doing(f"downloading {name}: {done / 1e6:.0f}{size} MB")

        _clean(cache)
        patience = Patience() if offered is None else _CONTROLLER
        return cls(cache, routes, offered, Downloader(cache / FOLDER, patience, told))

    def package(self, record: RepoDataRecord) -> RemoteFile:
        """Say where a conda package comes from."""
        sha256 = record.sha256.hex() if record.sha256 else ""
        return RemoteFile(record.file_name, sha256, self._sources(record.url, sha256), record.size)

    def wheel(self, wheel: Wheel) -> RemoteFile:
        """Say where a file of the pip part comes from, when it does not come from an index."""
        return RemoteFile(wheel.file_name, wheel.sha256, self._sources(wheel.url, wheel.sha256))

    def _sources(self, url: str, sha256: str) -> list[str]:
        if self.offered is None:
            return sources(url, self.routes)
        return [f"{self.offered}/{sha256}"] if self.offered else []

    def get(self, file: RemoteFile) -> Path:
        """Fetch a file; returns where it is, under its sha256.

        Raises:
            Wanted: the controller has to send it.
            Failure: it cannot be had.
        """
        if self.offered is None:
            return self.downloader.get(file)
        if not self.offered and not self.downloader.has(file):
            raise Wanted([file.sha256])
        try:
            return self.downloader.get(file)
        except Unavailable as error:
            why = next(iter(error.reasons.values()), "").removeprefix("HTTP 404 ")
            raise Failure(f"{file.name} from the controller: {why}") from error

    def get_all(self, files: Sequence[RemoteFile]) -> list[Path]:
        """Fetch files, several at once; as [`get`][]."""
        return self._side_by_side(self.get, files)

    def _side_by_side(self, get: Callable[[_File], _Got], files: Sequence[_File]) -> list[_Got]:
        """Get files, several at once; the first that fails ends the others.

        Whoever ends this process is not kept waiting by a site that does not answer, as an executor would: what is left
        of the time is for removing what was being built.
        """
        got: dict[int, _Got] = {}
        errors: list[BaseException] = []
        waiting = iter(enumerate(files))
        turn = threading.Lock()

        def work() -> None:
            while not errors:
                with turn:
                    number, file = next(waiting, (-1, None))
                if file is None:
                    return
                try:
                    got[number] = get(file)
                except BaseException as error:  # raised by whoever waits
                    errors.append(error)
                    self.downloader.stop()

        threads = [threading.Thread(target=work, daemon=True) for _ in files[:_AT_ONCE]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return [got[number] for number in range(len(files))]

    def get_found(self, wheels: Sequence[Wheel], indexes: Indexes) -> dict[Wheel, Path]:
        """Fetch those of some wheels that indexes have, several at once; what fails is left to pip, and to its words.

        Raises:
            OSError: one cannot be written.
        """
        kept = WheelCache(self.cache)

        def one(wheel: Wheel) -> Path | None:
            file = RemoteFile(wheel.file_name, wheel.sha256, [])
            if not self.downloader.has(file):
                kept.lend(wheel, self.downloader.folder / wheel.sha256)
            try:
                if not self.downloader.has(file):
                    file = replace(file, sources=indexes.sources(wheel))
                path = self.downloader.get(file)
            except Failure:
                return None
            kept.keep(wheel, path)
            return path

        kept.forget()
        paths = self._side_by_side(one, wheels)
        return {wheel: path for wheel, path in zip(wheels, paths, strict=True) if path}

    def check(self, records: Sequence[RepoDataRecord], wheels: Sequence[Wheel]) -> None:
        """See that there is room for what is lacking, and that it is here if the controller has to send it.

        Raises:
            Wanted: it has to send some.
            Failure: there is not enough room.
        """
        lacking = [record for record in records if not (self.cache / stem(record.file_name)).is_dir()]
        self._check_room(lacking)
        if self.offered == "":
            files = [*map(self.package, lacking), *map(self.wheel, wheels)]
            wanted = [file.sha256 for file in files if not self.downloader.has(file)]
            if wanted:
                raise Wanted(wanted)

    def _check_room(self, lacking: Sequence[RepoDataRecord]) -> None:
        archives = sum(record.size or 0 for record in lacking)
        here = sum(path.stat().st_size for path in self.downloader.folder.iterdir() if path.is_file())
        needed = archives * (1 + _UNPACKED) - min(here, archives)
        free = shutil.disk_usage(self.cache).free
        if needed > free:
            packages = "1 package needs" if len(lacking) == 1 else f"{len(lacking)} packages need"
            what = f"{packages} about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free"
            raise Failure(f"there is no room on the disk of {self.cache}: {what}")

    def __enter__(self) -> Supply:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what may be gone on with; remove what is in its place by now, or has no room."""
        self.downloader.stop()
        _clean(self.cache)
        folder = self.downloader.folder
        if error is None or (isinstance(error, OSError) and error.errno in NO_ROOM):
            shutil.rmtree(folder, ignore_errors=True)
        elif not isinstance(error, Wanted):
            with suppress(OSError):  # not empty
                folder.rmdir()


def _clean(cache: Path) -> None:
    """Remove what py-rattler was unpacking when it was ended; whoever holds the prefix's lock is alone with this."""
    for path in cache.glob(".*"):
        if _UNPACKING.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def stem(name: str) -> str:
    """Return the name of the folder in which a package lies unpacked."""
    return name.removesuffix(".conda").removesuffix(".tar.bz2")
