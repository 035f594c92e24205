"""`ping`: whether a host answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from fleetenv.errors import TaskFailed
from fleetenv.modules.base import StateModule
from fleetenv.remote import Completed, Probe, Step
from fleetenv.source import Value
from fleetenv.state import Diff, State


class Answered(State, frozen=True, kw_only=True):
    """The host's shell ran what it was sent."""

    answered: bool


class Ping(StateModule[Answered], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log in, and have the host's shell answer. Nothing is needed there: no Python.

    ```yaml
    - ping:
    ```
    """

    name: ClassVar[str] = "ping"

    data: str = "pong"
    """What is registered as `ping`; `crash` fails."""

    def observe(self) -> Probe[Answered]:
        """Ask for a sign of life."""
        return Probe("echo fleetenv-pong", _parse)

    def desired(self, found: Answered | None) -> Answered:
        """Return that it answers."""
        if self.data == "crash":
            raise TaskFailed("boom")
        return Answered(answered=True)

    def converge(self, diff: Diff[Answered]) -> Iterator[Step]:
        """A shell that does not answer cannot be mended."""
        raise TaskFailed("the host's shell does not run what it is sent")

    def returns(self, found: Answered | None) -> Mapping[str, Value]:
        """Return `ping`."""
        return {"ping": self.data}


def _parse(completed: Completed) -> Answered:
    return Answered(answered=completed.text == "fleetenv-pong\n")
