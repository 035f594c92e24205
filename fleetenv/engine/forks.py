"""How many hosts are worked on at once, and so how many connections are open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fleetenv.engine.dialogue import Dialogue


class Forks:
    """Lets so many hosts be at work, and closes connections of those that are not, where that would be more.

    The connection to a host that a task is delegated to comes on top.
    """

    def __init__(self, most: int, dialogues: Mapping[str, Dialogue]) -> None:
        self._most = most
        self._dialogues = dialogues
        self._free = asyncio.Semaphore(most)
        self._at_work: set[str] = set()
        self._opened: dict[str, None] = {}  # hosts whose connections are open, or were when this was last looked at

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Let a host be at work, as soon as there is room for it."""
        await self.begin(host)
        try:
            yield
        finally:
            self.end(host)

    async def begin(self, host: str) -> None:
        """Wait until there is room for a host, which then is at work."""
        await self._free.acquire()
        self._at_work.add(host)  # first: two that begin at once must see each other
        try:
            if not self._dialogues[host].is_open:
                await self._make_room()
        except BaseException:
            self.end(host)
            raise

    def end(self, host: str) -> None:
        """A host is no longer at work, or waits for others."""
        self._at_work.discard(host)
        self._free.release()

    def note_open(self, host: str) -> None:
        """There is a connection to a host now."""
        self._opened[host] = None

    async def _make_room(self) -> None:
        self._opened = {host: None for host in self._opened if self._dialogues[host].is_open}
        others = [self._dialogues[host] for host in self._opened if host not in self._at_work]
        surplus = len(others) + len(self._at_work) - self._most
        for dialogue in [each for each in others if each.is_idle][: max(surplus, 0)]:
            await dialogue.close()
