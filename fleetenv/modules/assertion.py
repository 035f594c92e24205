"""`assert`: stop where something is not as it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from fleetenv.modules.base import Controller, ControllerModule, Outcome
from fleetenv.source import Value
from fleetenv.state import UNSET, UnsetType


class Assert(ControllerModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fail unless all conditions hold.

    ```yaml
    - assert:
        that:
          - ansible_memtotal_mb > 64000
          - scratch.stat.exists
        fail_msg: this host is too small for training
    ```
    """

    name: ClassVar[str] = "assert"
    raw: ClassVar[frozenset[str]] = frozenset({"that"})
    synonyms: ClassVar[Mapping[str, str]] = {"msg": "fail_msg"}

    that: object
    """A condition as in `when`, or a list of them."""
    fail_msg: object = UNSET
    """Said when one does not hold."""
    success_msg: object = UNSET
    """Said when all hold."""
    quiet: bool = False
    """Say nothing when all hold."""

    def __post_init__(self) -> None:
        if not isinstance(self.that, str | bool | list):
            raise ValueError("'that' must be a condition, or a list of them")

    def perform(self, controller: Controller) -> Outcome:
        """Evaluate the conditions in turn, up to the first that does not hold."""
        conditions = self.that if isinstance(self.that, list) else [self.that]
        for condition in conditions:
            if not controller.evaluate(cast("Value", condition)):
                msg = "Assertion failed" if isinstance(self.fail_msg, UnsetType) else _text(self.fail_msg)
                values: dict[str, Value] = {"assertion": str(condition), "evaluated_to": False}
                return Outcome(
                    failed=True, msg=f"{msg}: {condition}" if msg == "Assertion failed" else msg, values=values
                )
        passed = "All assertions passed" if isinstance(self.success_msg, UnsetType) else _text(self.success_msg)
        return Outcome(msg="" if self.quiet else passed)


def _text(message: object) -> str:
    return "\n".join(str(line) for line in message) if isinstance(message, list) else str(message)
