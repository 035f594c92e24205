"""`set_fact`: variables worked out on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, cast

from msgspec import field

from fleetenv.modules.base import Controller, ControllerModule, Outcome
from fleetenv.source import Value


class SetFact(ControllerModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set variables of the host, for all tasks that follow.

    ```yaml
    - set_fact:
        conda_mirror: "{{ 'tuna' if site == 'beijing' else 'official' }}"
    ```
    """

    name: ClassVar[str] = "set_fact"
    others: ClassVar[str | None] = "variables"

    cacheable: bool = False
    """Accepted for Ansible's sake: facts last for the run, there is no cache."""
    variables: dict[str, object] = field(default_factory=dict)
    """Any name with its value."""

    def __post_init__(self) -> None:
        for name in self.variables:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"'{name}' cannot be the name of a variable")
        if not self.variables:
            raise ValueError("no variable is set: write at least one 'name: value'")

    def perform(self, controller: Controller) -> Outcome:
        """Make them facts."""
        return Outcome(facts=cast("Mapping[str, Value]", self.variables))
