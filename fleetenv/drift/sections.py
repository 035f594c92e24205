"""The sections of a snapshot, out of what a host answered. Nothing in it is trusted: texts and counts are bounded.

Left out is what changes by itself. Texts that may hold passwords (channels, settings) are masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from fleetenv.conda.lock import short_channel
from fleetenv.conda.pip_conf import masked
from fleetenv.drift.condarc import settings
from fleetenv.drift.snapshot import Plain, Snapshot, leaves
from fleetenv.remote import Completed

if TYPE_CHECKING:
    from fleetenv.gpu.states import Gpu, GpuHost
    from fleetenv.onhost.census import Census
    from fleetenv.onhost.census_disks import Disk
    from fleetenv.onhost.census_environments import Environment as CensusEnvironment
    from fleetenv.onhost.census_layers import Virtualenv as CensusVirtualenv
    from fleetenv.onhost.census_prefixes import Miniconda as CensusMiniconda

T = TypeVar("T")

_LONGEST = 300  # characters of a text
_MOST_THINGS = 300  # of one kind: environments, kernels, ...
_MOST_PACKAGES = 5000  # of one environment
_MOST_LEAVES = 100_000  # of a host
_MEMORY_STEPS = ((16, 1), (128, 4), (1 << 40, 16))  # GiB up to which, and to multiples of what it is rounded up


class Miniconda(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One installation; see fleetenv.onhost.census_prefixes."""

    asked: bool
    conda: str
    python: str
    owner: str
    lacks: str = ""
    writable: list[str] = []
    leftovers: dict[str, str] = {}


class Environment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One environment; see fleetenv.onhost.census_environments."""

    path: str
    prefix: str
    owner: str
    packages: dict[str, str]  # of conda: name -> version, build, channel
    pip: dict[str, str]
    frozen: bool = False
    generation: str = ""
    generations: list[str] = []
    dangling: str = ""
    unread: list[str] = []
    added: list[str] = []
    overwritten: dict[str, str] = {}
    files: dict[str, str] = {}
    owners: dict[str, str] = {}
    more_files: int = 0
    unchecked: bool = False


class Virtualenv(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One virtualenv."""

    base: str
    python: str
    works: bool
    managed: bool
    packages: dict[str, str] = {}


class Kernel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kernel of Jupyter."""

    program: str
    title: str = ""
    gone: bool = False


class Sections(Struct, frozen=True, kw_only=True):
    """The sections about conda and what lies on it. Minicondas, virtualenvs, kernels, files by their paths."""

    miniconda: dict[str, Miniconda] = {}
    condarc: dict[str, dict[str, str]] = {}
    environments: dict[str, Environment] = {}
    virtualenvs: dict[str, Virtualenv] = {}
    kernels: dict[str, Kernel] = {}


def facts_section(completed: Completed) -> dict[str, Plain]:
    """Read what the script of facts wrote; what is not understood is left out."""
    facts: dict[str, Plain] = {}
    for line in islice(completed.text.splitlines(), 1000):
        word, _, rest = line.strip().partition(" ")
        match word:
            case "kernel" | "arch" if rest:
                facts[word] = _short(rest)
            case "os":
                facts["os"] = _short(rest.strip("\"'"))
            case "libc" if rest.startswith("glibc "):
                facts["glibc"] = _short(rest.removeprefix("glibc "))
            case "memory" if match_ := re.fullmatch(r"(\d{1,15}) kB", rest):
                facts["memory_gib"] = _rounded(int(match_[1]) / (1 << 20))
            case _ if word.isdecimal() and len(word) < 8:
                if rest == "cpu":
                    facts["cpus"] = int(word)
                elif rest.startswith("model "):
                    facts["cpu"] = _short(" ".join(rest.removeprefix("model ").split()))
    return facts


def gpu_section(host: GpuHost) -> dict[str, Plain]:
    """Return driver and GPUs: by their index, which is what users go by."""
    section: dict[str, Plain] = {"count": len(host.gpus), "vendor": host.vendor.value}
    if host.simulated:
        section["simulated"] = True
    if host.driver:
        section["driver"] = _short(host.driver.version)
        section["flavour"] = host.driver.flavour
    for key, value in (("library", host.library), ("on_disk", host.on_disk), ("cuda", host.cuda)):
        if value is not None:
            section[key] = _short(value)
    section["devices"] = {str(gpu.index): _gpu(gpu) for gpu in host.gpus[:_MOST_THINGS]}
    return section


def conda_sections(census: Census, prefixes: Sequence[str]) -> Sections:
    """Return the sections about conda and what lies on it; environments of the first prefix go by their names alone.

    Raises:
        ValueError: it is more than any host has.
    """
    main = prefixes[0] if prefixes else ""
    sections = Sections(
        miniconda={_short(path): _miniconda(each) for path, each in _some(census.minicondas)},
        condarc={_short(path): settings(text) for path, text in _some(census.condarc)},
        environments={_key(path, each, main): _environment(path, each) for path, each in _some(census.environments)},
        virtualenvs={_short(path): _virtualenv(each) for path, each in _some(census.virtualenvs)},
        kernels={
            _short(path): Kernel(program=_short(each.program), title=_short(each.title), gone=each.gone)
            for path, each in _some(census.kernels)
        },
    )
    if sum(1 for _ in islice(leaves(plain(sections)), _MOST_LEAVES + 1)) > _MOST_LEAVES:
        raise ValueError(f"the host names more than {_MOST_LEAVES} things")
    return sections


def disks_of(census: Census) -> dict[str, Disk]:
    """Return the disks by mount point. They are in no section: they fill and empty by themselves."""
    return {_short(mount): replace(disk, holds=_shorts(disk.holds)) for mount, disk in _some(census.disks)}


def plain(sections: Sections) -> Snapshot:
    """Return sections as a snapshot has them."""
    snapshot: Snapshot = msgspec.to_builtins(sections)
    return snapshot


def typed(snapshot: Snapshot) -> Sections:
    """Return the sections about conda of a snapshot.

    Raises:
        msgspec.ValidationError: it is none of a fleetenv that knows these sections.
    """
    return msgspec.convert(snapshot, Sections)


def _miniconda(seen: CensusMiniconda) -> Miniconda:
    return Miniconda(
        asked=seen.asked,
        conda=_short(seen.conda),
        python=_short(seen.python),
        owner=_short(seen.owner),
        lacks=_short(seen.lacks),
        writable=_shorts(seen.writable),
        leftovers=_texts(seen.leftovers),
    )


def _virtualenv(seen: CensusVirtualenv) -> Virtualenv:
    return Virtualenv(
        base=_short(seen.base),
        python=_short(seen.python),
        works=seen.works,
        managed=seen.managed,
        packages=_texts(seen.packages),
    )


def _gpu(gpu: Gpu) -> Plain:
    values: dict[str, Plain] = {
        "model": gpu.model,
        "uuid": gpu.uuid,
        "serial": gpu.serial,
        "bus_id": gpu.bus_id,
        "vbios": gpu.vbios,
        "memory_mib": gpu.memory_mib,
        "persistence": gpu.persistence,
        "compute_mode": gpu.compute_mode,
        "mig": gpu.mig,
        "mig_devices": gpu.mig_devices,
        "ecc": gpu.memory.ecc,
        "retired_pages": gpu.memory.retired_pages,
        "remapped_rows": gpu.memory.remapped_rows,
        "uncorrected": gpu.memory.aggregate.uncorrected,
        "power_limit_w": gpu.power_limit_w,
    }
    return {key: _short(value) if isinstance(value, str) else value for key, value in values.items()}


def _environment(path: str, seen: CensusEnvironment) -> Environment:
    return Environment(
        path=_short(path),
        prefix=_short(seen.prefix),
        owner=_short(seen.owner),
        packages=dict(_packages(seen.packages)),
        pip=_texts(seen.pip),
        frozen=seen.frozen,
        generation=_short(seen.generation),
        generations=_shorts(seen.generations),
        dangling=_short(seen.dangling),
        unread=_shorts(seen.unread),
        added=_shorts(seen.added),
        overwritten=_texts(seen.overwritten),
        files=_texts(seen.files),
        owners=_texts(seen.owners),
        more_files=seen.more,
        unchecked=seen.unchecked,
    )


def _packages(packages: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for name, (version, build, url) in islice(packages.items(), _MOST_PACKAGES):
        channel = short_channel(masked(url)) if url else ""
        yield _short(name), _short(f"{version} {build} {channel}".strip())


def _key(path: str, environment: CensusEnvironment, main: str) -> str:
    """Return what an environment goes by: of the one Miniconda that is the same on all hosts, its name."""
    return _short(environment.name if environment.prefix == main else path)


def _rounded(gib: float) -> int:
    """Return a memory's size as it is sold: the kernel keeps some of it for itself, not everywhere as much."""
    step = next(step for most, step in _MEMORY_STEPS if gib <= most)
    return -(-int(gib * 1024) // (step * 1024)) * step


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _shorts(texts: Iterable[str]) -> list[str]:
    return [_short(text) for text in islice(texts, _MOST_THINGS)]


def _texts(texts: Mapping[str, str]) -> dict[str, str]:
    return {_short(key): _short(value) for key, value in islice(texts.items(), _MOST_PACKAGES)}


def _some(things: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    return islice(things.items(), _MOST_THINGS)
