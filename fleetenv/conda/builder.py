"""The builder of environments that is sent to hosts: fleetenv.onhost as one file, and py-rattler for it to use."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import marshal
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata, util
from importlib.machinery import SourceFileLoader
from pathlib import Path

from fleetenv.conda import elf
from fleetenv.conda.cache import cache_folder
from fleetenv.onhost.request import Request

_MAIN = """\
import os, sys
if sys.version_info < (3, 10):
    sys.exit("fleetenv needs Python 3.10 or newer in Miniconda: upgrade it (here is %d.%d)" % sys.version_info[:2])
archive = sys.argv[0]
folder = archive.removesuffix(".pyz")
if not os.path.isdir(folder):  # in a folder its byte-code is kept for the next time
    import shutil, zipfile
    draft = "%s.%d" % (folder, os.getpid())
    try:
        zipfile.ZipFile(archive).extractall(draft)
        os.rename(draft, folder)
    except OSError:  # the disk is full, or another run was quicker
        shutil.rmtree(draft, ignore_errors=True)
if os.path.isdir(folder):
    sys.path[0] = folder
from fleetenv.onhost.build import main
status = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # py-rattler's threads may still be at work: an orderly end can crash (seen with 0.28)
"""

_ZSTD_LEVEL = 9  # 2 seconds; the highest takes 26, and saves a seventh

_PACKED = {
    "fleetenv": ("__init__.py", "errors.py"),
    "fleetenv.conda": ("__init__.py", "channels.py", "mirrors.py"),
    "fleetenv.onhost": ("*.py",),
    "yaml": ("*.py",),  # Miniconda has no PyYAML of its own, and .condarc is YAML
}
"""What the builder is made of; all of it runs on Python 3.10 and needs nothing but the standard library."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """py-rattler for hosts of the controller's own kind."""

    path: Path  # on the controller
    name: str  # under PREFIX/.fleetenv
    sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class Program:
    """The builder: one file for Miniconda's Python."""

    data: bytes
    name: str  # under PREFIX/.fleetenv; another content has another name


@cache
def rattler_version() -> str:
    """Return the version of py-rattler: hosts use the controller's."""
    return metadata.version("py-rattler")


@cache
def program() -> Program:
    """Pack the builder; it is called by its sources' hash, whatever of their byte-code comes along."""
    packed, sources = io.BytesIO(), hashlib.sha256()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        files = {"__main__.py": _MAIN.encode()}
        for package, names in _PACKED.items():
            folder = _package(package)
            where = package.replace(".", "/")
            for path in [path for name in names for path in sorted(folder.glob(name))]:
                files[f"{where}/{path.name}"] = path.read_bytes()
                archive.writestr(zipfile.ZipInfo(_bytecode_place(f"{where}/{path.name}")), _bytecode(path))
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
            sources.update(f"{name} {len(data)}\n".encode() + data)
    return Program(packed.getvalue(), f"builder-{sources.hexdigest()[:16]}.pyz")


def runtime(machine: str, *, zstd: bool) -> Runtime | None:
    """Pack py-rattler for a host, once; None: it is of another architecture than the controller, and gets it by pip.

    What [`fetch_runtime`][] has fetched is there for hosts of another architecture, too.

    Args:
        machine: The host's architecture.
        zstd: Whether the host can read that: a quarter less to send, and four times quicker to unpack than gzip.
    """
    package = _package("rattler") if _is_own(machine) else _fetched(machine) / "rattler"
    if not package.is_dir():
        return None
    name = f"py-rattler-{rattler_version()}-{machine}-{sys.implementation.cache_tag}.tar.{'zst' if zstd else 'gz'}"
    path, about = cache_folder() / name, cache_folder() / f"{name}.json"
    try:
        known = json.loads(about.read_text())
        if path.stat().st_size == known["size"]:
            return Runtime(path, name, known["sha256"], rattler_version())
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not packed yet
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{name}.{os.getpid()}")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        _add_stripped(archive, package)
    draft.write_bytes(_compressed(plain.getvalue(), zstd=zstd))
    sha256 = hashlib.sha256(draft.read_bytes()).hexdigest()
    about.write_text(json.dumps({"size": draft.stat().st_size, "sha256": sha256}))
    draft.replace(path)
    return Runtime(path, name, sha256, rattler_version())


@cache
def fetch_runtime(machine: str, index: str | None) -> str | None:
    """Fetch py-rattler for hosts of another architecture, which cannot get it themselves; once for all runs.

    Args:
        machine: Their architecture.
        index: The package index, as `conda_env` is given it; None: uv's own.

    Returns:
        Why that failed, in one line; None: it is there.
    """
    folder = _fetched(machine)
    if _is_own(machine) or folder.is_dir():
        return None
    from uv import find_uv_bin

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".py-rattler-") as draft:
        command = [find_uv_bin(), "pip", "install", "--quiet", "--no-config", "--color", "never", "--no-deps"]
        command += ["--python", sys.executable, "--python-platform", f"{machine}-manylinux_2_28", "--target", draft]
        environment = dict(os.environ) | ({"UV_DEFAULT_INDEX": index} if index else {})  # it may hold a password
        done = subprocess.run(
            [*command, "--only-binary=:all:", f"py-rattler=={rattler_version()}"], env=environment,
            capture_output=True, check=False, encoding="utf-8", errors="replace",
        )  # fmt: skip
        if done.returncode:
            return " ".join(done.stderr.split()) or f"uv ended with status {done.returncode}"
        whole = Path(draft, "whole")
        whole.mkdir()
        Path(draft, "rattler").rename(whole / "rattler")
        with suppress(OSError):  # another run was quicker
            whole.rename(folder)
        return None


def _is_own(machine: str) -> bool:
    return machine == platform.machine() and platform.system() == "Linux"


def _fetched(machine: str) -> Path:
    """Return where py-rattler for another architecture lies once it was fetched."""
    return cache_folder() / f"py-rattler-{rattler_version()}-{machine}"


def encoded(request: Request) -> bytes:
    """Write a request as the builder reads it."""
    return json.dumps(asdict(request)).encode()


def _compressed(data: bytes, *, zstd: bool) -> bytes:
    if not zstd:
        return gzip.compress(data, 6, mtime=0)
    import zstandard

    return zstandard.compress(data, _ZSTD_LEVEL)


def _add_stripped(archive: tarfile.TarFile, package: Path) -> None:
    """Add a package without symbols, which are a third of py-rattler's library, and with this Python's byte-code."""
    for path in sorted(package.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        data = path.read_bytes()
        if elf.is_elf(data):
            data = elf.without_sections(data)
        name, mode = path.relative_to(package.parent).as_posix(), path.stat().st_mode & 0o755
        _add(archive, name, data, mode)
        if path.suffix == ".py":
            _add(archive, _bytecode_place(name), _bytecode(path), mode)


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def _bytecode_place(name: str) -> str:
    """Return where Python looks for a module's byte-code; another version than this one looks elsewhere."""
    return util.cache_from_source(name)


def _bytecode(path: Path) -> bytes:
    """Return a module's byte-code for a host with the controller's version of Python, who need not compile it.

    It is marked as never to be compared with the source (PEP 552), whose time is another there.
    """
    loader = SourceFileLoader(path.stem, str(path))
    code = loader.get_code(path.stem)
    return util.MAGIC_NUMBER + (1).to_bytes(4, "little") + util.source_hash(path.read_bytes()) + marshal.dumps(code)


def _package(name: str) -> Path:
    spec = util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))
