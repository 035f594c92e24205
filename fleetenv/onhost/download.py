"""Downloading files that are known by their sha256: resumed where they were cut off, from the next source if need be.

The builder uses this on hosts, and the controller for its package store: nothing but the standard library.
"""

from __future__ import annotations

import errno
import hashlib
import netrc
import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from fleetenv.conda.channels import without_credentials

from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from io import RawIOBase

_PIECE = 256 * 1024
_TRIES = 3  # in a row that bring nothing, before a source is given up that has no other beside it
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
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


class _Useless(Exception):
    """A source that has not got the file, or another one under its name."""


class _Slow(Exception):
    """A source that takes too long while there are others."""


class Unavailable(Failure):
    """No source gives a file.

    Attributes:
        reasons: each URL, and why.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(f"cannot download {shown(url)}: {why}" for url, why in reasons.items()))


class Stopped(Failure):
    """Nobody wants the files any more."""


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
            _, digest = _beginning(whole, None)
            if digest.hexdigest() != file.sha256:
                whole.unlink()  # a power cut can do that
                return False
            self._verified.add(file.sha256)
        return whole.is_file()

    def get(self, file: RemoteFile) -> Path:
        """Fetch a file, unless it is here; returns where it is.

        Raises:
            Unavailable: no source gives it; the message names each and why.
            OSError: it cannot be written.
        """
        whole = self.folder / file.sha256
        if self.has(file):
            return whole
        failures: dict[str, str] = {}
        sources = sorted(file.sources, key=lambda url: _site(url) in self._bad)
        alone = len(sources) == 1
        for url in sources:
            if self._try(url, file, failures, patient=alone):
                return whole
        for url in [] if alone else [url for url in sources if _site(url) in self._bad]:  # better late than never
            if self._try(url, file, failures, patient=True):
                return whole
        raise Unavailable(failures)

    def _try(self, url: str, file: RemoteFile, failures: dict[str, str], *, patient: bool) -> bool:
        """Fetch a file from one source; tells whether it is here now."""
        try:
            self._persist(url, file, patient=patient)
        except (_Useless, _Slow, OSError, HTTPException, ValueError) as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise
            why = _why(error, self.patience)
            failures[url] = why
            if not isinstance(error, _Useless):
                with self._lock:
                    self._bad.setdefault(_site(url), why)
            return False
        (self.folder / f"{file.sha256}.part").replace(self.folder / file.sha256)
        self._verified.add(file.sha256)
        with self._lock:
            failures.pop(url, None)
            self._left.update((_site(other), why) for other, why in failures.items())
        return True

    def _persist(self, url: str, file: RemoteFile, *, patient: bool) -> None:
        """Transfer a file, going on where the connection was cut as long as each new one brings more."""
        part = self.folder / f"{file.sha256}.part"
        tries = 0
        while True:
            before = _size(part)
            try:
                found = self._transfer(url, file, part, patient=patient)
            except (OSError, HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 429):
                    raise _Useless(_why(error, self.patience)) from error
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                tries = 0 if _size(part) > before else tries + 1
                if tries >= (_TRIES if patient else 1):
                    raise
                if self._stopped.wait(self.patience.pause * 2**tries):
                    raise Stopped("it is no longer wanted") from error
                continue
            if found == file.sha256:
                return
            part.unlink()
            if not before:
                raise _Useless(f"it has sha256 {found[:12]}..., not {file.sha256[:12]}...")
            # it may be the beginning that is wrong, from another source: once more, from the start

    def _transfer(self, url: str, file: RemoteFile, part: Path, *, patient: bool) -> str:
        """Add to a file what it lacks; returns the sha256 of all of it."""
        have, digest = _beginning(part, file.size)
        if have and have == file.size:
            return digest.hexdigest()
        request = _request(url)
        if have:
            request.add_header("Range", f"bytes={have}-")
        try:
            answer = self._opener.open(request, timeout=self.patience.silent)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # there is no more of it than we have: either this is all, or it is something else
                return digest.hexdigest()
            raise
        with answer:
            start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
            if have and (answer.status != 206 or not start or int(start[1]) != have):
                have, digest = 0, hashlib.sha256()
            length = answer.headers.get("Content-Length") or ""
            end = have + int(length) if length.isdigit() else None
            if file.size is not None and end is not None and end != file.size:
                raise _Useless(f"it has {end} bytes, not {file.size}")
            pace = _Pace(self, _site(url), limited=not patient)
            with part.open("r+b" if have else "wb", buffering=0) as out:  # what came stays, whoever is killed
                out.seek(have)
                while piece := answer.read1(_PIECE):
                    if self._stopped.is_set():
                        raise Stopped("it is no longer wanted")
                    _write(out, piece)
                    digest.update(piece)
                    have += len(piece)
                    pace.count(len(piece))
                    if self.told:
                        self.told(file.name, have, file.size or end)
        if end is not None and have < end:
            raise ConnectionResetError(errno.ECONNRESET, "the connection was cut off")
        return digest.hexdigest()

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        """Proxies are the environment's; certificates are checked against Python's authorities and the system's."""
        context = ssl.create_default_context()
        for path in _AUTHORITIES:
            with suppress(OSError):
                context.load_verify_locations(path)
        return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Proxies())

    def add_received(self, site: str, count: int) -> int:
        """Count what came from a site; returns how much that is by now, of all files."""
        with self._lock:
            self._received[site] += count
            return self._received[site]


class _Pace:
    """Notices when a site as a whole has become slow: a thin line shared by many files is not a slow mirror."""

    def __init__(self, downloader: Downloader, site: str, *, limited: bool) -> None:
        self._downloader = downloader
        self._site = site
        self._limited = limited
        self._begun = time.monotonic()
        self._at_first = downloader.add_received(site, 0)

    def count(self, received: int) -> None:
        """Count some bytes.

        Raises:
            _Slow: too few came for too long.
        """
        total = self._downloader.add_received(self._site, received)
        patience = self._downloader.patience
        seconds = time.monotonic() - self._begun
        if not self._limited or seconds < patience.window:
            return
        rate = (total - self._at_first) / seconds
        if rate < patience.slow:
            raise _Slow(f"too slow, {rate / 1000:.1f} kB/s")
        self._begun, self._at_first = time.monotonic(), total


class _Proxies(urllib.request.ProxyHandler):
    """The environment's proxies, but never for this host itself: there fleetenv's own server listens."""

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> object:  # noqa: A002  # its own name
        if urlsplit(req.full_url).hostname in ("127.0.0.1", "localhost"):
            return None
        return super().proxy_open(req, proxy, type)


def shown(url: str) -> str:
    """Return a URL as it may be shown to people: without passwords and tokens."""
    return without_credentials(url)


def _site(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _request(url: str) -> urllib.request.Request:
    """Ask for a URL, with the user and password that stand in it, or in `~/.netrc`; no other site is told those."""
    scheme, netloc, path, query, _ = urlsplit(url)
    account, _, address = netloc.rpartition("@")
    request = urllib.request.Request(  # noqa: S310  # file:, http: and https: are what channels have
        urlunsplit((scheme, address, path, query, "")), headers={"User-Agent": "fleetenv"}
    )
    user, _, password = account.partition(":")
    if not account and scheme.startswith("http"):
        with suppress(OSError, netrc.NetrcParseError):
            found = netrc.netrc().authenticators(urlsplit(url).hostname or "")
            user, _, password = (found[0] or "", "", found[2] or "") if found else ("", "", "")
    if user:
        word = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {word}")
    return request


def _beginning(part: Path, size: int | None) -> tuple[int, hashlib._Hash]:
    """Return how much of a file has come already, and the digest of that; nothing, when it is too long."""
    digest, have = hashlib.sha256(), 0
    with suppress(FileNotFoundError), part.open("rb") as content:
        while piece := content.read(1 << 20):
            digest.update(piece)
            have += len(piece)
    return (have, digest) if size is None or have <= size else (0, hashlib.sha256())


def _write(out: RawIOBase, piece: bytes) -> None:
    """Write all of a piece: the last write before a disk is full does only a part."""
    rest = memoryview(piece)
    while rest:
        rest = rest[out.write(rest) or 0 :]


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # as Path.stat, for each piece of a file
    except FileNotFoundError:
        return 0


def _why(error: Exception, patience: Patience) -> str:
    """Say in a few words why a source gave nothing."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer for {patience.silent:g} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__
