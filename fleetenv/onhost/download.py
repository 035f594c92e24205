"""Downloading files that are known by their sha256: resumed where they were cut off, from the next source if need be.

The builder uses this on hosts, and the controller for its package store: nothing but the standard library.
"""

from __future__ import annotations

import errno
import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fleetenv.conda.channels import without_credentials

from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk, or a full quota, says."""


@dataclass(frozen=True)
class Patience:
    """How long a source may take."""

    silent: float = 30.0  # seconds without a byte
    slow: float = 20_000.0  # bytes a second; less than that is too slow, while there is another source
    window: float = 15.0  # seconds over which that is measured
    pause: float = 0.5  # seconds before a second try, twice as long before each further one


@dataclass(frozen=True)
class RemoteFile:
    """A file that others have."""

    name: str  # for people
    sha256: str
    sources: Sequence[str]  # URLs, the preferred one first
    size: int | None = None  # bytes


class Unavailable(Failure):
    """No source gives a file.

    Attributes:
        reasons: each URL, and why.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(f"cannot download {shown(url)}: {why}" for url, why in reasons.items()))


@dataclass
class Downloader:
    """Fetches files into a folder, each under its sha256. For use by several threads, each with a file of its own.

    What arrived of a file stays in `SHA256.part` until the rest has come, also from another source or in another run.
    """

    folder: Path
    patience: Patience = field(default_factory=Patience)
    told: Callable[[str, int, int | None], None] | None = None  # name, bytes so far, bytes in all
    _bad: dict[str, str] = field(default_factory=dict)  # site that could not be used -> why; it comes last from then on
    _left: Counter[tuple[str, str]] = field(default_factory=Counter)  # site, why -> files that came from elsewhere
    _verified: set[str] = field(default_factory=set)
    _received: Counter[str] = field(default_factory=Counter)  # site -> bytes
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        """Let all transfers end soon."""
        self._stopped.set()

    @property
    def notes(self) -> list[str]:
        """What is worth telling: sources that were left for others."""
        with self._lock:
            left = sorted(self._left.items())
        return [f"{site}: {why}; {count} file{'s' * (count > 1)} came from elsewhere" for (site, why), count in left]

    def has(self, file: RemoteFile) -> bool:
        """Whether the file is here, whole."""
        whole = self.folder / file.sha256
        if file.sha256 not in self._verified and whole.is_file():
            if _sha256(whole) != file.sha256:
                whole.unlink()  # a power cut can do that
                return False
            self._verified.add(file.sha256)
        return whole.is_file()

    def get(self, file: RemoteFile) -> Path:
        """Fetch a file, unless it is here; returns where it is.

        Raises:
            Unavailable: no source gives it; the message names each and why.
            Failure: nobody wants it any more.
            OSError: it cannot be written.
        """
        whole = self.folder / file.sha256
        if self.has(file):
            return whole
        failures: dict[str, str] = {}
        sources = sorted(file.sources, key=lambda url: _site(url) in self._bad)
        alone = len(sources) == 1
        for url in sources:
            if self._try(url, file, failures, alone=alone):
                return whole
        for url in [] if alone else [url for url in sources if _site(url) in self._bad]:  # better late than never
            if self._try(url, file, failures, alone=True):
                return whole
        raise Unavailable(failures)

    def _try(self, url: str, file: RemoteFile, failures: dict[str, str], *, alone: bool) -> bool:
        """Fetch a file from one source; tells whether it is here now."""
        from .transfer import Broken, Transfer, Useless  # imports much, which a build with a full cache does not need

        part, site = self.folder / f"{file.sha256}.part", _site(url)

        def received(count: int) -> int:
            with self._lock:
                self._received[site] += count
                return self._received[site]

        def told(have: int, end: int | None) -> None:
            if self.told:
                self.told(file.name, have, end)

        transfer = Transfer(
            url, file, part, self.patience, alone=alone, stopped=self._stopped, received=received, told=told
        )
        try:
            transfer.run()
        except (Useless, Broken) as error:
            failures[url] = str(error)
            if isinstance(error, Broken):
                with self._lock:
                    self._bad.setdefault(site, str(error))
            return False
        part.replace(self.folder / file.sha256)
        self._verified.add(file.sha256)
        failures.pop(url, None)
        with self._lock:
            self._left.update((_site(other), why) for other, why in failures.items())
        return True


def shown(url: str) -> str:
    """Return a URL as it may be shown to people: without passwords and tokens."""
    return without_credentials(url)


def _site(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
