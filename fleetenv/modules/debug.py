"""`debug`: show something."""

from __future__ import annotations

import json
from typing import ClassVar, cast

from fleetenv.errors import InputError
from fleetenv.modules.base import Controller, ControllerModule, Outcome
from fleetenv.source import SourceText, Value
from fleetenv.state import UNSET, UnsetType


class Debug(ControllerModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show a message, or the value of a variable.

    ```yaml
    - debug: {msg: "{{ inventory_hostname }} has {{ gpu_count }} GPUs"}
    - debug: {var: result.stdout_lines}
    ```
    """

    name: ClassVar[str] = "debug"
    raw: ClassVar[frozenset[str]] = frozenset({"var"})

    msg: object = "Hello world!"
    """What to show; of any type."""
    var: str | UnsetType = UNSET
    """A variable or expression, without braces, whose value is shown."""
    verbosity: int = 0
    """Shown only with at least so many `-v`."""

    def perform(self, controller: Controller) -> Outcome:
        """Put the message, or the variable under its own name, into the result."""
        verbosity = controller.variables.get("ansible_verbosity", 0)
        if self.verbosity and isinstance(verbosity, int) and verbosity < self.verbosity:
            return Outcome(skipped=True, values={"skipped_reason": "Verbosity threshold not met."})
        if isinstance(self.var, UnsetType):
            text = self.msg if isinstance(self.msg, str) else _shown(self.msg)
            return Outcome(msg=text, values={"msg": cast("Value", self.msg)})
        expression = _bare(self.var)
        try:
            value = controller.evaluate(expression)
        except InputError as error:
            value = f"VARIABLE IS NOT DEFINED!: {error.message}"
        return Outcome(msg=f"{expression}: {_shown(value)}", values={str(expression): value})


def _bare(text: str) -> str:
    """Return an expression without braces around it; whether it may be evaluated stays as it was."""
    inner = text.strip()
    if inner.startswith("{{") and inner.endswith("}}"):
        inner = inner[2:-2].strip()
    return SourceText(inner, text.location) if isinstance(text, SourceText) else inner


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
