"""The byte-code of a generation: users who cannot write there would otherwise compile every module at each start.

A package that brings none is compiled once on a host. Its byte-code then lies in conda's cache with the package, for
each further environment to link, until the package goes: `pkgs/NAME/.../__pycache__`, and a list in `pkgs/NAME/info`.
The path in it is that of the first environment; Python puts the real one there as it loads it.
"""

from __future__ import annotations

import os
import stat
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_HEADER = 16  # bytes of a .pyc before its code: magic number, flags, the source's time and size (PEP 552)
_END = "whole\n"  # the last line of a list
_AT_ONCE = 250  # modules that are worth a process
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH

# For any Python 3, the generation's own: what `compileall` does with a list of paths, without what that does besides.
# Trees of syntax are many and no garbage. Byte-code is renamed to its place when it is whole.
_COMPILE = """\
import gc, marshal, os, sys
from importlib.util import MAGIC_NUMBER, cache_from_source
gc.disable()
for path in os.fsdecode(sys.stdin.buffer.read()).splitlines():
    try:
        with open(path, "rb") as file:
            source, found = file.read(), os.fstat(file.fileno())
        code = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
        place = cache_from_source(path)
        draft = "%s.%d" % (place, os.getpid())
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT, found.st_mode & 0o644 | 0o200), "wb") as file:
            numbers = [0] * (sys.version_info >= (3, 7)) + [int(found.st_mtime), found.st_size]  # PEP 552
            file.write(MAGIC_NUMBER + b"".join((each & 0xFFFFFFFF).to_bytes(4, "little") for each in numbers) + code)
        os.replace(draft, place)
    except Exception:
        pass  # packages ship some that do not compile, for one reason or another
"""


@dataclass(frozen=True)
class Package:
    """A package in conda's cache, from which a generation has files."""

    folder: str
    noarch: bool  # its modules are for any Python 3


@dataclass(frozen=True)
class _Tree:
    """A package's modules: the same paths below two folders."""

    cached: str
    ours: str  # in the generation
    list: str  # of its modules that have no byte-code but ours: size and path below the folders

    def pair(self, path: str) -> tuple[str, str]:
        return f"{self.cached}/{path}", f"{self.ours}/{path}"


@dataclass(frozen=True)
class _List:
    """What is remembered of a package: a size that is not the file's own tells that a power cut has shortened it."""

    finished: int  # ns
    modules: list[tuple[int, str]]  # bytes of its byte-code, path


@dataclass
class Bytecode:
    """Compiles what a generation lacks.

    Args:
        generation: What is being built.
        lib: Its `lib/python3.N`.
    """

    generation: Path
    lib: Path
    _listed: dict[_Tree, list[str]] = field(default_factory=dict)  # what is to be remembered of packages

    @contextmanager
    def of_packages(self, packages: Iterable[Package]) -> Iterator[None]:
        """See that all modules of packages have byte-code, while something else is being done.

        Files that do not compile are left: packages ship some on purpose.
        """
        with self._compiling([path for tree in map(self._tree, packages) for path in self._lacking(tree)]):
            yield

    @contextmanager
    def of_all(self) -> Iterator[None]:
        """See that all modules which are there have byte-code, whoever brought them; else as [`of_packages`][]."""
        lib = str(self.lib)
        with self._compiling([f"{lib}/{path}" for path in _without(lib, lib, self._tag)]):
            yield

    def keep(self) -> bool:
        """Put what was compiled of packages beside them; tells whether there was any such package."""
        for tree, paths in self._listed.items():
            with suppress(OSError):  # it is removed, or belongs to somebody else
                lines = [f"{self._keep(tree, path)} {path}\n" for path in paths]
                draft = f"{tree.list}.{os.getpid()}"
                with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
                    file.writelines([*lines, _END])
                os.replace(draft, tree.list)  # noqa: PTH105
        return bool(self._listed)

    def _keep(self, tree: _Tree, path: str) -> int:
        """Keep one module's byte-code; returns its size in bytes, 0 when there is none to be shared."""
        theirs, ours = tree.pair(_bytecode(path, self._tag))
        if not _same(*tree.pair(path)) or not os.path.exists(ours):  # noqa: PTH110
            return 0
        if not os.path.lexists(theirs):  # else it is what the package brought
            _link(ours, theirs)
        return os.stat(ours).st_size  # noqa: PTH116

    @property
    def _tag(self) -> str:
        return f"cpython-{self.lib.name.removeprefix('python').replace('.', '')}"

    def _tree(self, package: Package) -> _Tree:
        lib = f"lib/{self.lib.name}"
        below = "site-packages" if package.noarch else lib
        ours = f"{lib}/site-packages" if package.noarch else lib
        listed = f"{package.folder}/info/fleetenv-{self._tag}"
        return _Tree(f"{package.folder}/{below}", f"{self.generation}/{ours}", listed)

    def _lacking(self, tree: _Tree) -> Iterator[str]:
        """Link what was compiled before; yield the modules of the generation that remain."""
        known = _read(tree.list)
        if known:
            for size, path in known.modules:
                if not self._link_cached(tree, path, size, known.finished):
                    yield tree.pair(path)[1]
            return
        paths = [path for path in _without(tree.cached, tree.ours, self._tag) if "\n" not in path]
        self._listed[tree] = paths
        yield from (tree.pair(path)[1] for path in paths)

    def _link_cached(self, tree: _Tree, path: str, size: int, finished: int) -> bool:
        """Link a package's byte-code, unless somebody has touched it since it was finished."""
        cached, ours = tree.pair(_bytecode(path, self._tag))
        try:
            usable = (
                _same(*tree.pair(path)) and _is_ours(cached, size, finished) and _belongs(cached, tree.pair(path)[0])
            )
            if usable:
                _link(cached, ours)
        except OSError:  # it did not compile, or this file system has no more links
            return False
        return usable

    @contextmanager
    def _compiling(self, paths: list[str]) -> Iterator[None]:
        running = self._compile([path for path in paths if "\n" not in path])
        try:
            yield
        except BaseException:
            for process in running:  # nothing is to be written into what will be removed
                process.kill()
            raise
        finally:
            for process in running:
                process.wait()

    def _compile(self, paths: list[str]) -> list[subprocess.Popen[bytes]]:
        """Begin to compile modules with the generation's own Python, in as many processes as are worth it."""
        processes = min(len(os.sched_getaffinity(0)), -(-len(paths) // _AT_ONCE))
        command = [str(self.generation / "bin" / "python"), "-I", "-S", "-W", "ignore", "-c", _COMPILE]
        running = []
        for number in range(processes):
            process = subprocess.Popen(
                command, cwd=self.generation, close_fds=False, stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            assert process.stdin
            with suppress(BrokenPipeError), process.stdin as stdin:  # it did not start: the check says why
                stdin.write(os.fsencode("".join(f"{path}\n" for path in paths[number::processes])))
            running.append(process)
        return running


def _without(top: str, generation: str, tag: str) -> Iterator[str]:
    """Find the modules below a folder for which a generation has no byte-code that is theirs."""
    folders = [""]
    for folder in folders:  # grows as it goes
        names = []
        try:
            entries = list(os.scandir(f"{top}/{folder}"))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    folders.append(f"{folder}{entry.name}/")
            elif entry.name.endswith(".py") and entry.is_file():
                names.append(f"{folder}{entry.name}")
        for path in names:
            if not _belongs(f"{generation}/{_bytecode(path, tag)}", f"{generation}/{path}"):
                yield path


def _bytecode(path: str, tag: str) -> str:
    """Return where Python keeps a module's byte-code."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def _belongs(bytecode: str, source: str) -> bool:
    """Whether this is the byte-code of a source, as Python itself would decide."""
    try:
        descriptor = os.open(bytecode, os.O_RDONLY)
        try:
            header = os.read(descriptor, _HEADER)
        finally:
            os.close(descriptor)
        found = os.stat(source)  # noqa: PTH116  # as all here: thousands of files
    except OSError:
        return False
    flags, when, size = (int.from_bytes(header[at : at + 4], "little") for at in (4, 8, 12))
    current = (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
    return len(header) == _HEADER and (flags != 0 or (when, size) == current)


def _same(first: str, second: str) -> bool:
    try:
        return os.path.samestat(os.stat(first), os.stat(second))  # noqa: PTH116
    except OSError:
        return False


def _is_ours(path: str, size: int | None = None, finished: int | None = None) -> bool:
    """Whether only root or this account can have written a file; of that size, and not after a time."""
    found = os.lstat(path)
    trusted = found.st_uid in (0, os.geteuid()) and stat.S_ISREG(found.st_mode) and not found.st_mode & _WRITABLE
    return trusted and size in (None, found.st_size) and (finished is None or found.st_mtime_ns <= finished)


def _read(path: str) -> _List | None:
    """Read which modules of a package have our byte-code only; None: it is not known."""
    try:
        if _is_ours(path):
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                *lines, end = file.readlines()
                pairs = (line.rstrip("\n").partition(" ") for line in lines)
                if end == _END:
                    return _List(os.fstat(file.fileno()).st_mtime_ns, [(int(size), name) for size, _, name in pairs])
    except (OSError, ValueError):
        pass
    return None


def _link(present: str, wanted: str) -> None:
    """Give a file another name, in place of what is there."""
    try:
        os.link(present, wanted)
    except FileNotFoundError:
        os.mkdir(os.path.dirname(wanted))  # noqa: PTH102, PTH120
        os.link(present, wanted)
    except FileExistsError:
        os.unlink(wanted)  # noqa: PTH108
        os.link(present, wanted)
