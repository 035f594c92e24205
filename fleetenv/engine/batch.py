"""The hosts that go through a play side by side, and the little that they share while they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from fleetenv.engine.dialogue import Dialogue
from fleetenv.playbook import Included
from fleetenv.playbook.model import Play, Task
from fleetenv.source import Value

Include = Callable[[Play, Task, Mapping[str, Value], Mapping[str, Value]], Included]
"""Reads what a dynamic include names: play, task, the loop's variables, all variables."""


class Batch:
    """One batch of a play: all its hosts at once, or as many as `serial` says."""

    def __init__(
        self,
        play: Play,
        hosts: Sequence[str],
        max_fail_percentage: float | None,
        dialogue: Callable[[str], Dialogue],
        include: Include,
    ) -> None:
        self.play = play
        self.hosts = tuple(hosts)
        self.lost: set[str] = set()  # hosts that failed, or cannot be reached
        self.aborted = False
        self.dialogue = dialogue
        self.include = include
        self._max_fail_percentage = max_fail_percentage
        self._once: dict[int, asyncio.Future[dict[str, Value] | None]] = {}

    def lose(self, host: str) -> None:
        """A host leaves the play; too many that do end it for all."""
        self.lost.add(host)
        limit = self._max_fail_percentage
        if limit is not None and 100 * len(self.lost) / len(self.hosts) > limit:
            self.aborted = True

    def abort(self) -> None:
        """End the play for every host of the batch, each after its present task."""
        self.aborted = True

    def once(self, task: Task) -> tuple[bool, asyncio.Future[dict[str, Value] | None]]:
        """Return whether the caller is to do a `run_once` task, and where its result is left (None: it failed)."""
        if id(task) in self._once:
            return False, self._once[id(task)]
        outcome = asyncio.get_running_loop().create_future()
        self._once[id(task)] = outcome
        return True, outcome
