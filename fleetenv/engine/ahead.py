"""Actions that go over to a host before their turn: those that are certain to follow the present one if it succeeds.

The host does one after the other and stops at the first that fails, so it does what it would be told one by one. Each
result is taken at its task's turn, as it comes: to whoever looks on, nothing else happens, but sooner.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence

from fleetenv.engine.dialogue import Dialogue, OnProgress, within
from fleetenv.engine.lookahead import Lookahead
from fleetenv.engine.plan import Item
from fleetenv.remote import Completed, Step


class Ahead:
    """The steps of one host's actions."""

    def __init__(self, lookahead: Lookahead) -> None:
        self._lookahead = lookahead
        self._told: deque[Step] = deque()  # what the host was told, and whose results were not taken yet
        self._results: AsyncGenerator[list[Completed], None] | None = None
        self._progress: OnProgress = _nobody

    @property
    def is_committed(self) -> bool:
        """Whether the host is on its way through tasks whose turn has not come."""
        return bool(self._told)

    async def act(
        self,
        step: Step,
        item: Item,
        siblings: Sequence[Item],
        dialogue: Dialogue,
        progress: OnProgress,
        timeout: float | None,
    ) -> Completed:
        """Carry out a step of an item's action, or take its result if it went along with an earlier one.

        Raises:
            TaskFailed: as [`Dialogue.converse`][fleetenv.engine.dialogue.Dialogue.converse].
            Unreachable: likewise.
        """
        step = within(step, item.account)
        self._progress = progress
        if not self._told:
            coming = self._lookahead.coming(item, siblings)
            self._told.extend((step, *coming.steps))
            self._results = dialogue.converse(
                [[each] for each in self._told],
                item.account,
                then=coming.questions,
                progress=self._tell,
                timeout=timeout,
            )
        if self._results is None or self._told.popleft() != step:
            raise RuntimeError(f"the host was told something else than {step}")
        try:
            (done,) = await anext(self._results)
        except BaseException:
            self._told.clear()
            raise
        if done.status != 0 or not self._told:
            await self.end()
        return done

    async def end(self) -> None:
        """Take no further results."""
        self._told.clear()
        if self._results is not None:
            await self._results.aclose()
            self._results = None

    def _tell(self, done: float, total: float, text: str) -> None:
        self._progress(done, total, text)


def _nobody(done: float, total: float, text: str) -> None:
    """Tell nobody."""
