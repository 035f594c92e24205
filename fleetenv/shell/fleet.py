"""The same work on many hosts side by side: what `ping` and `run` do, without plays and tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from msgspec import Struct

from fleetenv.errors import HostError
from fleetenv.shell.connection import Connect, Connection
from fleetenv.shell.settings import Settings

T = TypeVar("T")


class Visit(Struct, Generic[T], frozen=True):
    """How the work went on one host: `result`, or the `error` that ended it."""

    host: str
    result: T | None
    error: HostError | None
    seconds: float  # to connect and to work
    round_trips: int


async def visit(
    hosts: Iterable[Settings], work: Callable[[Connection], Awaitable[T]], *, connect: Connect, forks: int
) -> AsyncIterator[Visit[T]]:
    """Connect to every host and do the work there, on `forks` hosts at once; yield each visit as it ends.

    Raises:
        InputError: a key or an ssh configuration cannot be used.
    """
    free = asyncio.Semaphore(forks)

    async def one(settings: Settings) -> Visit[T]:
        async with free:
            start = time.monotonic()
            trips = 0
            result, error = None, None
            try:
                async with await connect(settings) as connection:
                    try:
                        result = await work(connection)
                    finally:
                        trips = connection.round_trips
            except HostError as reason:
                error = reason
            return Visit(settings.host, result, error, time.monotonic() - start, trips)

    tasks = [asyncio.create_task(one(settings)) for settings in hosts]
    try:
        for ended in asyncio.as_completed(tasks):
            yield await ended
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
