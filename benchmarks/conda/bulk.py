"""Simulated packages, so that an environment has as many files as a lab's: modules of the standard library, renamed.

Every second one is for any Python, and has to be compiled when it is installed; the others bring their byte-code, and
as many other files, as packages with libraries do. All are called simulated.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path

from benchmarks.conda.distributions import compiled
from fleetenv.lab.package import File, Package

_MODULES = 80  # in each
_OTHERS = 160  # files that are no modules, in every second one
_LARGEST = 30_000  # bytes of a module
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def packages(count: int, subdir: str) -> Iterator[Package]:
    """Yield so many simulated packages; the same ones each time."""
    for number in range(count):
        name = f"simulated_{number:03d}"
        modules = {f"{name}/{path}": file for path, file in _some(_modules(), number * _MODULES, _MODULES)}
        noarch = number % 2 == 0
        folder = "site-packages" if noarch else f"lib/{_PYTHON}/site-packages"
        files = modules if noarch else {**modules, **dict(_byte_code(name, modules))}
        placed = {f"{folder}/{path}": file for path, file in files.items()}
        if not noarch:
            placed |= {f"share/{name}/{place}.txt": file for place, file in enumerate(_others(number))}
        yield Package(
            name=f"simulated-{number:03d}",
            version="1.0",
            files=placed,
            depends=(f"python {sys.version_info.major}.{sys.version_info.minor}.*",),
            subdir="noarch" if noarch else subdir,
            noarch="python" if noarch else None,
            summary="simulated: modules of the standard library under another name",
        )


def _some(files: dict[str, File], start: int, count: int) -> Iterator[tuple[str, File]]:
    return islice(cycle(files.items()), start, start + count)


def _others(number: int) -> Iterator[File]:
    """Yield texts such as headers and messages: pieces of modules."""
    for _, file in _some(_modules(), number, _OTHERS):
        yield File(file.data[: len(file.data) // 4])


def _byte_code(name: str, modules: dict[str, File]) -> Iterator[tuple[str, File]]:
    """Yield the byte-code of some modules; the path within is that of the library."""
    known = _all_byte_code()
    for path in modules:
        where = bytecode_path(path.removeprefix(f"{name}/"))
        if where in known:
            yield f"{name}/{where}", known[where]


def bytecode_path(module: str) -> str:
    """Return where Python keeps a module's byte-code."""
    folder, slash, name = module.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


@cache
def _modules() -> dict[str, File]:
    """Return modules of this Python, by their path."""
    top = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in top.rglob("*.py") if path.stat().st_size <= _LARGEST)
    here = [(path.relative_to(top), path) for path in paths]
    left = {"site-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"}
    return {str(name): File(path.read_bytes()) for name, path in here if not left & set(name.parts)}


@cache
def _all_byte_code() -> dict[str, File]:
    return {path: File(data) for path, data in compiled(_modules())}
