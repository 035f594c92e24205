"""Files of the controller within reach of a host: a small server that knows files by their sha256 alone.

It listens on this machine's loopback; a port that the ssh connection forwards leads there from the host's loopback.
Other users of both machines can connect to those ports, so every path begins with a secret, a new one for each message:
it opens what the steps of that message were offered, while they run, for reading.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import replace

from fleetenv.errors import FleetenvError
from fleetenv.remote import WANTS_FILES, Completed, Offer, Run, Send, Step
from fleetenv.shell.transport import LOOPBACK

CarryOut: TypeAlias = Callable[[Sequence[Step]], Awaitable[list[Completed]]]

_PATIENCE = 30.0  # seconds that a client has to say what it wants
_REQUEST = re.compile(rb"GET /([\w-]+)/([0-9a-f]{64}) HTTP/1\.[01]\r\n")
_RANGE = re.compile(rb"\r\nrange: *bytes=(\d{1,18})-\r\n", re.IGNORECASE)
_WANTED = re.compile(r"^fleetenv-wants ([0-9a-f]{64})$", re.MULTILINE)


class Files:
    """The server of one connection; [`reachable`][] makes one."""

    def __init__(self) -> None:
        self._offers: dict[bytes, dict[bytes, Offer]] = {}  # secret -> sha256 -> what has it
        self._fetched: set[str] = set()  # in the present message, by sha256
        self._server: asyncio.Server
        self._port: int | None = None  # on the host; None: it forwards nothing

    @classmethod
    async def reachable(cls, forward: Callable[[int], Awaitable[int | None]]) -> Files:
        """Start a server and let a host reach it.

        Args:
            forward: makes a port of this machine's loopback reachable from the host's, and returns that one; None: it
                cannot.

        Raises:
            Unreachable: the connection was lost.
        """
        self = cls()
        self._server = await asyncio.start_server(self._answer, LOOPBACK, 0)
        try:
            self._port = await forward(self._server.sockets[0].getsockname()[1])
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Listen no more."""
        self._server.close()

    async def offered(self, steps: Sequence[Step], carry_out: CarryOut) -> list[Completed]:
        """Carry out steps, with all that they are offered in reach.

        Raises:
            FleetenvError: a file that has to be sent cannot be had; beside what `carry_out` raises.
        """
        with self._opened(steps) as (secret, offers):
            url = f"http://{LOOPBACK}:{self._port}/{secret}" if self._port else ""
            reaching = [_reaching(step, url) for step in steps]
            self._fetched.clear()
            results = await carry_out(reaching)
            sent: set[str] = set()
            while results and (step := steps[len(results) - 1]) and (wanted := _wanted(step, results[-1]) - sent):
                assert isinstance(step, Run)
                sends: list[Step] = [
                    Send(await _obtained(offers[each.encode()]), f"{step.arrivals}/{each}", mode=0o644)
                    for each in sorted(wanted)
                ]
                again = await carry_out([*sends, *reaching[len(results) - 1 :]])
                results = results[:-1] + (again[len(sends) :] or again[-1:])
                sent |= wanted
                self._fetched |= wanted
        return [self._told(step, result) for step, result in zip(steps, results, strict=False)]

    def _told(self, step: Step, result: Completed) -> Completed:
        """Add to a result what is worth telling of the files that were fetched."""
        if not isinstance(step, Run) or not step.offers or result.status:
            return result
        notes = dict.fromkeys(note for each in step.offers if each.sha256 in self._fetched for note in each.notes())
        lines = "".join(f"fleetenv-note the controller: {' '.join(note.split())}\n" for note in notes)
        return replace(result, stdout=result.stdout + lines.encode()) if lines else result

    @contextmanager
    def _opened(self, steps: Sequence[Step]) -> Iterator[tuple[str, dict[bytes, Offer]]]:
        secret = secrets.token_urlsafe(24)
        offers = {each.sha256.encode(): each for step in steps if isinstance(step, Run) for each in step.offers}
        self._offers[secret.encode()] = offers
        try:
            yield secret, offers
        finally:
            del self._offers[secret.encode()]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request: whatever comes, it is one of our files or nothing."""
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            asked = _REQUEST.match(head)
            offer = self._offers.get(asked[1], {}).get(asked[2]) if asked else None
            if offer is None:
                writer.write(_head(404, "this is not offered", 0))
                return
            try:
                path = await _obtained(offer)
            except FleetenvError as error:
                writer.write(_head(404, str(error), 0))
                return
            self._fetched.add(offer.sha256)
            await _send(writer, path, _RANGE.search(head))
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            pass  # who asked is gone, or never spoke HTTP
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _reaching(step: Step, url: str) -> Step:
    if not isinstance(step, Run) or not step.offers:
        return step
    return replace(step, environment={**step.environment, "FLEETENV_FILES": url}, offers=())


def _wanted(step: Step, result: Completed) -> set[str]:
    """Return which files a step asks to be sent; only such as it was offered."""
    if not isinstance(step, Run) or result.status != WANTS_FILES:
        return set()
    return {*_WANTED.findall(result.text)} & {each.sha256 for each in step.offers}


async def _obtained(offer: Offer) -> Path:
    return await asyncio.shield(asyncio.wrap_future(offer.obtain()))  # others may wait for the same


async def _send(writer: asyncio.StreamWriter, path: Path, ranged: re.Match[bytes] | None) -> None:
    with path.open("rb") as file:  # on the controller's own disk
        size = path.stat().st_size  # noqa: ASYNC240
        start = int(ranged[1]) if ranged else 0
        if ranged and start >= size:
            writer.write(_head(416, "nothing is left", 0, f"Content-Range: bytes */{size}"))
            return
        part = f"Content-Range: bytes {start}-{size - 1}/{size}"
        writer.write(_head(206, "Partial Content", size - start, part) if ranged else _head(200, "OK", size))
        await writer.drain()
        await asyncio.get_running_loop().sendfile(writer.transport, file, start, size - start)


def _head(status: int, reason: str, length: int, *fields: str) -> bytes:
    """Return the head of an answer; the reason is one line, of characters that a status line can hold."""
    line = " ".join(reason.split())[:500].encode("ascii", "replace").decode()
    told = [f"HTTP/1.1 {status} {line}", f"Content-Length: {length}", "Connection: close", *fields]
    return "".join(f"{each}\r\n" for each in (*told, "")).encode()
