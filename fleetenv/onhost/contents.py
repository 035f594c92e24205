"""An environment's files compared with what its packages brought: which are missing, changed, or overwritten by pip."""

from __future__ import annotations

import hashlib
import os
import random
import stat
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import interpreter
from .records import File, Package, conda_packages, pip_packages, same_project
from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_SAMPLE = 200  # files whose hash is looked at after each build; the package cache was checked before
_SAMPLE_SIZE = 4_000_000  # bytes of the largest of them
_BLOCK = 1 << 20  # bytes
_AT_ONCE = 8  # files that are read at the same time, at most


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    kind: str  # overwritten | changed | missing | added | owner
    path: str  # below the environment
    package: str  # that owns the file; empty: none
    detail: str


class Contents:
    """An environment's packages, and which of them owns which file."""

    def __init__(self, environment: Path) -> None:
        self.environment = str(environment)
        self.packages: list[Package] = [*conda_packages(environment), *pip_packages(environment)]
        self.conda: dict[str, list[File]] = {}  # more than one where packages clash
        self.pip: dict[str, list[File]] = {}
        for package in self.packages:
            owned = self.pip if package.record.endswith("/RECORD") else self.conda
            for file in package.files:
                owned.setdefault(file.path, []).append(file)

    @property
    def paths(self) -> Collection[str]:
        """All files that packages own."""
        return self.conda.keys() | self.pip.keys()

    def owner(self, path: str) -> str:
        """Name the package that owns a file; empty text for none."""
        owners = self.conda.get(path) or self.pip.get(path)
        return owners[0].package if owners else ""

    def compared(self) -> Iterator[Finding]:
        """Compare each file's size and content with its package's."""
        paths = [path for path in self.paths if not _is_bytecode(path)]
        with ThreadPoolExecutor(min(_AT_ONCE, len(os.sched_getaffinity(0)))) as threads:
            yield from filter(None, threads.map(lambda path: self._fault(path, content=True), paths, chunksize=64))

    def compared_in_part(self, chosen: Iterable[str]) -> Iterator[Finding]:
        """Compare each file's size with its package's, and the content of the chosen ones."""
        content = set(chosen)
        paths = (path for path in self.paths if not _is_bytecode(path))
        yield from filter(None, (self._fault(path, content=path in content) for path in paths))

    def _fault(self, path: str, *, content: bool) -> Finding | None:
        conda, pip = self.conda.get(path, []), self.pip.get(path, [])
        place = f"{self.environment}/{path}"  # text: paths are slow, and there are tens of thousands
        kind = _difference(place, conda or pip, content=content)
        if kind is None or (kind == "changed" and _is_our_mark(place)):
            return None
        package = self.owner(path)
        if conda and pip and _difference(place, pip, content=True) is None:
            return Finding("overwritten", path, package, f"by {pip[0].package}")
        if conda and kind == "missing":
            for other in self.packages:
                if other.record.endswith("/RECORD") and same_project(other.name, package.partition(" ")[0]):
                    return Finding("overwritten", path, package, f"removed when {other} was installed")
        return Finding(kind, path, package, "not what the package brought" if kind == "changed" else "")


def check(generation: Path, lib: Path | None, *, full: bool) -> list[str]:
    """See before a switch that all files are there, and have the right hashes: all, or a sample.

    Returns:
        What to tell: conda's files over which pip's packages have written.

    Raises:
        Failure: a file is missing, or not what its package brought.
    """
    contents = Contents(generation)
    if full:
        found = list(contents.compared())
    else:
        small = [path for path, owners in contents.conda.items() if owners[0].size < _SAMPLE_SIZE]
        found = list(contents.compared_in_part(random.sample(small, min(_SAMPLE, len(small)))))
    bad = [each for each in found if each.kind != "overwritten"]
    if bad:
        more = f", and {len(bad) - 1} files more are not as they should be" if len(bad) > 1 else ""
        raise Failure(f"after building, {bad[0].path} of {bad[0].package} is {bad[0].kind}{more}")
    if lib and not (lib / "site-packages" / interpreter.PTH).is_file():
        raise Failure(f"after building, {interpreter.PTH} is missing")
    over = Counter((each.package, each.detail) for each in found)
    return [f"{count} file{'s' * (count > 1)} of {package} overwritten {by}" for (package, by), count in over.items()]


def _difference(path: str, owners: list[File], *, content: bool) -> str | None:
    """Tell how a file differs from what each of its owners brought; None when it is as one of them has it."""
    try:
        found = os.lstat(path)
        if not content and found.st_size == owners[0].size and stat.S_ISREG(found.st_mode) and not owners[0].link:
            return None  # as nearly always
        if all(owner.link for owner in owners):
            return None if not content or any(_link_is(path, owner) for owner in owners) else "changed"
        if stat.S_ISLNK(found.st_mode):  # of Python's program: see interpreter.pin
            found = os.stat(path)  # noqa: PTH116
        sizes = {owner.size for owner in owners}
        if -1 not in sizes and found.st_size not in sizes:
            return "changed"
        hashes = {owner.sha256 for owner in owners}
        return "changed" if content and "" not in hashes and _sha256(path) not in hashes else None
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "changed"  # a folder stands there, or it cannot be read


def _link_is(path: str, file: File) -> bool:
    """Whether a link is as recorded: py-rattler records the hash of its text, conda of what it leads to."""
    place = Path(path)
    if not file.sha256 or place.parent.name == "bin" or place.is_dir():  # bin: some are changed, see interpreter.pin
        return place.exists()
    text = os.readlink(path)  # noqa: PTH115
    return hashlib.sha256(os.fsencode(text)).hexdigest() == file.sha256 or _sha256(path) == file.sha256


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # tens of thousands of files
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _is_our_mark(path: str) -> bool:
    """Whether a build wrote this anew on purpose: who installed a distribution is then conda."""
    try:
        return path.endswith(".dist-info/INSTALLER") and Path(path).read_bytes() == b"conda\n"
    except OSError:
        return False


def _is_bytecode(path: str) -> bool:
    return path.endswith(".pyc") and "__pycache__/" in path
