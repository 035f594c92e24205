"""`setup`: facts about a host, under Ansible's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import ClassVar

import msgspec

from fleetenv.modules.base import StateModule
from fleetenv.modules.facts import SCRIPT, parse_facts
from fleetenv.remote import Completed, Probe, Step
from fleetenv.source import Value
from fleetenv.state import Diff, State


class Facts(State, frozen=True, kw_only=True):
    """Facts by name, without `ansible_`."""

    facts: Mapping[str, object]


class Setup(StateModule[Facts], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gather facts about the host: `ansible_hostname`, `ansible_distribution`, `ansible_memtotal_mb` and more.

    ```yaml
    - setup: {filter: [ansible_distribution*]}
    ```

    A play does this by itself unless it says `gather_facts: false`. Every fact is there twice, as Ansible has it:
    `ansible_hostname` and `ansible_facts.hostname`. Nothing is needed on the host: no Python.
    """

    name: ClassVar[str] = "setup"

    filter_: tuple[str, ...] = msgspec.field(name="filter", default=())
    """Patterns of the names that are wanted; none: all."""
    gather_subset: tuple[str, ...] = ("all",)
    """Accepted for Ansible's sake: everything is one question anyway."""
    gather_timeout: int = 10
    """Accepted for Ansible's sake."""
    fact_path: str = ""
    """Accepted for Ansible's sake: local facts are not read."""

    def observe(self) -> Probe[Facts | None]:
        """Ask for everything at once."""
        return Probe(SCRIPT, _parse)

    def desired(self, found: Facts | None) -> Facts | None:
        """Return what was found: facts are never wrong."""
        return found

    def converge(self, diff: Diff[Facts]) -> Iterator[Step]:
        """Nothing ever differs."""
        return iter(())

    def facts(self, found: Facts | None) -> Mapping[str, Value]:
        """Return the facts with `ansible_` before them."""
        every = {} if found is None else found.facts
        patterns = [pattern.removeprefix("ansible_") for pattern in self.filter_ if pattern]
        return {
            f"ansible_{name}": value  # type: ignore[misc]  # parse_facts makes nothing but Values
            for name, value in every.items()
            if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
        }


def _parse(completed: Completed) -> Facts:
    return Facts(facts=parse_facts(completed))
