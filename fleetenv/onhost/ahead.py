"""Building environments ahead of their turn: while one is compiled, checked or filled by pip, the next is installed.

Each environment that a play builds after this one gets a process of its own, started when the one before has installed
its conda packages, which takes all of the host. What it leaves is a generation that is still to be tried and switched
to: that comes at its own turn, when a builder finds it, so that what tries it has the host for itself, and never runs
for nothing. Whatever goes wrong ahead is passed over: the environment is then built at its turn, and what is wrong is
told there.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import access, seals
from .arrivals import Wanted
from .generations import STAMP, Generations, flush, remove
from .report import Failure, Progress
from .standing import left_behind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, TracebackType

    from .request import Request

_MARK = "conda-meta/.fleetenv-ahead"  # of a generation that waits for its turn: what was asked for, and what to tell
_NOT_MEANT = ("keep", "seen", "runtime", "runtime_sha256", "who", "lock_timeout", "coming")
_MOST = 3  # that are begun with one; pip, and commands that try an environment, may need much memory
_FRESH = 3600.0  # seconds; what waited for longer was left by a run that was ended
_GRACE = 10  # seconds to remove what was begun, once it is to end
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass
class Following:
    """The environments that come after one that is being built.

    Args:
        requests: What they are to be, in their order; none, where nothing can be done ahead.
        offered: As [`Supply`][] has it.
        before: A pipe that ends when the environment before this one has byte-code to share.
    """

    requests: Sequence[Request]
    offered: str | None
    before: int | None = None
    _process: int | None = None
    _shares: int | None = None  # the other end of `before` of the next

    def begin(self) -> None:
        """Begin to build the next one that is not there yet: this one has no need of the whole host any more."""
        coming = [each for each in self.requests if not _is_there(each)][:_MOST]
        if self._process is not None or not coming:
            return
        reading, self._shares = os.pipe()
        builder = os.getpid()
        self._process = os.fork()
        if not self._process:
            _end_with(builder)
            os.close(self._shares)
            status = 1
            try:
                silence = os.open(os.devnull, os.O_RDWR)
                for stream in range(3):
                    os.dup2(silence, stream)
                _build(coming[0], Following(coming[1:], self.offered, reading))
                status = 0
            finally:
                os._exit(status)
        os.close(reading)

    def wait_for_bytecode(self) -> None:
        """Wait until the one before has what it compiled in conda's cache: most packages are the same."""
        if self.before is not None:
            os.read(self.before, 1)
            os.close(self.before)
            self.before = None

    def has_bytecode(self) -> None:
        """Let the next one go on."""
        if self._shares is not None:
            os.close(self._shares)
            self._shares = None

    def __enter__(self) -> Following:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for those that were begun; after a failure they are ended instead."""
        self.has_bytecode()
        if self._process is None:
            return
        if error is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGTERM)
        else:
            Progress(1).doing("building those that follow")
        os.waitpid(self._process, 0)


def prepare(request: Request, generations: Generations, following: Following) -> tuple[Path, list[str]]:
    """Build a generation; returns it, and what is worth telling. It is still to be tried, given away and marked.

    Raises:
        Failure: it cannot be built, or does not work; nothing of it is left.
    """
    from .filling import fill  # here, because what was built ahead is switched to without

    generation = generations.begin(request.digest)
    try:
        notes = fill(request, generation, following.offered, following)
    except BaseException as error:
        if isinstance(error, Failure) and not isinstance(error, Wanted):
            seals.break_all(generations.prefix / "pkgs")
        with suppress(OSError):
            remove(generation)
        raise
    return generation, notes


def prepared(request: Request, generations: Generations) -> tuple[Path, list[str]] | None:
    """Return the generation that was built ahead for just this request, and what is worth telling."""
    for _, path in reversed(generations.numbered()):
        with suppress(OSError, ValueError, KeyError):
            said = json.loads((path / _MARK).read_text(encoding="utf-8"))
            fresh = time.time() - (path / _MARK).stat().st_mtime < _FRESH
            if fresh and said["meaning"] == _meaning(request) and not generations.is_whole(path):
                return path, [str(note) for note in said["notes"]]
    return None


def take(generation: Path) -> None:
    """Make a generation that was built ahead like any other one."""
    (generation / _MARK).unlink(missing_ok=True)


def _build(request: Request, following: Following) -> None:
    """Build one ahead; its own followers, too."""
    access.known(request.owner, request.group, request.mode)
    generations = Generations(Path(request.prefix), request.name)
    generations.folder.mkdir(parents=True, exist_ok=True)
    generations.clean_unfinished()
    with following:
        generation, notes = prepare(request, generations, following)
        flush(generation)
        (generation / _MARK).write_text(json.dumps({"meaning": _meaning(request), "notes": notes}), encoding="utf-8")


def _is_there(request: Request) -> bool:
    """Whether an environment is what is asked for, as far as names tell; or waits to be switched to."""
    generations = Generations(Path(request.prefix), request.name)
    current = generations.current()
    finished = current is not None and current.name.endswith(f"-{request.digest}") and (current / STAMP).is_file()
    return finished or any(left_behind(request, generations)) or prepared(request, generations) is not None


def _meaning(request: Request) -> str:
    """Return what is the same when a generation that was built for one request will do for another."""
    said = {name: value for name, value in asdict(request).items() if name not in _NOT_MEANT}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _end_with(parent: int) -> None:
    """Be asked to end when the process ends that has started this one, however that happens."""
    import ctypes  # as in generations

    os.setpgid(0, 0)  # with all programs that this one starts
    signal.signal(signal.SIGTERM, _end)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was quicker
        os._exit(1)


def _end(number: int, frame: FrameType | None) -> None:
    """End what this process has started, and remove what it was building."""
    signal.signal(number, signal.SIG_IGN)
    signal.alarm(_GRACE)
    os.killpg(0, number)
    sys.exit(1)
