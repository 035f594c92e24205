"""`fail`: stop with a message."""

from __future__ import annotations

from typing import ClassVar

from fleetenv.modules.base import Controller, ControllerModule, Outcome


class Fail(ControllerModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fail with a message, mostly together with `when`.

    ```yaml
    - fail: {msg: "{{ inventory_hostname }} has no scratch disk"}
      when: scratch_size == 0
    ```
    """

    name: ClassVar[str] = "fail"

    msg: str = "Failed as requested from task"
    """Why."""

    def perform(self, controller: Controller) -> Outcome:
        """Fail."""
        return Outcome(failed=True, msg=self.msg)
