"""A Miniconda-shaped installer for the lab: one self-extracting script with the real one's flags and layout.

What it installs is real (Python and pip of the lab's channel, conda's records and history), except for `conda` itself:
a stand-in that says so. The real installer is made by https://github.com/conda/constructor.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fleetenv.errors import FleetenvError
from fleetenv.lab.channel import LabChannel
from fleetenv.lab.package import File, Link, Package, tar

DEFAULT_VERSION = "24.7.1"
_HERE = Path(__file__).parent
_SYSTEMS = {"linux-64": "Linux-x86_64", "linux-aarch64": "Linux-aarch64"}


@dataclass(frozen=True, slots=True)
class Installer:
    """An installer's file, named as the real one would be."""

    path: Path
    sha256: str
    version: str  # as file names say it: py311_24.7.1-0
    conda_version: str  # as `conda --version` says it: 24.7.1

    @classmethod
    def read(cls, path: Path) -> Installer:
        """Read what an installer made by constructor says of itself: the lab's, Miniconda's or Miniforge's.

        Raises:
            FleetenvError: it is no such installer.
        """
        data = path.read_bytes()
        said = re.search(rb"^# VER: +((?:py\d+_)?([\d.]+)-\d+)$", data[:4096], re.MULTILINE)
        if said is None:
            raise FleetenvError(f"{path} is not an installer made by constructor: it has no line '# VER:'")
        return cls(path, hashlib.sha256(data).hexdigest(), said[1].decode(), said[2].decode())


def installer_for_tests(channel: LabChannel, folder: Path) -> Installer:
    """Return the real installer that FLEETENV_TEST_MINICONDA names, so that tests run with it; else the lab's own.

    The real one is linked into `folder` under the name that Anaconda gave it, whatever it is called here.
    """
    real = os.environ.get("FLEETENV_TEST_MINICONDA")
    if not real:
        return build_installer(channel, folder)
    installer = Installer.read(Path(real).resolve())
    path = folder.resolve() / f"Miniconda3-{installer.version}-{_SYSTEMS[channel.subdir]}.sh"
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another worker of the same test run
        path.symlink_to(installer.path)
    return replace(installer, path=path)


def build_installer(
    channel: LabChannel, folder: Path, conda_version: str = DEFAULT_VERSION, conda: Sequence[Package] = ()
) -> Installer:
    """Write the installer with this version of the stand-in into `folder`; the same version gives the same bytes.

    Args:
        channel: Where its packages come from.
        folder: Where the script goes; other versions may lie there.
        conda_version: What its `conda --version` shall say.
        conda: A package `conda`, and what it needs beside Python, in place of the stand-in.
    """
    version = f"py{sys.version_info.major}{sys.version_info.minor}_{conda_version}-0"
    path = folder.resolve() / f"Miniconda3-{version}-{_SYSTEMS[channel.subdir]}.sh"
    made_of = path.with_suffix(".made-of")
    conda = conda or [standin(conda_version)]
    digest = hashlib.sha256(b"".join(tar(each.files) for each in conda)).hexdigest()
    key = f"{channel.key} {digest}"
    if not (path.is_file() and made_of.is_file() and made_of.read_text() == key):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(_script(channel, version, conda))
        unfinished.replace(path)
        made_of.write_text(key)
    return Installer.read(path)


def _script(channel: LabChannel, version: str, conda: Sequence[Package]) -> bytes:
    python, pip = _newest(channel, channel.subdir, "python"), _newest(channel, "noarch", "pip")
    files: dict[str, File | Link] = {"pkgs/link_base.py": File((_HERE / "link_base.py").read_bytes())}
    with tempfile.TemporaryDirectory(prefix="fleetenv-lab-") as name:
        packages = (python, pip, *(each.write(Path(name), ".conda") for each in conda))
        for package in packages:
            files |= _unpacked(package, Path(name), channel)
    payload = gzip.compress(tar(files), compresslevel=1, mtime=0)
    header = (_HERE / "installer_header.sh").read_text()
    values = {
        "VERSION": version,
        "SUBDIR": channel.subdir,
        "PYTHON": python.stem,
        "PACKAGES": " ".join(each.stem for each in packages),
    }
    for key, value in {**values, "MD5": hashlib.md5(payload, usedforsecurity=False).hexdigest()}.items():
        header = header.replace(f"@{key}@", value)
    return header.encode() + payload


def _newest(channel: LabChannel, subdir: str, name: str) -> Path:
    return sorted((channel.path / subdir).glob(f"{name}-[0-9]*.conda"))[-1]


def standin(conda_version: str = DEFAULT_VERSION) -> Package:
    """Return the package `conda` that is none."""
    source = (_HERE / "standin_conda.py").read_text().replace("@VERSION@", conda_version)
    return Package(
        name="conda",
        version=conda_version,
        files={"site-packages/fleetenv_standin_conda.py": File(source.encode())},
        depends=("python >=3.10",),
        build="fleetenvstandin_0",
        entry_points=("conda = fleetenv_standin_conda:main",),
        summary="fleetenv's stand-in for conda (simulated: it cannot solve or install)",
    )


def _unpacked(package: Path, scratch: Path, channel: LabChannel) -> dict[str, File | Link]:
    """A package's files as they lie in conda's package cache, with the record of where it came from."""
    from rattler.package_streaming import extract

    folder = scratch / package.stem
    extract(package, folder)
    files: dict[str, File | Link] = {}
    for path in sorted(folder.rglob("*")):
        name = f"pkgs/{package.stem}/{path.relative_to(folder).as_posix()}"
        if path.is_symlink():
            files[name] = Link(str(path.readlink()))
        elif path.is_file():
            files[name] = File(path.read_bytes(), path.stat().st_mode & 0o777)
    index = json.loads((folder / "info" / "index.json").read_text())
    data = package.read_bytes()
    record = {
        **index,
        "channel": channel.url,
        "fn": package.name,
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "url": f"{channel.url}/{index['subdir']}/{package.name}",
    }
    files[f"pkgs/{package.stem}/info/repodata_record.json"] = File(json.dumps(record, indent=2).encode())
    return files
