"""The packages of this host's environments that speak of GPUs; what they mean is the controller's to say."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .places import elsewhere, environments
from .records import normalized, pip_infos

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .places import Place

_NAMED = re.compile(r"cuda|nvidia|gpu|rocm|[-_+.]cu\d", re.IGNORECASE)
_HEAD = 1 << 14  # bytes of a record in which its needs are: files, which make it long, come after them
_LONGEST = 200  # characters of one text
_MOST = 1000  # packages of one environment


@dataclass(frozen=True)
class CondaPackage:
    """A conda package, with what it wants of `__cuda` only."""

    name: str
    version: str
    build: str
    depends: list[str] = field(default_factory=list)
    constrains: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PipPackage:
    """A package that pip or uv installed."""

    name: str
    version: str


@dataclass(frozen=True)
class Environment:
    """An environment, with its packages that speak of GPUs."""

    name: str  # its whole path where it does not lie in the prefix
    conda: list[CondaPackage]
    pip: list[PipPackage]


@dataclass(frozen=True)
class Environments:
    """The environments of a host."""

    environments: list[Environment]


def answer(prefix: str) -> Environments:
    """Look through the environments of a Miniconda prefix, and those that its users have registered elsewhere."""
    root = Path(prefix)
    return Environments([_environment(place) for place in (*environments(root), *elsewhere(root))])


def _environment(place: Place) -> Environment:
    conda = [record for _, record in zip(range(_MOST), _conda(place.path), strict=False)]
    pip = [package for _, package in zip(range(_MOST), _pip(place.path), strict=False)]
    return Environment(place.name, conda, pip)


def _conda(environment: Path) -> Iterator[CondaPackage]:
    for path in sorted((environment / "conda-meta").glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            with path.open("rb") as file:
                if b"__cuda" not in file.read(_HEAD) and not _NAMED.search(path.name):
                    continue
                file.seek(0)
                record = json.load(file)
            name, version, build = (str(record[key])[:_LONGEST] for key in ("name", "version", "build"))
            yield CondaPackage(name, version, build, _wants(record.get("depends")), _wants(record.get("constrains")))


def _wants(texts: object) -> list[str]:
    listed = texts if isinstance(texts, list) else []
    return [text[:_LONGEST] for text in map(str, listed) if text.partition(" ")[0] == "__cuda"]


def _pip(environment: Path) -> Iterator[PipPackage]:
    for info in pip_infos(environment):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        if _NAMED.search(info.name):
            yield PipPackage(normalized(name)[:_LONGEST], version[:_LONGEST])
