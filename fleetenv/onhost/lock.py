"""The lock around all that is changed in a Miniconda's environments, also where several hosts share its disk.

PREFIX/envs/.fleetenv/lock        flock: ends with the last process that has it, however that process ends
PREFIX/envs/.fleetenv/lock.held   who holds it: only one can make it, also where flock holds on one host only

flock means nothing between the hosts of an NFS that is mounted with local locks, and may not be there at all
(ENOLCK). So the second file counts, too; its time is renewed while it is held. One that is not renewed any more was
left by a host that died.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE = 120.0
_RENEWAL = 15.0  # seconds between two signs of life
_DRAFT = ".new"
_MOST = 4096  # bytes that are read of what another process wrote
_TEXT = 200  # characters of each of its parts that are shown


@dataclass(frozen=True)
class Holder:
    """Who holds the lock."""

    who: str  # user@controller
    what: str  # 'building nlp_train'
    host: str
    process: int
    boot: str  # the host's kernel, since it was booted
    since: float
    token: str  # of this one time

    @classmethod
    def this_process(cls, who: str, what: str) -> Holder:
        """Describe this process."""
        host, token = socket.gethostname(), secrets.token_hex(8)
        return cls(who or "somebody", what, host, os.getpid(), _boot(), time.time(), token)

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"{self.who}: {self.what}, since {since}, process {self.process} on {self.host}"


class Lock:
    """The lock of a folder, `PREFIX/envs/.fleetenv`.

    Args:
        folder: The folder.
        holder: Who wants it.
        lease: Seconds without a sign of life, after which a holder on another host counts as dead.
    """

    def __init__(self, folder: Path, holder: Holder, lease: float = LEASE) -> None:
        self.holder = holder
        self._lease = lease
        self._flock = folder / "lock"
        self._claim = folder / "lock.held"
        self._released = threading.Event()
        self._watched: tuple[bytes, int] = (b"", 0)
        self._watched_since = 0.0

    @contextmanager
    def held(self, wait: float) -> Iterator[None]:
        """Hold it. Programs started meanwhile share it, so it outlives a builder that is killed.

        Args:
            wait: Seconds to wait for another holder.

        Raises:
            Failure: somebody else still has it; says who.
        """
        with self._flock.open("a") as file:
            try:
                self._acquire(file.fileno(), wait)
            finally:
                for draft in self._claim.parent.glob(f".{self._claim.name}-*{_DRAFT}"):
                    draft.unlink(missing_ok=True)  # who waits writes another one
            os.set_inheritable(file.fileno(), True)
            renewal = threading.Thread(target=self._renew, daemon=True)
            renewal.start()
            try:
                yield
            finally:
                self._released.set()
                renewal.join()
                if self._is_ours():
                    self._claim.unlink(missing_ok=True)

    def check(self) -> None:
        """See that it is still held, before what cannot be taken back.

        Raises:
            Failure: this process stood still for so long that another one has taken it.
        """
        if not self._is_ours():
            other = read(self._claim) or "another fleetenv"
            raise Failure(f"this host stood still, and the lock was taken over ({other}); nothing was switched")

    def _acquire(self, descriptor: int, wait: float) -> None:
        end = time.monotonic() + wait
        told = False
        while True:
            flock = _try_flock(descriptor)
            if flock is not False and self._try_claim(alone_here=flock is True):
                return
            holder = read(self._claim)
            if time.monotonic() >= end:
                raise Failure(f"{self._flock.parent.parent} is being changed by {holder or 'another fleetenv'}")
            if holder and not told:
                sys.stderr.write(f"fleetenv-progress 0 1 waiting for {' '.join(str(holder).split())}\n")
                sys.stderr.flush()
                told = True
            time.sleep(min(0.2, max(end - time.monotonic(), 0.01)))  # neither of the two has a timeout of its own

    def _try_claim(self, *, alone_here: bool) -> bool:
        """Try to be the one whom the file names; `alone_here`: flock says that no process of this host has it."""
        try:
            self._claim_at_once()
        except FileExistsError:
            return self._remove_stale(alone_here=alone_here) and self._try_claim(alone_here=alone_here)
        return True

    def _claim_at_once(self) -> None:
        """Make the file with all that it says, so that nobody finds it half written, however this process ends.

        Raises:
            FileExistsError: it is there.
        """
        text = json.dumps(asdict(self.holder))
        draft = self._claim.with_name(f".{self._claim.name}-{self.holder.token}{_DRAFT}")
        draft.write_text(text, encoding="utf-8")
        try:
            os.link(draft, self._claim)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, or one who got the lock has just removed the draft
            with self._claim.open("x", encoding="utf-8") as file:
                file.write(text)

    def _remove_stale(self, *, alone_here: bool) -> bool:
        """Remove the file of a holder that is dead: of this very host, or without a sign of life for too long."""
        try:
            seen = (self._claim.read_bytes()[:_MOST], self._claim.stat().st_mtime_ns)
        except FileNotFoundError:
            return True
        if seen != self._watched:
            self._watched, self._watched_since = seen, time.monotonic()
        holder = _parse(seen[0])
        dead = alone_here and holder is not None and holder.boot == self.holder.boot
        if not dead and time.monotonic() - self._watched_since < self._lease:
            return False
        aside = self._claim.with_name(f".{self._claim.name}-{self.holder.token}.old")
        with suppress(FileNotFoundError):
            self._claim.rename(aside)
            if aside.read_bytes()[:_MOST] != seen[0]:  # another one was quicker: this is the claim of a living holder
                with suppress(OSError):
                    os.link(aside, self._claim)
            aside.unlink()
        return True

    def _is_ours(self) -> bool:
        holder = read(self._claim)
        return holder is not None and holder.token == self.holder.token

    def _renew(self) -> None:
        while not self._released.wait(_RENEWAL):
            with suppress(OSError):
                if self._is_ours():
                    os.utime(self._claim)


def holder_of(folder: Path) -> Holder | None:
    """Tell who holds the lock of a folder now, without changing anything."""
    holder = read(folder / "lock.held")
    if holder is None or holder.boot != _boot():
        return holder
    try:
        with (folder / "lock").open("rb") as file:
            return None if _try_flock(file.fileno()) else holder
    except OSError:
        return holder


def read(claim: Path) -> Holder | None:
    """Read who holds a lock; None when nobody does, or what is written there is not understood."""
    try:
        with claim.open("rb") as file:
            return _parse(file.read(_MOST))
    except OSError:
        return None


def _parse(data: bytes) -> Holder | None:
    try:
        said = json.loads(data)
        texts = [str(said[name])[:_TEXT] for name in ("who", "what", "host", "boot", "token")]
        who, what, host, boot, token = texts
        return Holder(who, what, host, int(said["process"]), boot, float(said["since"]), token)
    except (ValueError, KeyError, TypeError):
        return None


def _try_flock(descriptor: int) -> bool | None:
    """Try to lock a file for this host: whether it was; None where the file system cannot."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # ENOLCK, ENOSYS, EOPNOTSUPP, EBADF: some network file systems
        return None
    return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()
