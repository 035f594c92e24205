"""`meta`: what a task can tell the engine itself."""

from __future__ import annotations

from typing import ClassVar, Literal

from fleetenv.modules.base import Controller, ControllerModule, Outcome


class Meta(ControllerModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell fleetenv itself something: run handlers now, leave the play.

    ```yaml
    - meta: flush_handlers
    ```
    """

    name: ClassVar[str] = "meta"
    free_form: ClassVar[str | None] = "action"

    action: Literal[
        "flush_handlers",
        "noop",
        "end_host",
        "end_play",
        "end_batch",
        "clear_facts",
        "clear_host_errors",
        "reset_connection",
    ]
    """`flush_handlers` runs the handlers notified so far; `end_host` ends the play for this host alone."""

    def perform(self, controller: Controller) -> Outcome:
        """Do nothing: the engine acts on `action` before it comes to this."""
        return Outcome()
