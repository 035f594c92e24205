"""Builds an environment on this host, as a new generation beside the present one, and switches to it when it works.

Runs on Miniconda's own Python (3.10 or newer) with py-rattler from a folder of fleetenv's. The request comes as JSON
on standard input: the lock holds everything that decides about packages. A builder that is killed at any moment leaves
the present environment as it was, and nothing that the next one does not remove.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fleetenv.errors import InputError

from . import access, trial
from .ahead import Following, prepare, prepared, take
from .arrivals import UNREACHABLE, Wanted, offered
from .generations import STAMP, Generations, flush, remove
from .places import register
from .report import Failure
from .request import Request
from .runtime import use_runtime
from .standing import standing

if TYPE_CHECKING:
    from types import FrameType

    from .access import Access
    from .lock import Lock


def main() -> int:
    """Do what standard input asks for; one line on standard error when it cannot be done."""
    os.umask(0o022)  # other users of the host run these environments
    signal.signal(signal.SIGTERM, _end)
    try:
        request = Request(**json.load(sys.stdin))
    except ValueError:
        sys.stderr.write("the connection was lost before all of the request had come\n")
        return 1
    try:
        notes = build(request) if request.action == "build" else remove_environment(request)
    except Wanted as wanted:
        sys.stdout.write(wanted.lines)
        sys.stderr.write(f"{wanted}\n")
        return UNREACHABLE
    except (Failure, InputError) as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{_os_error(error, request)}\n")
        return 1
    for note in notes:
        sys.stdout.write(f"fleetenv-note {note}\n")
    return 0


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End what was begun: commands that try an environment have a session of their own, that nobody else knows."""
    sys.exit(128 + number)


def build(request: Request) -> list[str]:
    """Build a generation and switch to it; returns what is worth telling."""
    generations = Generations(Path(request.prefix), request.name)
    wanted = access.known(request.owner, request.group, request.mode)
    files = offered(request.via)
    with generations.locked(request.who, f"building {request.name}", request.lock_timeout) as lock:
        ready = prepared(request, generations)
        generations.clean_unfinished(but=ready[0] if ready else None)
        present = generations.current()
        if present and present.name != request.seen and present.name.endswith(f"-{request.digest}"):
            return [f"another fleetenv has built {present.name} meanwhile"]
        use_runtime(request)
        coming = [Request(**each) for each in request.coming] if files != "" else []  # type: ignore[arg-type]  # as main
        with Following(coming, files) as following:
            left = standing(request, generations)
            if left or ready:
                following.begin()
            generation, notes = left or ready or prepare(request, generations, following)
            if left:
                generations.clean_unfinished()
                access.give(generation, wanted)
                notes = [f"{generation.name} was there already, and works", *notes]
                lock.check()
            else:
                _finish(request, generation, wanted, lock)
            generations.switch(generation)
            register(generations.link, registered=True)
            return notes + generations.remove_old(request.keep)


def remove_environment(request: Request) -> list[str]:
    """Remove an environment; returns what is worth telling."""
    generations = Generations(Path(request.prefix), request.name)
    with generations.locked(request.who, f"removing {request.name}", request.lock_timeout):
        notes = generations.remove_all()
        register(generations.link, registered=False)
        return notes


def _finish(request: Request, generation: Path, wanted: Access, lock: Lock) -> None:
    """Try a generation and mark it finished: all in it is on disk, and nothing in it is newer than the mark."""
    try:
        trial.run(request, generation)
        access.give(generation, wanted)
        take(generation)
        stamp = generation / STAMP
        draft = stamp.with_name(".fleetenv")
        draft.write_text(f"{request.digest}\n")
        now = draft.stat().st_mtime_ns
        for path in _newer(generation, draft):  # of a package built in the future
            os.utime(path, ns=(now, now), follow_symlinks=False)
        flush(generation)
        draft.rename(stamp)
        lock.check()
    except BaseException:
        with suppress(OSError):
            remove(generation)
        raise


def _newer(folder: Path, reference: Path) -> list[bytes]:
    """List what is newer than a file: `find` is three times as quick as we are, and there may be 100,000 files."""
    command = ["find", str(folder), "-newer", str(reference), "-print0"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.split(b"\0")[
        :-1
    ]


def _os_error(error: OSError, request: Request) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(request.prefix).free
        return f"the disk of {request.prefix} is full ({free / 1e6:.0f} MB free)"
    return f"{error.filename or request.prefix}: {error.strerror or error}"
