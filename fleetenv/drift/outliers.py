"""Findings against the fleet: in each group the value that most hosts have, and the hosts that have another one.

A host is no outlier where a smaller group explains its value: 470.82 is right on the V100 hosts if most of these have
it, whatever most of all hosts have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

from fleetenv.drift.codes import CODES
from fleetenv.drift.finding import Finding
from fleetenv.drift.snapshot import Plain, Snapshot
from fleetenv.drift.tasks import value_words

CODE = "outlier"
SECTIONS = {
    "miniconda": "miniconda",
    "condarc": "condarc",
    "gpu_driver": "gpus",
    "gpu_settings": "gpus",
    "conda_env": "environments",
    "virtualenv": "virtualenvs",
}
"""Which section of a snapshot a module's tasks speak of."""

_FEWEST = 3  # hosts of a group: of two nobody knows which is the odd one
_FACTS = ("os", "kernel", "glibc", "arch", "cpus", "cpu", "memory_gib")
_GPUS = ("driver", "flavour", "library", "cuda", "count", "models")
_MOST_NAMED = 5

Subject = tuple[str, str]  # section, and what of it


class _Odd(NamedTuple):
    group: str
    size: int
    value: Plain
    usual: Plain
    have: int


def fleet_findings(
    snapshots: Mapping[str, Snapshot], groups: Mapping[str, Iterable[str]], settled: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """Yield a note for each host and subject that is not as in most hosts of its group.

    Args:
        snapshots: By host.
        groups: The inventory's, `all` among them.
        settled: For each host the subjects that the playbook speaks of: if they differ, a finding tells already.
    """
    members = {name: [host for host in dict.fromkeys(hosts) if host in snapshots] for name, hosts in groups.items()}
    members = {name: hosts for name, hosts in members.items() if len(hosts) >= _FEWEST}
    values: dict[Subject, dict[str, dict[str, Plain]]] = defaultdict(dict)
    for host, snapshot in snapshots.items():
        for section, subject, leaves in _comparable(snapshot):
            if section not in settled.get(host, ()) and subject not in settled.get(host, ()):
                values[section, subject][host] = leaves
    for (section, subject), by_host in values.items():
        yield from _subject(section, subject, by_host, members, snapshots)


def _subject(
    section: str,
    subject: str,
    by_host: Mapping[str, Mapping[str, Plain]],
    groups: Mapping[str, list[str]],
    snapshots: Mapping[str, Snapshot],
) -> Iterator[Finding]:
    odd: dict[str, dict[str, _Odd]] = defaultdict(dict)  # host -> key -> how
    for key in sorted({key for leaves in by_host.values() for key in leaves}):
        for host, how in _outliers(key, by_host, groups).items():
            odd[host][key] = how
    for host, keys in odd.items():
        told = [_words(key, how) for key, how in list(keys.items())[:_MOST_NAMED]]
        more = len(keys) - len(told)
        yield Finding(
            code=CODE,
            host=host,
            subject=f"{section}: {subject}" if subject else section,
            against=CODES[CODE].against,
            severity=CODES[CODE].severity,
            text="; ".join(told) + (f"; and {more} more" if more else ""),
            advice="if it should be alike, let a task of the playbook say so",
            simulated=section == "gpus" and "simulated" in _section(snapshots[host], "gpus"),
        )


def _outliers(
    key: str, by_host: Mapping[str, Mapping[str, Plain]], groups: Mapping[str, list[str]]
) -> Mapping[str, _Odd]:
    """Return the hosts that have another value than most of a group; of several groups the smallest tells."""
    found: dict[str, _Odd] = {}
    usual: set[str] = set()
    for name, hosts in sorted(groups.items(), key=lambda group: (len(group[1]), group[0])):
        there = {host: _text(by_host[host].get(key)) for host in hosts if host in by_host}
        if len(there) < _FEWEST:
            continue
        (value, have), *_ = Counter(there.values()).most_common(1)
        if 2 * have <= len(there):
            continue
        sample = next(host for host, each in there.items() if each == value)
        for host, each in there.items():
            if each == value:
                usual.add(host)
            elif host not in usual:
                how = _Odd(name, len(there), by_host[host].get(key), by_host[sample].get(key), have)
                found.setdefault(host, how)
    return found


def _words(key: str, how: _Odd) -> str:
    have = f"{how.have} of {how.size} hosts" + ("" if how.group == "all" else f" of {how.group}")
    return f"{key} is {value_words(_text(how.value))}, on {have} it is {value_words(_text(how.usual))}"


def _comparable(snapshot: Snapshot) -> Iterator[tuple[str, str, dict[str, Plain]]]:
    """Yield section, subject and values of what one expects to be alike."""
    facts, gpus = _section(snapshot, "facts"), _section(snapshot, "gpus")
    yield from (("facts", key, {key: facts[key]}) for key in _FACTS if key in facts)
    if gpus.get("count"):
        devices = cast("dict[str, dict[str, Plain]]", gpus.get("devices", {})).values()
        models: list[Plain] = [*sorted(str(device.get("model")) for device in devices)]
        known = {**gpus, "models": models}
        yield from (("gpus", key, {key: known[key]}) for key in _GPUS if known.get(key) is not None)
    for path, miniconda in _things(snapshot, "miniconda"):
        if miniconda.get("asked"):
            yield "miniconda", path, {key: miniconda[key] for key in ("conda", "python") if miniconda.get(key)}
    for path, settings in _things(snapshot, "condarc"):
        yield "condarc", path, dict(settings)
    for name, environment in _things(snapshot, "environments"):
        if not name.startswith("/") and name != "base":  # base goes with Miniconda's version
            packages = {**_section(environment, "packages"), **_section(environment, "pip")}
            yield "environments", name, packages
    for path, virtualenv in _things(snapshot, "virtualenvs"):
        yield "virtualenvs", path, {"python": virtualenv.get("python"), **_section(virtualenv, "packages")}


def _section(snapshot: Mapping[str, Plain], name: str) -> dict[str, Plain]:
    section = snapshot.get(name)
    return section if isinstance(section, dict) else {}


def _things(snapshot: Snapshot, section: str) -> Iterator[tuple[str, dict[str, Plain]]]:
    for name, thing in _section(snapshot, section).items():
        if isinstance(thing, dict):
            yield name, thing


def _text(value: Plain) -> str | None:
    if isinstance(value, list):
        return ", ".join(f"{count} {each}" for each, count in Counter(map(str, value)).items())
    return None if value is None else str(value)
