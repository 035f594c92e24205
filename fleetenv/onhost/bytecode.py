"""The byte-code of a generation: users who cannot write there would otherwise compile every module at each start.

What another generation of this Miniconda has compiled already is shared. Two environments with the same package have
the same files, through conda's cache: a module that is the very same inode has the same byte-code, hard-linked too.
The path in it is the other generation's; Python puts the real one there as it loads it.
"""

from __future__ import annotations

import os
import stat
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .generations import STAMP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEADER = 16  # bytes of a .pyc before its code: magic number, flags, the source's time and size (PEP 552)
_AT_ONCE = 250  # modules that are worth a process


@dataclass(frozen=True)
class _Module:
    """A module whose byte-code is not there, by its path below the generation."""

    path: str
    bytecode: str
    found: os.stat_result


@contextmanager
def compiling(generation: Path, lib: Path, others: Iterable[Path]) -> Iterator[None]:
    """See that all modules which are there now have byte-code, while something else is being done.

    Files that do not compile are left: packages ship some on purpose.

    Args:
        generation: What is being built.
        lib: Its `lib/python3.N`.
        others: Finished generations, from which byte-code may be shared.
    """
    running = _begin(generation, lib, others)
    try:
        yield
    except BaseException:
        for process in running:  # nothing is to be written into what will be removed
            process.kill()
        raise
    finally:
        for process in running:
            process.wait()


def _begin(generation: Path, lib: Path, others: Iterable[Path]) -> list[subprocess.Popen[bytes]]:
    lacking = list(_lacking(generation, lib))
    for other in others:
        if not lacking:
            return []
        finished = os.stat(other / STAMP).st_mtime_ns  # noqa: PTH116  # as all below: thousands of files
        lacking = [module for module in lacking if not _share(module, generation, other, finished)]
    return _compile(generation, [str(generation / module.path) for module in lacking if "\n" not in module.path])


def _lacking(generation: Path, lib: Path) -> Iterator[_Module]:
    """Find the modules without byte-code that is theirs: most packages for one Python version bring it along."""
    tag = f"cpython-{lib.name.removeprefix('python').replace('.', '')}"
    folders = [str(lib.relative_to(generation))]
    for folder in folders:  # grows as it goes
        names = []
        for entry in os.scandir(generation / folder):
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    folders.append(f"{folder}/{entry.name}")
            elif entry.name.endswith(".py") and entry.is_file():
                names.append(entry.name)
        for name in names:
            bytecode = f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
            found = os.stat(generation / folder / name)  # noqa: PTH116
            if not _belongs(generation / bytecode, found):
                yield _Module(f"{folder}/{name}", bytecode, found)


def _belongs(bytecode: Path, source: os.stat_result) -> bool:
    """Whether this is the byte-code of a source, as Python itself would decide."""
    try:
        with open(bytecode, "rb", buffering=0) as file:  # noqa: PTH123
            header = file.read(_HEADER)
    except OSError:
        return False
    flags, when, size = (int.from_bytes(header[at : at + 4], "little") for at in (4, 8, 12))
    current = (int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
    return len(header) == _HEADER and (flags != 0 or (when, size) == current)


def _share(module: _Module, generation: Path, other: Path, finished: int) -> bool:
    """Link another generation's byte-code, unless it was written after that one was finished."""
    theirs, ours = other / module.bytecode, generation / module.bytecode
    try:
        if not os.path.samestat(os.stat(other / module.path), module.found):  # noqa: PTH116
            return False
        found = os.lstat(theirs)
        if found.st_mtime_ns > finished or not stat.S_ISREG(found.st_mode) or not _belongs(theirs, module.found):
            return False
        ours.parent.mkdir(exist_ok=True)
        ours.unlink(missing_ok=True)
        os.link(theirs, ours)
    except OSError:  # it does not have the module, or this file system has no more links
        return False
    return True


def _compile(generation: Path, paths: list[str]) -> list[subprocess.Popen[bytes]]:
    """Begin to compile modules with the generation's own Python, in as many processes as are worth it."""
    processes = min(len(os.sched_getaffinity(0)), -(-len(paths) // _AT_ONCE))
    command = [str(generation / "bin" / "python"), "-I", "-m", "compileall", "-q", "-q", "-i", "-"]
    running = []
    for number in range(processes):
        process = subprocess.Popen(
            command, cwd=generation, close_fds=False, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin
        with suppress(BrokenPipeError), process.stdin as stdin:  # it did not start: the check that follows says why
            stdin.write(os.fsencode("".join(f"{path}\n" for path in paths[number::processes])))
        running.append(process)
    return running
