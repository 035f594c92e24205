"""Hosts compared with each other: what is not the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.report import Item, Uneven
from fleetenv.drift.tasks import value_words
from fleetenv.severity import Severity
from fleetenv.state import UNSET, Leaf, State, UnsetType

OUTLIER = "outlier"


class Sighting(Struct, frozen=True):
    """What one host has of an item, and what it should have (only as far as its task says)."""

    found: State
    wanted: State | None


def unevenness(item: Item, sightings: Mapping[str, Sighting]) -> Iterator[Uneven]:
    """Yield the values of an item that hosts do not agree about.

    Only fields that their state calls `alike` are compared, and only values that every host's task wants the same (or
    says nothing about): where tasks want different things, hosts differ by intention.
    """
    if len(sightings) < 2:
        return
    seen = {host: dict(_leaves(sighting)) for host, sighting in sightings.items()}
    wanted = [sighting.wanted for sighting in sightings.values()]
    simulated = any(getattr(sighting.found, "simulated", False) is True for sighting in sightings.values())
    for key in sorted({key for leaves in seen.values() for key in leaves}):
        wishes = {_wish(state, key) for state in wanted}
        if len(wishes - {UNSET}) > 1:
            continue
        groups: dict[Leaf, list[str]] = {}
        for host, leaves in seen.items():
            value = leaves.get(key)
            if value is not None or _is_in_mapping(key):
                groups.setdefault(value, []).append(host)
        if len(groups) > 1:
            values = sorted(groups.items(), key=lambda group: (-len(group[1]), str(group[0])))
            yield Uneven(
                item, key, tuple((value, tuple(hosts)) for value, hosts in values), UNSET not in wishes, simulated
            )


def unevenness_findings(uneven: Uneven) -> Iterator[Finding]:
    """Yield a note for each host that has another value than most; none where the playbook says what it should be."""
    if uneven.in_playbook or not uneven.has_majority:
        return
    (usual, most), *others = uneven.values
    for value, hosts in others:
        for host in hosts:
            yield Finding(
                code=OUTLIER,
                host=host,
                subject=f"{uneven.item.title}: {uneven.key}",
                against=Against.FLEET,
                severity=Severity.NOTE,
                text=f"has {value_words(value)}, {len(most)} others have {value_words(usual)}",
                advice="if it should be alike, say so in the playbook",
                item=uneven.item.number,
                simulated=uneven.simulated,
            )


def _leaves(sighting: Sighting) -> Iterator[tuple[str, Leaf]]:
    """Yield `key, value` of the fields that should be alike; keys of mappings are dotted, as in a difference.

    Modules may share one answer of a host, so what is wanted says, too, which of its fields a task is about.
    """
    state = sighting.found
    for name in sorted(state.alike if sighting.wanted is None else state.alike & sighting.wanted.alike):
        value: Any = getattr(state, name, UNSET)
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", each) for key, each in value.items())
        elif value is not UNSET:
            yield name, value


def _wish(state: State | None, key: str) -> Leaf | UnsetType:
    """Return what a state wants at a dotted key; None: that it is not there; UNSET: it says nothing about it."""
    if state is None:
        return None
    name, _, inner = key.partition(".")
    value: Any = getattr(state, name, UNSET)
    if isinstance(value, Mapping):
        value = value.get(inner)
    leaf: Leaf | UnsetType = value
    return leaf


def _is_in_mapping(key: str) -> bool:
    """Whether nothing at a key means 'not there' (a package), and not 'not known' (a driver's version)."""
    return "." in key
