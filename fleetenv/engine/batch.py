"""The hosts that go through a play side by side, and the little that they share while they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

from fleetenv.engine.dialogue import Dialogue
from fleetenv.engine.forks import Forks
from fleetenv.engine.turn import Ended
from fleetenv.playbook import Included
from fleetenv.playbook.model import Play, Task
from fleetenv.source import Value

Include = Callable[[Play, Task, Mapping[str, Value], Mapping[str, Value]], Included]
"""Reads what a dynamic include names: play, task, the loop's variables, all variables."""


class Reach(Enum):
    """How much ends when a batch is ended early."""

    BATCH = auto()
    PLAY = auto()
    RUN = auto()  # something failed: no further play begins, and `always` sections still run


class Batch:
    """One batch of a play: all its hosts at once, or as many as `serial` says."""

    def __init__(
        self,
        play: Play,
        hosts: Sequence[str],
        max_fail_percentage: float | None,
        dialogue: Callable[[str], Dialogue],
        include: Include,
        forks: Forks,
    ) -> None:
        self.play = play
        self.hosts = tuple(hosts)
        self.lost: set[str] = set()  # hosts that failed, or cannot be reached
        self.aborted: Reach | None = None
        self.dialogue = dialogue
        self.include = include
        self._forks = forks
        self._max_fail_percentage = max_fail_percentage
        self._once: dict[Task, asyncio.Future[Ended | None]] = {}
        self._doom: Reach | None = None
        self._walking = len(self.hosts)
        self._waiting: list[asyncio.Future[None]] = []

    def lose(self, host: str) -> None:
        """A host leaves the play; too many that do end the run for all."""
        self.lost.add(host)
        limit = self._max_fail_percentage
        if limit is not None and 100 * len(self.lost) / len(self.hosts) > limit:
            self.doom(Reach.RUN)

    def doom(self, reach: Reach) -> None:
        """End it when every host has come as far as this one: all hosts do the task that failed on one."""
        self._doom = self._doom or reach

    def abort(self, reach: Reach) -> None:
        """End the play for every host of the batch, each after its present task."""
        self.aborted = self.aborted or reach

    def once(self, task: Task) -> tuple[bool, asyncio.Future[Ended | None]]:
        """Return whether the caller is to do a `run_once` task, and where its end is told (None: it failed)."""
        if task in self._once:
            return False, self._once[task]
        outcome = self._once[task] = asyncio.get_running_loop().create_future()
        return True, outcome

    @property
    def in_step(self) -> bool:
        """Whether every task may end the run, so that no host may be ahead of the others."""
        return self._max_fail_percentage is not None

    async def meet(self, host: str) -> None:
        """Wait until no host of the batch is at work; meanwhile others may have this one's turn."""
        met = asyncio.get_running_loop().create_future()
        self._waiting.append(met)
        self._go_on_together()
        self._forks.end(host)
        try:
            await met
        finally:
            await self._forks.begin(host)

    def leave(self) -> None:
        """A host has ended its walk: nobody waits for it."""
        self._walking -= 1
        self._go_on_together()

    def _go_on_together(self) -> None:
        if len(self._waiting) == self._walking:
            if self._doom:
                self.abort(self._doom)
            waiting, self._waiting = self._waiting, []
            for met in waiting:
                if not met.done():
                    met.set_result(None)
