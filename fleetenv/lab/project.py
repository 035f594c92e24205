"""A small Python project, from which both a conda package and a wheel can be made."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetenv.lab.package import File, Link, Package


@dataclass(frozen=True, slots=True)
class Project:
    """Pure Python. `sources` maps paths below site-packages to text; `scripts` hold `tool = module:function`."""

    name: str
    version: str
    sources: Mapping[str, str] = field(hash=False)
    requires: tuple[str, ...] = ()  # conda's `name >=1,<2`; a wheel gets what is not a virtual package
    scripts: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict, hash=False)  # paths in the prefix; not in wheels
    summary: str = "A package of fleetenv's lab"

    @property
    def module(self) -> str:
        """The name under which it is imported, and which its wheel's file has."""
        return re.sub(r"[-_.]+", "_", self.name).lower()

    def conda_package(self) -> Package:
        """Make the noarch conda package."""
        installed = self._installed(installer="conda")
        files: dict[str, File | Link] = {f"site-packages/{path}": File(data) for path, data in installed.items()}
        files |= {path: File(text.encode()) for path, text in self.data.items()}
        return Package(
            name=self.name,
            version=self.version,
            files=files,
            depends=("python >=3.10", *self.requires),
            build="pyh_0",
            entry_points=self.scripts,
            summary=self.summary,
        )

    def wheel(self) -> tuple[str, bytes]:
        """Make the wheel: its file name and content."""
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, data in self._installed(installer=None).items():
                entry = zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data)
        return f"{self.module}-{self.version}-py3-none-any.whl", target.getvalue()

    def _installed(self, installer: str | None) -> dict[str, bytes]:
        """All files below site-packages, with the dist-info folder that names who installed them."""
        info = f"{self.module}-{self.version}.dist-info"
        files = {path: text.encode() for path, text in sorted(self.sources.items())}
        files[f"{info}/METADATA"] = self._metadata().encode()
        files[f"{info}/WHEEL"] = (
            b"Wheel-Version: 1.0\nGenerator: fleetenv lab\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        if self.scripts:
            files[f"{info}/entry_points.txt"] = "\n".join(("[console_scripts]", *self.scripts, "")).encode()
        if installer is not None:
            files[f"{info}/INSTALLER"] = f"{installer}\n".encode()
        record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
        files[f"{info}/RECORD"] = "\n".join((*record, f"{info}/RECORD,,", "")).encode()
        return files

    def _metadata(self) -> str:
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}", f"Summary: {self.summary}"]
        lines.append("Requires-Python: >=3.10")
        lines += [f"Requires-Dist: {need}" for need in self.requires if not need.startswith("__")]
        return "\n".join((*lines, ""))


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
