"""What an environment's packages say of its files: conda's records, and the RECORD of what pip installed."""

from __future__ import annotations

import base64
import binascii
import csv
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PIP = ("pip", "uv")  # who INSTALLER names for what is pip's, not conda's


class File(NamedTuple):
    """One file as its package has it: of a type that is quickly made, for there are tens of thousands."""

    path: str  # below the environment
    package: str  # 'fleet-text 1.0'
    sha256: str  # as installed; empty: not said
    size: int  # bytes; -1: not said, or not of what is installed
    link: bool = False  # a symbolic link: the hash is of its text, or of what it leads to


@dataclass(frozen=True)
class Package:
    """A package that is installed, and its files."""

    name: str
    version: str
    record: str  # the file that says so, below the environment: of conda a JSON, of pip the RECORD
    files: list[File]
    build: str = ""
    url: str = ""  # where conda had it from

    @property
    def is_pip(self) -> bool:
        """Whether pip (or uv) says that it has installed it, and not conda."""
        return self.record.endswith("/RECORD")

    def __str__(self) -> str:
        return f"{self.name} {self.version}{' (pip)' if self.is_pip else ''}"


def conda_packages(environment: Path) -> Iterator[Package]:
    """Read conda's records. One that cannot be read has no files, and its file's name for a name."""
    for path in sorted((environment / "conda-meta").glob("*.json")):
        where = f"conda-meta/{path.name}"
        try:
            record = json.loads(path.read_bytes())
            name, version = str(record["name"]), str(record["version"])
            paths = record.get("paths_data", {}).get("paths") or [{"_path": each} for each in record.get("files", ())]
            site = _site(paths, record.get("files") or ())
            files = [_conda_file(each, f"{name} {version}", site) for each in paths]
            build, url = str(record.get("build", "")), str(record.get("url", ""))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            name, version, build, url, files = path.stem, "", "", "", []
        yield Package(name, version, where, files, build, url)


def pip_packages(environment: Path) -> Iterator[Package]:
    """Read the RECORD of each Python distribution that pip or uv installed."""
    for info in pip_infos(environment):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        record = str(info.relative_to(environment) / "RECORD")
        yield Package(name, version, record, list(_pip_files(info, environment, f"{name} {version} (pip)")))


def pip_infos(environment: Path) -> Iterator[Path]:
    """Find the `*.dist-info` folders of what pip or uv installed."""
    for mark in sorted(environment.glob("lib/python3*/site-packages/*.dist-info/INSTALLER")):
        try:
            installer = mark.read_text("utf-8", "replace").strip()
        except OSError:
            continue
        if installer in PIP:
            yield mark.parent


def same_project(first: str, second: str) -> bool:
    """Whether two names are one Python distribution's (PEP 503)."""
    return normalized(first) == normalized(second)


def normalized(name: str) -> str:
    """Write the name of a Python distribution as PEP 503 does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _site(paths: Sequence[dict[str, object]], files: Sequence[str]) -> str:
    """Return where the packages of Python lie, if the paths do not say so.

    conda notes paths of a noarch package as they are in the package, `site-packages/...`, and only among `files` as
    they are here. py-rattler does not.
    """
    first = next((path for each in paths if (path := str(each["_path"])).startswith("site-packages/")), None)
    return next((file.removesuffix(first) for file in files if first and file.endswith(f"/{first}")), "")


def _is_plain(path: str) -> bool:
    """Whether a path is certainly normal, as all but some are: normalizing takes longer than all else here."""
    return "/." not in path and "//" not in path and path[:1] not in ("", ".", "/") and path[-1:] != "/"


def _conda_file(entry: dict[str, object], package: str, site: str) -> File:
    path = str(entry["_path"])
    if site and path.startswith("site-packages/"):
        path = site + path
    elif site and path.startswith("python-scripts/"):
        path = f"bin/{path.removeprefix('python-scripts/')}"
    replaced = bool(entry.get("prefix_placeholder"))
    sha256 = entry.get("sha256_in_prefix") or ("" if replaced else entry.get("sha256")) or ""
    size = entry.get("size_in_bytes")
    return File(
        path=path if _is_plain(path) else os.path.normpath(path),
        package=package,
        sha256=str(sha256),
        size=size if isinstance(size, int) and not replaced else -1,
        link=entry.get("path_type") == "softlink",
    )


def _pip_files(info: Path, environment: Path, package: str) -> Iterator[File]:
    """Yield what a RECORD lists (https://packaging.python.org/en/latest/specifications/recording-installed-packages)."""
    site = os.path.relpath(info.parent, environment)
    try:
        text = (info / "RECORD").read_text("utf-8", "replace")
    except OSError:
        return
    for row in csv.reader(text.splitlines()):
        if len(row) != 3 or row[0].startswith("/"):
            continue
        algorithm, _, digest = row[1].partition("=")
        path = os.path.normpath(os.path.join(site, row[0]))  # noqa: PTH118  # text, thousands of times
        if not path.startswith("../"):
            yield File(path, package, _hex(digest) if algorithm == "sha256" else "", _number(row[2]))


def _hex(digest: str) -> str:
    try:
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    except (ValueError, binascii.Error):
        return ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
