"""What was changed in an environment since it was built: which file, whose it is, and how."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import interpreter
from .contents import Contents, Finding
from .generations import STAMP
from .places import BASE, environments
from .processes import user_name
from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST = 500  # findings of an environment that are named
_ORDER = ("overwritten", "changed", "missing", "added", "owner")


@dataclass(frozen=True)
class Verification:
    """What was seen of one environment."""

    name: str
    generation: str  # empty: not one of fleetenv's
    files: int  # that packages own
    findings: list[Finding] = field(default_factory=list)  # the first of them
    more: int = 0  # that are not named


@dataclass(frozen=True)
class Verifications:
    """What was seen of the environments of a Miniconda prefix."""

    environments: list[Verification]


def answer(prefix: str, names: Sequence[str], *, deep: bool) -> Verifications:
    """Look at the named environments, or, when none is named, at all of fleetenv's.

    Raises:
        Failure: one of the names is none of an environment.
    """
    there = {place.name: place for place in environments(Path(prefix))}
    for name in names:
        if name not in there:
            raise Failure(f"there is no environment '{name}' in {prefix}")
    chosen = [there[name] for name in names] or [place for place in there.values() if place.managed]
    return Verifications([verify(place.path, place.name, Path(prefix), deep=deep) for place in chosen])


def verify(
    environment: Path, name: str, prefix: Path, *, deep: bool, owners: bool = False, contents: Contents | None = None
) -> Verification:
    """Look at one environment: at files' times and sizes, or, `deep`, at the content and owner of each.

    Where fleetenv did not build it, there is no time of its build to compare with. `owners`: at owners in any case;
    `contents`: of this environment, where they have been read already.
    """
    real = environment.resolve()
    contents = contents or Contents(real)
    found = list(contents.compared() if deep else contents.compared_in_part(()))
    seen = dict(_walk(real, prefix if name == BASE else None))
    with suppress(FileNotFoundError):
        found += _since(real, contents, seen, {each.path for each in found}, deep=deep)
    if deep or owners:
        found += _foreign(real, prefix / "pkgs", seen, contents)
    found.sort(key=lambda each: (_ORDER.index(each.kind), each.path))
    generation = real.name if (real / STAMP).is_file() else ""
    return Verification(name, generation, len(contents.paths), found[:_MOST], max(len(found) - _MOST, 0))


def _since(
    environment: Path, contents: Contents, seen: dict[str, os.stat_result], known: set[str], *, deep: bool
) -> Iterator[Finding]:
    """Find what came after the build.

    Raises:
        FileNotFoundError: fleetenv did not build this, or its mark was removed.
    """
    built = (environment / STAMP).stat()
    newer = {path for path, each in seen.items() if _is_newer(each, built, deep=deep)} - known
    for package in contents.packages:
        if package.record in newer:
            by = "pip" if package.record.endswith("/RECORD") else "conda"
            yield Finding("added", package.record, str(package), f"installed by {by} after the build")
            newer -= {package.record, *(file.path for file in package.files)}
    for path in newer:
        owner = contents.owner(path)
        if not owner:
            yield Finding("added", path, "", "belongs to no package")
        elif not deep:
            yield Finding("changed", path, owner, "newer than the build")
    yield from _pinned(environment)


def _is_newer(found: os.stat_result, built: os.stat_result, *, deep: bool) -> bool:
    """Whether a file was written after the build. Its own time can be set back; that of its last change cannot.

    A file with several links has that time changed by every new link to it, so there only its own time tells.
    """
    if found.st_mtime_ns > built.st_mtime_ns:
        return True
    return deep and found.st_nlink == 1 and found.st_ctime_ns > built.st_ctime_ns


def _pinned(generation: Path) -> Iterator[Finding]:
    """See that Python still keeps processes in their generation: see interpreter.pin."""
    lib = interpreter.library(generation)
    if lib is None:
        return
    path = lib / "site-packages" / interpreter.PTH
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if text != interpreter.pth(lib):
        yield Finding("changed", str(path.relative_to(generation)), "fleetenv", "not what fleetenv wrote")


def _foreign(environment: Path, cache: Path, seen: dict[str, os.stat_result], contents: Contents) -> Iterator[Finding]:
    """Find files of other users: `sudo pip install` leaves root's where the environment's owner cannot remove them."""
    own = {path.stat().st_uid for path in (environment, environment / "conda-meta" / "history") if path.exists()}
    linked = own | ({cache.stat().st_uid} if cache.is_dir() else set())
    expected = " or ".join(sorted(user_name(number) for number in own))
    for path, found in seen.items():
        if found.st_uid not in (linked if found.st_nlink > 1 else own):
            detail = f"belongs to {user_name(found.st_uid)}, not to {expected}"
            yield Finding("owner", path, contents.owner(path), detail)


def _walk(environment: Path, base: Path | None) -> Iterator[tuple[str, os.stat_result]]:
    """Yield all files below an environment but byte-code, by their paths in it; of base not what lies in it besides."""
    besides = () if base is None else ("envs", "pkgs", ".fleetenv")
    folders = [""]
    for folder in folders:  # grows as it goes
        try:
            entries = list(os.scandir(environment / folder))
        except OSError:
            continue
        for entry in entries:
            path = f"{folder}{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    yield path, entry.stat(follow_symlinks=False)
            elif entry.name != "__pycache__" and path not in besides:
                folders.append(f"{path}/")
