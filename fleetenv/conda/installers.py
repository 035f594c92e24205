"""Miniconda's installers: what a file is called, where it lies, which conda it brings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from fleetenv.conda.channels import find_mirror, is_url
from fleetenv.errors import InputError

ARCHITECTURES = ("x86_64", "aarch64")
ARCH = "{arch}"
"""Stands for the host's architecture in a URL."""

_VERSION = re.compile(r"latest|(?:py\d{2,3}_)?\d+\.\d+(?:\.\d+)*(?:-\d+)?")
_NAMED = re.compile(r"3-(?:py\d+_)?(\d+(?:\.\d+)+)(?:-\d+)?-Linux-")
_SAID = re.compile(rb"^# VER: +(?:py\d+_)?(\d+(?:\.\d+)+)(?:-\d+)?\s*$", re.MULTILINE)


class Source(Struct, frozen=True):
    """Where an installer comes from: URLs to be tried in order, or else a file on the controller."""

    urls: tuple[str, ...] = ()  # `{arch}` stands for the architecture
    file: str | None = None
    conda: str | None = None  # the version of conda in it, where the name tells


def find_installer(installer: str, mirrors: Sequence[str]) -> Source:
    """Say where an installer comes from.

    Args:
        installer: A version (`py311_24.7.1-0`, `latest`), a URL, or the path of a file on the controller.
        mirrors: For a version: presets, or URLs of folders that hold installers; empty means the official one.

    Raises:
        InputError: a mirror or a URL that cannot be.
    """
    if "://" in installer:
        _check_url(installer, "the URL of an installer")
        return Source(urls=(_plain(installer),), conda=conda_in_name(installer))
    if not _VERSION.fullmatch(installer):
        return Source(file=installer, conda=conda_in_name(installer))
    name = f"Miniconda3-{installer}-Linux-{ARCH}.sh"
    urls = tuple(_plain(f"{_folder(mirror)}/{name}") for mirror in mirrors or ("official",))
    return Source(urls=urls, conda=conda_in_name(name))


def conda_in_name(name: str) -> str | None:
    """Return the version of conda that an installer's file name tells: Miniconda's or Miniforge's."""
    matched = _NAMED.search(name.rpartition("/")[2])
    return matched[1] if matched else None


def conda_in_file(path: Path) -> str | None:
    """Return the version of conda that an installer's own heading tells."""
    with path.open("rb") as file:
        matched = _SAID.search(file.read(4096))
    return matched[1].decode() if matched else None


def is_newer(version: str, than: str) -> bool:
    """Whether one version of conda is newer than another; parts that are no numbers count as zero."""
    return _parts(version) > _parts(than)


def _parts(version: str) -> list[int]:
    return [int(part) if part.isdecimal() else 0 for part in version.split(".")]


def _folder(mirror: str) -> str:
    if "://" in mirror:
        _check_url(mirror, "a mirror's folder of installers")
        return mirror.rstrip("/")
    return find_mirror(mirror).miniconda


def _plain(url: str) -> str:
    """Return a file's URL with its path as it is on disk, since hosts only copy it."""
    return f"file://{unquote(urlsplit(url).path)}" if url.startswith("file:") else url


def _check_url(url: str, what: str) -> None:
    if not is_url(url) or re.search(r"""[\s"\\]""", url):
        raise InputError(f"'{url}' cannot be {what}", hint="it must begin with https://, http:// or file://")
