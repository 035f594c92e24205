"""One environment in a census: its packages, and what was done to it by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .contents import Contents
from .generations import Generations
from .places import BASE
from .processes import user_name
from .records import Package, normalized
from .verification import verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .contents import Finding
    from .places import Place

_MOST_PACKAGES = 5000
_MOST_FILES = 50  # that are named; hundreds may differ after one careless command
_BY_HAND = frozenset({"conda", "mamba", "micromamba", "conda-env"})


@dataclass(frozen=True)
class Environment:
    """One environment. Files are below it; `prefix` is empty for one that lies in no Miniconda."""

    prefix: str
    name: str
    generation: str = ""  # fleetenv's; empty: not one of fleetenv's
    generations: list[str] = field(default_factory=list)  # all that can be switched to, oldest first
    dangling: str = ""  # a link to this, which is not there
    owner: str = ""  # of its folder
    frozen: bool = False
    packages: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # of conda: version, build, URL
    pip: dict[str, str] = field(default_factory=dict)  # name -> version
    unread: list[str] = field(default_factory=list)  # records that cannot be read
    added: list[str] = field(default_factory=list)  # of base: what was put beside that which the installer brought
    overwritten: dict[str, str] = field(default_factory=dict)  # conda's package -> how pip came to be over it
    files: dict[str, str] = field(default_factory=dict)  # changed, missing or added -> how
    owners: dict[str, str] = field(default_factory=dict)  # of another user than the environment -> whose
    more: int = 0  # files of these two that are not named
    unchecked: bool = False  # there was no time left to look at its files


def look(place: Place, prefix: Path | None, *, close: bool, deep: bool) -> Environment:
    """Look at one environment.

    Args:
        place: Where it is.
        prefix: The Miniconda that it belongs to.
        close: Whether to look at its files, too, and not only at what is installed.
        deep: With `close`: at the content of each.
    """
    at = str(prefix or "")
    if place.path.is_symlink() and not place.path.exists():
        return Environment(at, place.name, dangling=str(place.path.readlink()))
    generations = Generations(prefix, place.name) if prefix and place.name != BASE else None
    current = generations.current() if generations else None
    contents = Contents(place.path.resolve())
    conda = [each for each in contents.packages if not each.is_pip]
    pip = _pip(contents)
    found: list[Finding] = []
    more = 0
    if close and prefix:
        seen = verify(place.path, place.name, prefix, deep=deep, owners=True, contents=contents)
        found, more = seen.findings, seen.more
    files = [each for each in found if each.kind in ("changed", "missing", "added")]
    if not current and not deep:  # without the time of a build, post-link scripts and caches look like changes
        files = [each for each in files if each.kind == "missing"]
    owners = [each for each in found if each.kind == "owner"]
    return Environment(
        prefix=at,
        name=place.name,
        generation=current.name if current else "",
        generations=[path.name for path in generations.whole()] if generations else [],
        owner=user_name(place.path.stat().st_uid),
        frozen=(place.path / "conda-meta" / "frozen").is_file(),
        packages={each.name: (each.version, each.build, each.url) for each in conda[:_MOST_PACKAGES] if each.version},
        pip={normalized(each.name): each.version for each in pip[:_MOST_PACKAGES]},
        unread=[each.record for each in conda if not each.version][:_MOST_FILES],
        added=_added(place.path, conda) if place.name == BASE else [],
        overwritten={each.package: each.detail for each in found if each.kind == "overwritten"},
        files={each.path: f"{each.kind} {_of(each)}".strip() for each in files[:_MOST_FILES]},
        owners={each.path: each.detail for each in owners[:_MOST_FILES]},
        more=more + max(len(files) - _MOST_FILES, 0) + max(len(owners) - _MOST_FILES, 0),
    )


def _of(finding: Finding) -> str:
    return f"({finding.package})" if finding.package else ""


def _pip(contents: Contents) -> list[Package]:
    """List what pip installed: some of conda's packages say so of themselves, and belong to conda all the same."""
    return [each for each in contents.packages if each.is_pip and each.record not in contents.conda]


def _added(base: Path, packages: Iterable[Package]) -> list[str]:
    """Name what was put into base beside what the installer brought.

    That is what somebody asked conda for, and what conda's history does not know. Other packages came with an update
    of conda itself.
    """
    try:
        text = (base / "conda-meta" / "history").read_text("utf-8", "replace")
    except OSError:
        return []
    brought, linked, asked = _history(text)
    if not brought:
        return []
    added = {each.name for each in packages if each.version and each.name not in linked}
    added |= {each.name for each in packages if each.name in asked} - brought
    return sorted(added)


def _history(text: str) -> tuple[set[str], set[str], set[str]]:
    """Read conda's history: names that the installer brought, that were linked at any time, that were asked for.

    https://github.com/conda/conda/blob/main/conda/history.py
    """
    brought: set[str] = set()
    linked: set[str] = set()
    asked: set[str] = set()
    for number, transaction in enumerate(re.split(r"^==>.*$", text, flags=re.MULTILINE)[1:]):
        lines = transaction.splitlines()
        names = {_name(line[1:]) for line in lines if line.startswith("+")}
        linked |= names
        if number == 0 or not _is_by_hand(lines):
            brought |= names
            continue
        for line in lines:
            if line.startswith("# update specs:"):
                asked |= {re.split(r"[ =<>!~\[]", spec, maxsplit=1)[0] for spec in re.findall(r"['\"](.*?)['\"]", line)}
    return brought, linked, {name.rpartition("::")[2] for name in asked}


def _is_by_hand(lines: Sequence[str]) -> bool:
    command = next((line.removeprefix("# cmd:").split() for line in lines if line.startswith("# cmd:")), [])
    return bool(command) and command[0].rpartition("/")[2] in _BY_HAND and "create" not in command  # as installers do


def _name(dist: str) -> str:
    """Return the package's name of `defaults/linux-64::numpy-1.26.4-py311_0`."""
    return dist.strip().rpartition("::")[2].rsplit("-", 2)[0]
