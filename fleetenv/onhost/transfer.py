"""One file's way from one source, as urllib speaks with it: imported by those that really download something."""

from __future__ import annotations

import errno
import hashlib
import netrc
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import suppress
from functools import cache, partial
from http.client import HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse
    from io import RawIOBase
    from pathlib import Path

    from .download import Patience, RemoteFile

_PIECE = 256 * 1024
_LARGEST_PAGE = 64 << 20  # bytes
_TRIES = 3  # in a row that bring nothing, before a source is given up that has no other beside it
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
_BUSY = (408, 429)  # the client errors of HTTP that may be over soon


class Useless(Exception):
    """The source has not got the file, or another one under its name."""


class Broken(Exception):
    """The source does not answer as it should."""


class Slow(Broken):
    """The source takes too long, while there are others."""


class Stopped(Failure):
    """Nobody wants the file any more."""


class Transfer:
    """Brings one file from one source.

    Args:
        url: The source.
        file: What it should be.
        part: Where it goes. What is there already counts as its beginning.
        patience: How long it may take.
        alone: Whether there is no other source, so that this one is tried again, and may be slow.
        stopped: Set when nobody wants it any more.
        received: Told how many bytes came; returns how many that are by now, of all files from this site.
        told: Told how many bytes of the file are there, and how many it has, if that is known.
    """

    def __init__(
        self,
        url: str,
        file: RemoteFile,
        part: Path,
        patience: Patience,
        *,
        alone: bool,
        stopped: threading.Event,
        received: Callable[[int], int],
        told: Callable[[int, int | None], None],
    ) -> None:
        self._url = url
        self._file = file
        self._part = part
        self._patience = patience
        self._alone = alone
        self._stopped = stopped
        self._received = received
        self._told = told

    def run(self) -> None:
        """Transfer the file, going on where the connection was cut as long as each new one brings more.

        Raises:
            Useless: this source cannot have it.
            Broken: it does not give it now.
            OSError: the file cannot be written.
        """
        tries = 0
        while True:
            before = size(self._part)
            try:
                found = self._go_on()
            except Slow:
                raise
            except Broken:
                tries = 0 if size(self._part) > before else tries + 1
                if tries >= (_TRIES if self._alone else 1):
                    raise
                if self._stopped.wait(self._patience.pause * 2**tries):
                    raise Stopped("it is no longer wanted") from None
                continue
            if found == self._file.sha256:
                return
            self._part.unlink()
            if not before:
                raise Useless(f"it has sha256 {found[:12]}..., not {self._file.sha256[:12]}...")
            # it may be the beginning that is wrong, from another source: once more, from the start

    def _go_on(self) -> str:
        """Add what the file lacks; returns the sha256 of all of it."""
        have, digest = beginning(self._part, self._file.size)
        if have and have == self._file.size:
            return digest.hexdigest()
        answer = self._ask(have)
        if answer is None:  # there is no more of it than we have: either this is all, or it is something else
            return digest.hexdigest()
        with answer:
            start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
            if have and (answer.status != 206 or not start or int(start[1]) != have):
                have, digest = 0, hashlib.sha256()
            length = answer.headers.get("Content-Length") or ""
            end = have + int(length) if length.isdigit() else None
            if self._file.size is not None and end is not None and end != self._file.size:
                raise Useless(f"it has {end} bytes, not {self._file.size}")
            pace = _Pace(self._patience, self._received, limited=not self._alone)
            with self._part.open("r+b" if have else "wb", buffering=0) as out:  # what came stays, whoever is killed
                out.seek(have)
                while piece := self._read(answer):
                    _write(out, piece)
                    digest.update(piece)
                    have += len(piece)
                    pace.count(len(piece))
                    self._told(have, self._file.size or end)
        if end is not None and have < end:
            raise Broken("the connection was cut off")
        return digest.hexdigest()

    def _ask(self, have: int) -> HTTPResponse | None:
        """Ask for what comes after the first bytes; None: nothing does."""
        return _asked(_request(self._url, have), self._patience.silent)

    def _read(self, answer: HTTPResponse) -> bytes:
        if self._stopped.is_set():
            raise Stopped("it is no longer wanted")
        try:
            return answer.read1(_PIECE)
        except (OSError, HTTPException) as error:
            raise _broken(error, self._patience.silent) from error


def page_at(url: str, timeout: float) -> tuple[str, str]:
    """Return the text of a page, and its URL in the end; `timeout` is in seconds.

    Raises:
        Useless: there is none.
        Broken: its site does not answer as it should.
    """
    answer = _asked(_request(url, 0), timeout)
    if answer is None:
        raise Useless("HTTP 416")
    with answer:
        try:
            return answer.read(_LARGEST_PAGE).decode("utf-8", "replace"), answer.geturl()
        except (OSError, HTTPException) as error:
            raise _broken(error, timeout) from error


def _asked(request: urllib.request.Request, timeout: float) -> HTTPResponse | None:
    """Return the answer to a request; None: there is nothing after the bytes that we have."""
    try:
        answer: HTTPResponse = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return None
        why = f"HTTP {error.code} {error.reason}"
        raise (Broken(why) if error.code >= 500 or error.code in _BUSY else Useless(why)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _broken(error, timeout) from error
    return answer


def _broken(error: Exception, timeout: float) -> Broken:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return Broken(f"no answer for {timeout:g} s")
    if isinstance(reason, OSError) and reason.strerror:
        return Broken(reason.strerror)
    return Broken(str(reason) or type(reason).__name__)


class _Pace:
    """Notices when a site as a whole has become slow: a thin line shared by many files is not a slow mirror."""

    def __init__(self, patience: Patience, received: Callable[[int], int], *, limited: bool) -> None:
        self._patience = patience
        self._received = received
        self._limited = limited
        self._begun = time.monotonic()
        self._at_first = received(0)

    def count(self, count: int) -> None:
        """Count some bytes.

        Raises:
            Slow: too few came for too long.
        """
        total = self._received(count)
        seconds = time.monotonic() - self._begun
        if not self._limited or seconds < self._patience.window:
            return
        rate = (total - self._at_first) / seconds
        if rate < self._patience.slow:
            raise Slow(f"too slow, {rate / 1000:.1f} kB/s")
        self._begun, self._at_first = time.monotonic(), total


class _Proxies(urllib.request.ProxyHandler):
    """The environment's proxies, but never for this host itself: there fleetenv's own server listens."""

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> HTTPResponse | None:  # noqa: A002
        if urlsplit(req.full_url).hostname in ("127.0.0.1", "localhost"):
            return None
        answer: HTTPResponse | None = super().proxy_open(req, proxy, type)
        return answer


class _Https(urllib.request.HTTPSHandler):
    """Reads authorities, which takes 50 ms, when first an https: URL is asked for, and once for all threads."""

    _reading = threading.Lock()

    def __init__(self) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)  # HTTPSHandler's own reads them at once

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        with self._reading:
            context = _authorities()
        return self.do_open(partial(HTTPSConnection, context=context), req)


@cache
def _authorities() -> ssl.SSLContext:
    """Python's authorities, and the system's."""
    context = ssl.create_default_context()
    for path in _AUTHORITIES:
        with suppress(OSError):
            context.load_verify_locations(path)
    return context


@cache
def _opener() -> urllib.request.OpenerDirector:
    """Proxies are the environment's."""
    return urllib.request.build_opener(_Https(), _Proxies())


def _request(url: str, have: int) -> urllib.request.Request:
    """Ask for a URL, with the user and password that stand in it, or in `~/.netrc`; no other site is told those."""
    scheme, netloc, path, query, _ = urlsplit(url)
    account, _, address = netloc.rpartition("@")
    request = urllib.request.Request(  # noqa: S310  # file:, http: and https: are what channels have
        urlunsplit((scheme, address, path, query, "")), headers={"User-Agent": "fleetenv"}
    )
    if have:
        request.add_header("Range", f"bytes={have}-")
    user, _, password = account.partition(":")
    if not account and scheme.startswith("http"):
        with suppress(OSError, netrc.NetrcParseError):
            found = netrc.netrc().authenticators(urlsplit(url).hostname or "")
            user, _, password = (found[0] or "", "", found[2] or "") if found else ("", "", "")
    if user:
        word = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {word}")
    return request


def beginning(part: Path, most: int | None) -> tuple[int, hashlib._Hash]:
    """Return how many bytes of a file are there, and the digest of those; nothing, when they are more than `most`."""
    digest, have = hashlib.sha256(), 0
    with suppress(FileNotFoundError), part.open("rb") as content:
        while piece := content.read(1 << 20):
            digest.update(piece)
            have += len(piece)
    return (have, digest) if most is None or have <= most else (0, hashlib.sha256())


def size(path: Path) -> int:
    """Return how many bytes are there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(out: RawIOBase, piece: bytes) -> None:
    """Write all of a piece: the last write before a disk is full does only a part.

    Raises:
        OSError: there is no more room, or something is wrong with the disk.
    """
    rest = memoryview(piece)
    while rest:
        written = out.write(rest)
        if not written:
            raise OSError(errno.EIO, "nothing could be written")
        rest = rest[written:]
