"""Adopting an environment that somebody made by hand: the spec and the lock of what is there.

Nothing is solved: the lock's conda packages are those of the environment's own records. What a record lacks (old ones
have no sha256) is looked up in its channel. The pip section is resolved with exactly the versions that are there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fleetenv.conda import repodata
from fleetenv.conda.exact import channels_of, exact_specs, spec_text
from fleetenv.conda.handmade import CondaRecord, Distribution, Handmade, told
from fleetenv.conda.lock import CondaPackage, Lock, PipPackage, lock_path, short_channel, write_lock
from fleetenv.conda.mirrors import condarc_channels
from fleetenv.conda.pip_conf import masked
from fleetenv.conda.pypi import resolve
from fleetenv.conda.repodata import run
from fleetenv.conda.resolution import PipIndex
from fleetenv.conda.solve import DEFAULT_GLIBC, target
from fleetenv.conda.sources import Sources, sources
from fleetenv.conda.spec import Spec, read_spec
from fleetenv.conda.virtual import PLATFORMS
from fleetenv.errors import InputError
from fleetenv.source import Value

if TYPE_CHECKING:
    from rattler import RepoDataRecord


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says about an adoption."""

    requested_only: bool = False  # the spec names only what somebody asked for; the lock has everything anyway
    mirror: str | None = None
    pip_index: str | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """What came of it."""

    spec: Path
    lock: Path | None  # None: there is none, `warnings` say why
    fresh: bool  # whether the lock holds everything; otherwise 'fleetenv lock' must complete it
    conda: int
    pip: int
    warnings: tuple[str, ...]


def adopt(found: Handmade, name: str, origin: str, path: Path, wishes: Wishes) -> Adoption:
    """Write the spec and the lock of an environment.

    Args:
        found: What is there.
        name: The environment's name.
        origin: Where it was found, for the spec's heading.
        path: The spec's file; the lock goes beside it.
        wishes: The user's.

    Raises:
        InputError: it holds nothing that a spec could say, or the files cannot be written.
    """
    if not found.conda:
        raise InputError(f"{origin} has no conda packages: there is nothing to adopt")
    twice = sorted(name for name, count in Counter(record.name for record in found.conda).items() if count > 1)
    if twice:
        raise InputError(f"{origin} has two records of {', '.join(twice)} in conda-meta: mend it with conda first")
    platform = _platform(found)
    packages = _canonical(found.conda)
    pip, warnings = _pip_section(found)
    warnings += [f"{each} cannot be understood, and is left out" for each in found.unread]
    if wishes.requested_only and not any(record.requested for record in packages):
        warnings.append("its records do not say what somebody asked for: the spec names every package")
    spec = _write_spec(path, _document(name, found, packages, pip, wishes), [origin, *warnings])
    if found.variables:
        warnings.append(f"look at its variables before you commit them: {', '.join(found.variables)}")
    lock, notes = _lock(found, spec, packages, platform, wishes)
    locked = next(iter(lock.platforms.values())).pip if lock else ()
    if lock and lock.spec_digest == spec.digest:
        notes += _strayed(pip, locked)
    return Adoption(
        spec=path,
        lock=lock.path if lock else None,
        fresh=lock is not None and lock.spec_digest == spec.digest,
        conda=len(packages),
        pip=len(pip),
        warnings=(*warnings, *notes),
    )


def _lock(
    found: Handmade, spec: Spec, records: list[CondaRecord], platform: str, wishes: Wishes
) -> tuple[Lock | None, list[str]]:
    """Write the lock, as far as that can be; returns what to tell of it, too."""
    here = sources(spec, wishes.mirror)
    records, notes = _completed(records, platform, here)
    lacking = [record.title for record in records if not (record.sha256 and record.url)]
    if lacking:
        what = f"neither the host nor its channel knows the URL or sha256 of {', '.join(lacking)}"
        return None, [*notes, f"no lock was written: {what}; 'fleetenv lock {spec.path}' solves the spec anew"]
    aim = target(platform, glibc=_floor(found), cuda=_needed(records, "__cuda"))
    installed = [_repodata_record(record) for record in records]
    written = spec
    pip: tuple[PipPackage, ...] = ()
    try:
        pip = resolve(spec, aim, installed, here, PipIndex(wishes.pip_index))
    except InputError as error:
        hint = f"'fleetenv lock {spec.path}' completes the lock, and keeps its conda packages"
        notes.append(f"the pip section is not locked: {masked(str(error))}; {hint}")
        # The lock of a spec without that section is stale for this one: nobody installs half of it.
        written = msgspec.structs.replace(spec, pip=(), pip_options=())
    return write_lock(lock_path(spec.path), written, here.channels, {aim: installed}, {aim: pip}), notes


def _platform(found: Handmade) -> str:
    subdirs = {record.subdir for record in found.conda} - {"noarch", ""}
    platform = min(subdirs) if len(subdirs) == 1 else PLATFORMS.get(found.machine, "")
    if platform not in PLATFORMS.values():
        raise InputError(f"an environment for {platform or found.machine} cannot be adopted")
    return platform


def _canonical(records: Sequence[CondaRecord]) -> list[CondaRecord]:
    """Give each record the URL that everybody knows its package by, whatever mirror it came from; empty: none."""
    config = condarc_channels()
    result = []
    for record in records:
        try:
            url = config.canonical(record.url) if record.url else ""
        except ValueError:  # an address that is none
            url = ""
        file = rf"/[a-z0-9-]+/{re.escape(f'{record.name}-{record.version}-{record.build}')}\.(?:conda|tar\.bz2)"
        result.append(msgspec.structs.replace(record, url=url if re.search(rf"{file}\Z", url) else ""))
    return result


def _completed(records: list[CondaRecord], platform: str, here: Sources) -> tuple[list[CondaRecord], list[str]]:
    """Look up the sha256 that old records lack; returns what to tell of it."""
    lacking = [record for record in records if record.url and not record.sha256]
    if not lacking:
        return records, []
    try:
        offered = run(repodata.records(here, platform, [record.name for record in lacking]))
    except InputError as error:
        return records, [str(error)]
    known = {
        (each.url, each.md5.hex()): each.sha256.hex()
        for of_channel in offered
        for each in of_channel
        if each.sha256 is not None and each.md5 is not None
    }
    found = {record.url: sha256 for record in lacking if (sha256 := known.get((record.url or "", record.md5 or "")))}
    notes = [
        f"the sha256 of {record.title} is its channel's: the host's record has none"
        for record in lacking
        if record.url in found
    ]
    return [msgspec.structs.replace(record, sha256=found.get(record.url, record.sha256)) for record in records], notes


def _pip_section(found: Handmade) -> tuple[list[Distribution], list[str]]:
    """Choose what the pip section can say; returns what to tell of the rest."""
    section, warnings = [], []
    overwritten = found.overwritten or {}
    for each in found.pip:
        if each.name in overwritten:
            was = f"pip had replaced conda's {each.name} {overwritten[each.name]} by {each.version}"
            warnings.append(f"{was}: conda's is adopted; name another version if you need it")
        elif each.kind not in ("index", "url"):
            warnings.append(f"{told(each)}: left out")
        elif masked(each.url) != each.url:
            warnings.append(
                f"{each.name} {each.version} came from a URL with a password ({masked(each.url)}): left out"
            )
        else:
            section.append(each)
    return section, warnings


def _document(
    name: str, found: Handmade, records: Sequence[CondaRecord], pip: Sequence[Distribution], wishes: Wishes
) -> dict[str, Value]:
    """Return the spec."""
    packages = [_package(record) for record in records]
    texts = exact_specs(packages)
    if wishes.requested_only and any(record.requested for record in records):
        kept = [record.requested or record.name == "python" for record in records]
        versions = [text.rpartition("=")[0] for text in texts]  # without the build: there is more to choose from later
        texts = [text for text, keep in zip(versions, kept, strict=True) if keep]
    dependencies: list[Value] = [*texts]
    if pip:
        dependencies.append({"pip": [each.requirement for each in pip]})
    document: dict[str, Value] = {"name": name, "channels": [*channels_of(packages)], "dependencies": dependencies}
    if found.variables:
        document["variables"] = dict(found.variables)
    return document


def _write_spec(path: Path, document: dict[str, Value], heading: Sequence[str]) -> Spec:
    """Write the spec, whole or not at all, and read it back."""
    origin, *warnings = ("".join(char if char.isprintable() else "?" for char in line) for line in heading)
    text = spec_text(document, [f"Adopted from {origin}.", *(f"Note: {each}" for each in warnings)])
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return read_spec(path)


def _strayed(wanted: Sequence[Distribution], locked: Sequence[PipPackage]) -> list[str]:
    """Tell what the lock has beside what was there: something was missing, and pip will add it."""
    names = {each.name for each in wanted}
    more = [f"{each.name} {each.version}" for each in locked if each.name not in names]
    return [f"it lacked what its pip packages need, the lock has it: {', '.join(more)}"] if more else []


def _needed(records: Sequence[CondaRecord], virtual: str) -> str | None:
    """Return the highest version of a virtual package that some record needs at least; None: none needs any."""
    texts = [text for record in records for text in record.depends if text.partition(" ")[0] == virtual]
    versions = [version for text in texts for version in re.findall(r">=\s*(\d+(?:\.\d+)*)", text)]
    return max(versions, key=_numbers, default=None)


def _floor(found: Handmade) -> str:
    """Return the glibc to lock for: the usual one, or what this host and its packages say is possible and needed."""
    needed = _needed(found.conda, "__glibc") or "0"
    floor = max(DEFAULT_GLIBC, needed, key=_numbers)
    return min(floor, found.glibc, key=_numbers) if found.glibc else floor


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _channel_url(url: str) -> str:
    return "/".join(url.split("/")[:-2])


def _package(record: CondaRecord) -> CondaPackage:
    return CondaPackage(
        name=record.name,
        version=record.version,
        build=record.build,
        channel=short_channel(record.url or ""),
        url=record.url or "",
        sha256=record.sha256 or "",
        depends=tuple(record.depends),
        constrains=tuple(record.constrains or ()),
    )


def _repodata_record(record: CondaRecord) -> RepoDataRecord:
    """Write a record as py-rattler has it."""
    from rattler import BuildString, PackageRecord, RepoDataRecord
    from rattler.exceptions import InvalidPackageNameError, InvalidUrlError, InvalidVersionError

    url = record.url or ""
    try:
        package = PackageRecord(
            name=record.name,
            version=record.version,
            build=BuildString.new_unchecked(record.build),
            build_number=record.build_number,
            subdir=url.split("/")[-2],
            noarch=record.noarch,
            depends=list(record.depends),
            constrains=list(record.constrains or ()),
            sha256=bytes.fromhex(record.sha256 or ""),
            md5=bytes.fromhex(record.md5) if record.md5 else None,
            size=record.size,
            python_site_packages_path=record.python_site_packages_path,
        )
        return RepoDataRecord(package, url.rpartition("/")[2], url, _channel_url(url))
    except (InvalidPackageNameError, InvalidUrlError, InvalidVersionError) as error:
        raise InputError(f"the record of {record.title} cannot be locked: {error}") from error
