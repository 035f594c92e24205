"""The generations of one environment on this host's disk: their places, the lock around them, switching, removing.

PREFIX/envs/NAME                          symbolic link to the current generation
PREFIX/envs/.fleetenv/NAME/0003-9f2c41aa  a generation: number, and what its lock's digest begins with
PREFIX/envs/.fleetenv/NAME/0002-by-hand   a plain folder that stood at PREFIX/envs/NAME before
PREFIX/envs/.fleetenv/lock                held while anything here is changed: see lock.py
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .lock import Holder, Lock
from .processes import Processes, told
from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP = (
    "conda-meta/fleetenv"  # the last file of a build: what lacks it is unfinished, what is newer was changed by hand
)
_BY_HAND = "by-hand"
_RENAME_EXCHANGE = 2  # linux/fs.h
_AT_FDCWD = -100


@dataclass(frozen=True)
class Generations:
    """The generations of the environment `name` of a Miniconda prefix."""

    prefix: Path
    name: str
    stamp: ClassVar[str] = STAMP

    @property
    def title(self) -> str:
        """What people call the environment."""
        return self.name

    @property
    def link(self) -> Path:
        """Where users find the environment."""
        return self.prefix / "envs" / self.name

    @property
    def folder(self) -> Path:
        """Where the generations lie."""
        return self.prefix / "envs" / ".fleetenv" / self.name

    @contextmanager
    def locked(self, who: str, what: str, wait: float) -> Iterator[Lock]:
        """Hold the lock of all that lies here; arguments as for [`Holder`][] and [`Lock.held`][]."""
        with hold(self.folder.parent, who, what, wait) as lock:
            self.folder.mkdir(exist_ok=True)
            yield lock

    def current(self) -> Path | None:
        """Return the generation that the environment is now, if it is one of ours."""
        target = self.pointed()
        return target if target is not None and target.is_dir() else None

    def pointed(self) -> Path | None:
        """Return where the environment's link leads, if that is a place of ours, whether something is there or not."""
        if not self.link.is_symlink():
            return None
        target = Path(os.path.normpath(self.link.parent / self.link.readlink()))
        return target if target.parent == self.folder else None

    def numbered(self) -> list[tuple[int, Path]]:
        """List the generations, oldest first."""
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            number = path.name.partition("-")[0]
            if number.isdecimal() and path.is_dir() and not path.is_symlink():
                found.append((int(number), path))
        return sorted(found)

    def whole(self) -> list[Path]:
        """List the generations that can be switched to, oldest first."""
        return [path for _, path in self.numbered() if self.is_whole(path)]

    def is_whole(self, generation: Path) -> bool:
        """Whether a generation was finished, or is a folder made by hand."""
        return generation.name.endswith(f"-{_BY_HAND}") or (generation / self.stamp).is_file()

    def unfinished(self) -> list[Path]:
        """List what a builder that was killed left behind."""
        current = self.current()
        left = []
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            ours = path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
            if not (ours and (self.is_whole(path) or path == current)):
                left.append(path)
        return left

    def begin(self, digest: str) -> Path:
        """Make the folder of a new generation; a folder made by hand that is to go aside gets the number before it."""
        newest = max((number for number, _ in self.numbered()), default=0)
        by_hand = self.link.exists() and not self.link.is_symlink()
        number = newest + (2 if by_hand else 1)
        path = self.folder / f"{number:04d}-{digest[:12]}"
        path.mkdir()
        return path

    def clean_unfinished(self, but: Path | None = None) -> None:
        """Remove what a builder that was killed left behind, but for what waits to be finished."""
        for path in self.unfinished():
            if path != but:
                remove(path)

    def switch(self, generation: Path) -> None:
        """Make a generation the current one, in one step; a plain folder in its place is kept as a generation."""
        if self.link.is_symlink() or not self.link.exists():
            draft = self.folder / f".switch-{os.getpid()}"
            draft.symlink_to(generation)
            draft.replace(self.link)
            return
        number = int(generation.name.partition("-")[0]) - 1
        aside = self.folder / f"{number:04d}-{_BY_HAND}"
        aside.symlink_to(generation)
        _exchange(aside, self.link)

    def old(self, keep: int) -> list[Path]:
        """List the generations beyond `keep`: the current one counts first, then the newest."""
        numbered = [path for _, path in self.numbered()]
        current = self.current()
        others = [path for path in numbered if path != current]
        return others[: max(len(numbered) - keep, 0)]

    def remove_old(self, keep: int) -> list[str]:
        """Remove all but `keep` generations; those that processes use stay. Returns what to tell of them."""
        return self._remove(self.old(keep))

    def remove_all(self) -> list[str]:
        """Remove the environment; generations that processes use stay on disk until a later run."""
        if self.link.is_symlink():
            self.link.unlink()
        elif self.link.exists():
            users = Processes(self.link).using(self.link)
            if users:
                raise Failure(f"{self.link} is in use by {told(users)}")
            self.folder.mkdir(parents=True, exist_ok=True)
            self.link.replace(self.folder / ".removed")
        self.clean_unfinished()
        notes = self._remove([path for _, path in self.numbered()])
        with suppress(OSError):  # something is still in use
            self.folder.rmdir()
        return notes

    def _remove(self, generations: list[Path]) -> list[str]:
        if not generations:
            return []
        processes = Processes(self.folder)
        used = {path: told(processes.using(path)) for path in generations}
        for path in generations:
            if not used[path]:
                remove(path)
        return [f"{path.name} stays: in use by {used[path]}" for path in generations if used[path]]


@contextmanager
def hold(folder: Path, who: str, what: str, wait: float) -> Iterator[Lock]:
    """Hold the lock of a folder of generations; other arguments as for [`Holder`][] and [`Lock.held`][]."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder, Holder.this_process(who, what))
    with lock.held(wait):
        yield lock


def every(prefix: Path) -> list[Generations]:
    """List the environments of a Miniconda prefix that have, or had, generations; by name."""
    folder = prefix / "envs" / ".fleetenv"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [Generations(prefix, name) for name in names if not name.startswith(".")]


def remove(path: Path) -> None:
    """Remove a file, link or folder; a folder loses its name first: half of one must not be taken for whole."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    doomed = path
    if not path.name.startswith("."):
        doomed = path.with_name(f".removed-{path.name}")
        if doomed.exists():
            shutil.rmtree(doomed)
        path.rename(doomed)
    shutil.rmtree(doomed)


def flush(folder: Path) -> None:
    """Write the folder's file system to disk: after a power cut no file of a marked generation is empty."""
    import ctypes  # here, as in `_exchange`

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None).syncfs(descriptor)  # os.sync would also wait for every other disk of the host
    finally:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> None:
    """Swap two names in one step where the file system can, else in two that are undone if the second fails."""
    import ctypes  # here, because a rollback starts without it in half the time

    libc = ctypes.CDLL(None, use_errno=True)
    renameat2 = getattr(libc, "renameat2", None)
    if renameat2 is not None:
        if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise OSError(code, os.strerror(code), str(second))
    spare = first.with_name(f".exchange-{os.getpid()}")
    first.rename(spare)
    second.rename(first)
    try:
        spare.rename(second)
    except OSError:
        first.rename(second)
        raise
