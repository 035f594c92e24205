"""Writing real conda packages, `.conda` and `.tar.bz2`: the same input gives the same bytes.

Formats: conda's documentation ("Package specification") and CEP 26, CEP 27 and CEP 34.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

BUILT_AT = 1_704_067_200
"""When every lab package says that it was built: the start of 2024 (UTC), in seconds."""

PLACEHOLDER = "/opt/fleetenv-lab".ljust(255, "_")
"""The prefix written into files at build time, replaced at installation; 255 characters, as conda-build's."""

_ARCHITECTURES = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}
_FAST = 3  # zstd level; the highest saves a tenth and takes twenty times as long


@dataclass(frozen=True, slots=True)
class File:
    """One file of a package; it holds [`PLACEHOLDER`][] where the prefix of its installation belongs."""

    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of a package."""

    target: str


@dataclass(frozen=True, slots=True)
class Package:
    """A conda package. `files` maps paths in the prefix (`site-packages/...` for noarch Python) to what is there."""

    name: str
    version: str
    files: Mapping[str, File | Link] = field(hash=False)
    depends: tuple[str, ...] = ()
    build: str = "0"
    build_number: int = 0
    subdir: str = "noarch"
    noarch: Literal["python", "generic"] | None = "python"
    entry_points: tuple[str, ...] = ()  # as in `tool = package.module:function`
    license: str = "Apache-2.0"
    summary: str = ""

    @property
    def stem(self) -> str:
        """The file's name without its format."""
        return f"{self.name}-{self.version}-{self.build}"

    def write(self, folder: Path, form: Literal[".conda", ".tar.bz2"]) -> Path:
        """Write the package into `folder` (a channel's subdir) and return its path."""
        path = folder / (self.stem + form)
        path.write_bytes(self._conda() if form == ".conda" else self._tar_bz2())
        return path

    def _tar_bz2(self) -> bytes:
        return bz2.compress(tar({**self._info(), **self.files}), 9)

    def _conda(self) -> bytes:
        import zstandard

        parts = {
            "metadata.json": b'{"conda_pkg_format_version": 2}',
            f"pkg-{self.stem}.tar.zst": zstandard.compress(tar(self.files), _FAST),
            f"info-{self.stem}.tar.zst": zstandard.compress(tar(self._info()), _FAST),
        }
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, data in parts.items():
                archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data)
        return target.getvalue()

    def _info(self) -> dict[str, File | Link]:
        index: dict[str, object] = {
            "arch": _ARCHITECTURES.get(self.subdir),
            "build": self.build,
            "build_number": self.build_number,
            "depends": list(self.depends),
            "license": self.license,
            "name": self.name,
            "platform": None if self.noarch else "linux",
            "subdir": self.subdir,
            "timestamp": BUILT_AT * 1000,
            "version": self.version,
        }
        about = {"license": self.license, "summary": self.summary, "tags": ["built by fleetenv's lab"]}
        info: dict[str, object] = {
            "about.json": about,
            "index.json": index,
            "paths.json": {"paths": self._paths(), "paths_version": 1},
        }
        if self.noarch is not None:
            index["noarch"] = self.noarch
        if self.noarch == "python":
            noarch = {"type": "python", "entry_points": list(self.entry_points)}
            info["link.json"] = {"noarch": noarch, "package_metadata_version": 1}
        files = "".join(f"{path}\n" for path in sorted(self.files))
        return {
            **{f"info/{name}": File(_json(content)) for name, content in info.items()},
            "info/files": File(files.encode()),
        }

    def _paths(self) -> list[dict[str, object]]:
        result: list[dict[str, object]] = []
        for path, entry in sorted(self.files.items()):
            if isinstance(entry, Link):
                result.append({"_path": path, "path_type": "softlink"})
                continue
            described: dict[str, object] = {
                "_path": path,
                "path_type": "hardlink",
                "sha256": hashlib.sha256(entry.data).hexdigest(),
                "size_in_bytes": len(entry.data),
            }
            if PLACEHOLDER.encode() in entry.data:
                described |= {"file_mode": "text", "prefix_placeholder": PLACEHOLDER}
            result.append(described)
        return result


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True).encode()


def tar(files: Mapping[str, File | Link]) -> bytes:
    """Pack files into an uncompressed tar archive that depends on nothing but them."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, entry in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.mtime = BUILT_AT
            if isinstance(entry, Link):
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.target, 0o777
                archive.addfile(member)
            else:
                member.size, member.mode = len(entry.data), entry.mode
                archive.addfile(member, io.BytesIO(entry.data))
    return target.getvalue()
