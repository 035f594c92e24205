"""conda packages made from Python distributions that are installed on this machine, as conda-forge would build them."""

from __future__ import annotations

import os
import py_compile
import re
import sys
import tempfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

from fleetenv.conda import elf
from fleetenv.lab.package import BUILT_AT, File, Link, Package

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def packed(names: tuple[str, ...], site_packages: Path, subdir: str) -> list[Package]:
    """Pack distributions of one `site-packages` folder; what they need must be among them."""
    found = {_name(each.name): each for each in distributions(path=[str(site_packages)])}
    return [_package(found[name], subdir) for name in names]


def _package(distribution: Distribution, subdir: str) -> Package:
    """Pack one: noarch, or with libraries for this platform and then byte-compiled too."""
    files = {path: File(data) for path, data in _files(distribution)}
    libraries = any(elf.is_elf(file.data) for file in files.values())
    here: dict[str, File | Link] = {f"site-packages/{path}": file for path, file in files.items()}
    if libraries:
        files |= {path: File(data) for path, data in compiled(files)}
        here = {f"lib/{_PYTHON}/site-packages/{path}": file for path, file in files.items()}
    return Package(
        name=_name(distribution.name),
        version=distribution.version,
        files=here,
        depends=(f"python {sys.version_info.major}.{sys.version_info.minor}.*", *_needs(distribution)),
        subdir=subdir if libraries else "noarch",
        noarch=None if libraries else "python",
        summary=f"{distribution.name}, packed from its wheel",
    )


def _files(distribution: Distribution) -> list[tuple[str, bytes]]:
    """Return all that it has below site-packages, libraries without what only debuggers read."""
    result = []
    for path in distribution.files or ():
        if path.parts[0] == ".." or path.suffix == ".pyc":
            continue
        data = Path(str(distribution.locate_file(path))).read_bytes()
        if path.name == "INSTALLER":
            data = b"conda\n"
        result.append((path.as_posix(), elf.without_sections(data) if elf.is_elf(data) else data))
    return result


def compiled(files: dict[str, File]) -> list[tuple[str, bytes]]:
    """Byte-compile modules as they will be installed; those that do not compile are left."""
    result = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.py"), Path(folder, "target.pyc")
        for path, file in files.items():
            if not path.endswith(".py"):
                continue
            source.write_bytes(file.data)
            os.utime(source, (BUILT_AT, BUILT_AT))
            if py_compile.compile(str(source), str(target), path, quiet=2):
                parent, _, name = path.rpartition("/")
                cache = f"{parent}/__pycache__".lstrip("/")
                stem = name.removesuffix(".py")
                result.append((f"{cache}/{stem}.{sys.implementation.cache_tag}.pyc", target.read_bytes()))
    return result


def _needs(distribution: Distribution) -> list[str]:
    """Name what it always needs."""
    named = [re.match(r"[\w.-]+", each) for each in distribution.requires or () if ";" not in each]
    return [_name(each[0]) for each in named if each]


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()
