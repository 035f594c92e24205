"""Locks: the exact packages of a spec for each platform, in rattler-lock's format beside the spec.

The file is written and read by py-rattler, so pixi and conda's lock plugins read it, too. What rattler-lock has no
field for (the spec's hash) is in one comment at the top.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from fleetenv.conda.cache import Notes
from fleetenv.conda.spec import Spec, normalized
from fleetenv.errors import InputError, Location

if TYPE_CHECKING:
    from rattler import Environment, LockPlatform, PypiLockedPackage, RepoDataRecord

_MARK = "# fleetenv: "
_NOTES = "locks-1"  # another number when [`PlatformLock`][] changes


class CondaPackage(Struct, frozen=True):
    """One locked conda package; `url` is canonical, whatever mirror it will be downloaded from."""

    name: str
    version: str
    build: str
    channel: str  # short, as conda shows it: conda-forge, main
    url: str
    sha256: str
    depends: tuple[str, ...]
    constrains: tuple[str, ...]


class PipPackage(Struct, frozen=True):
    """One locked package of the pip section: one file with its hash, or one commit (`git+https://...@HASH`)."""

    name: str  # normalised as PEP 503 says
    version: str
    url: str
    sha256: str  # empty for a commit, whose own hash is in the URL


class Target(Struct, frozen=True):
    """What a lock is solved for: a platform, and the least that every host of it offers."""

    platform: str
    virtual_packages: tuple[str, ...]  # `__glibc=2.28`


class PlatformLock(Struct, frozen=True, dict=True):
    """All packages for one platform."""

    platform: str  # linux-64, linux-aarch64
    virtual_packages: tuple[str, ...]  # what it was solved for: `__glibc=2.28`
    conda: tuple[CondaPackage, ...]
    pip: tuple[PipPackage, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of which bytes this installs."""
        files = [(each.url, each.sha256) for each in self.conda] + [(each.url, each.sha256) for each in self.pip]
        lines = sorted(f"{url} {sha256}" for url, sha256 in files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Lock(Struct, frozen=True):
    """A lock file; `text` is its content, which py-rattler on a host reads again."""

    path: Path
    spec_digest: str | None  # None: not written by fleetenv
    platforms: Mapping[str, PlatformLock]
    text: str


def lock_path(spec: Path) -> Path:
    """Return where the lock of a spec lies: beside it, `NAME.lock` for `NAME.yml`."""
    return spec.with_suffix(".lock")


def read_lock(path: Path) -> Lock:
    """Read a lock. What is in it is noted: importing py-rattler takes as long as all else of a small run.

    Raises:
        InputError: it is not there, or py-rattler cannot read it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the lock {path}: {reason}") from error
    notes = Notes(_NOTES)
    platforms = notes.recall(text, dict[str, PlatformLock])
    if platforms is None:
        platforms = _platforms(path)
        notes.note(text, platforms)
    return Lock(path, _spec_digest(text), platforms, text)


def _platforms(path: Path) -> dict[str, PlatformLock]:
    from rattler import LockFile
    from rattler.exceptions import ParseCondaLockError

    try:
        environment = LockFile.from_path(path).default_environment()
    except OSError as error:
        raise InputError(f"cannot read the lock {path}: {error.strerror or error}") from error
    except ParseCondaLockError as error:
        raise InputError(
            f"not a lock that py-rattler reads: {str(error).partition(chr(10))[0]}", location=Location(str(path), 1, 1)
        ) from error
    if environment is None:
        raise InputError(f"the lock {path} has no default environment")
    known = sorted(environment.platforms(), key=lambda platform: platform.name)  # py-rattler's order is by chance
    return {platform.name: _platform(environment, platform, path) for platform in known}


def _platform(environment: Environment, platform: LockPlatform, path: Path) -> PlatformLock:
    records = environment.conda_repodata_records_for_platform(platform) or []
    packages = environment.pypi_packages_for_platform(platform) or []
    return PlatformLock(
        platform=platform.name,
        virtual_packages=tuple(platform.virtual_packages),
        conda=tuple(_conda_package(record, path) for record in records),
        pip=tuple(_pip_package(package, path) for package in packages),
    )


def _conda_package(record: RepoDataRecord, path: Path) -> CondaPackage:
    name = record.name.normalized
    return CondaPackage(
        name=name,
        version=str(record.version),
        build=str(record.build),
        channel=short_channel(record.url),
        url=record.url,
        sha256=_hex(record.sha256, name, path),
        depends=tuple(record.depends),
        constrains=tuple(record.constrains),
    )


def _pip_package(package: PypiLockedPackage, path: Path) -> PipPackage:
    hashes = package.hashes
    commit = package.location.startswith("git+")
    return PipPackage(
        name=normalized(package.name),
        version=package.version,
        url=package.location,
        sha256="" if commit else _hex(hashes.sha256 if hashes else None, package.name, path),
    )


def _hex(sha256: bytes | None, name: str, path: Path) -> str:
    if sha256 is None:
        raise InputError(f"the lock {path} has no sha256 for {name}", hint="make it again with 'fleetenv lock'")
    return sha256.hex()


def short_channel(url: str) -> str:
    """Return a channel's name as conda shows it, from the URL of one of its packages."""
    folders = url.split("/")[:-2]  # without SUBDIR/FILE
    return folders[-1] if folders else ""


def write_lock(
    path: Path,
    spec: Spec,
    channels: Sequence[str],
    solved: Mapping[Target, Sequence[RepoDataRecord]],
    pip: Mapping[Target, Sequence[PipPackage]],
) -> Lock:
    """Write a lock, whole or not at all, and read it back.

    Args:
        path: Where it goes.
        spec: What was solved.
        channels: The canonical URLs of the spec's channels, first the one of highest priority.
        solved: The conda records for each target.
        pip: The packages of the pip section for each target.
    """
    from rattler import LockChannel, LockFile, LockPlatform, Subdir

    platforms = {
        target: LockPlatform(target.platform, Subdir(target.platform), list(target.virtual_packages))
        for target in solved
    }
    file = LockFile(list(platforms.values()))
    file.set_channels("default", [LockChannel(url) for url in channels])
    for target, platform in platforms.items():
        for record in sorted(solved[target], key=lambda record: record.name.normalized):
            file.add_conda_package("default", platform, record)
        for package in pip[target]:
            file.add_pypi_package("default", platform, package.name, package.version, package.url)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        draft = Path(folder) / path.name
        file.to_path(draft)
        draft.write_text(_header(spec) + _with_hashes(draft.read_text(encoding="utf-8"), pip), encoding="utf-8")
        lock = read_lock(draft)
        draft.replace(path)
    return Lock(path, lock.spec_digest, lock.platforms, lock.text)


def _header(spec: Spec) -> str:
    return (
        f"# The exact packages of {spec.path.name}, written by 'fleetenv lock': do not edit.\n"
        f"{_MARK}{json.dumps({'spec-sha256': spec.digest})}\n"
    )


def _with_hashes(text: str, pip: Mapping[Target, Sequence[PipPackage]]) -> str:
    """Add what the format has but py-rattler 0.28's add_pypi_package cannot be told: each file's sha256."""
    for package in {package for packages in pip.values() for package in packages if package.sha256}:
        entry = re.compile(rf"^- pypi: ['\"]?{re.escape(package.url)}['\"]?\n  name: .*\n  version: .*\n", re.MULTILINE)
        text = entry.sub(rf"\g<0>  sha256: {package.sha256}\n", text)
    return text


def _spec_digest(text: str) -> str | None:
    """Find the spec's hash in the comments before the first line of YAML."""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if line.startswith(_MARK):
            try:
                marks = json.loads(line.removeprefix(_MARK))
            except ValueError:
                return None
            digest = marks.get("spec-sha256") if isinstance(marks, dict) else None
            return digest if isinstance(digest, str) else None
    return None


def fresh_lock(spec: Spec) -> Lock:
    """Read the lock of a spec.

    Raises:
        InputError: there is none, or the spec was changed after it was made; the message says how to mend that.
    """
    path = lock_path(spec.path)
    command = f"run 'fleetenv lock {spec.path}'"
    if not path.exists():
        raise InputError(f"{spec.path.name} has no lock", location=spec.location, hint=command)
    lock = read_lock(path)
    if lock.spec_digest != spec.digest:
        raise InputError(
            f"{path.name} is stale: the spec was changed after it was locked", location=spec.location, hint=command
        )
    return lock
