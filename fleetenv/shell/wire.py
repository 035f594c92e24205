"""What the controller and its workers say to each other, over a socketpair of each worker's own.

Requests are pickled: they come from the process that the worker was forked from. Answers are plain data of known shape:
a worker speaks with hosts, and whatever one of them does to it, its answers can be false, but never run as code.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from msgspec import Struct

from fleetenv.errors import InputError, Location, MissingFile, TaskFailed, Unreachable
from fleetenv.remote import Completed, Step
from fleetenv.shell.become import Become
from fleetenv.shell.settings import Settings

_LENGTH = 8  # bytes that tell a message's length


class Open(Struct, frozen=True):
    """Connect to a host; the connection is called by the number of this call."""

    call: int
    settings: Settings


class Talk(Struct, frozen=True):
    """Carry out steps over a connection."""

    call: int
    connection: int
    steps: tuple[Step, ...]
    become: Become | None
    timeout: float | None
    tells: bool  # whether progress is to be told


class Converse(Struct, frozen=True):
    """Carry out steps part by part: an answer `Part` each, and `Done` at the end."""

    call: int
    connection: int
    parts: tuple[tuple[Step, ...], ...]
    become: Become | None
    timeout: float | None
    tells: bool


class Forward(Struct, frozen=True):
    """Let a connection's host reach a port of this machine."""

    call: int
    connection: int
    port: int


class Close(Struct, frozen=True):
    """Close a connection."""

    call: int
    connection: int


class Cancel(Struct, frozen=True):
    """Nobody waits for a call any longer; a connection that it has opened meanwhile is closed."""

    call: int


Order: TypeAlias = Open | Talk | Converse | Forward | Close
"""A request that has an answer."""

Request: TypeAlias = Order | Cancel


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What was said over a connection so far."""

    round_trips: int = 0
    bytes_sent: int = 0


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """A call was carried out."""

    call: int
    user: str  # who is logged in
    results: list[Completed]
    counts: Counts
    port: int | None = None  # of a `Forward`: on the host


class Part(msgspec.Struct, frozen=True, array_like=True, tag="part"):
    """One part of a conversation was carried out; there is more to come."""

    call: int
    results: list[Completed]
    counts: Counts


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """A call was not carried out; `kind` names the error."""

    call: int
    kind: str
    message: str
    location: Location | None
    hint: str | None
    counts: Counts

    @classmethod
    def of(cls, call: int, error: Exception, counts: Counts) -> Failed:
        """Describe an error, so that [`error`][] raises the like of it."""
        kind = next((name for name, each in _KINDS.items() if isinstance(error, each)), "")
        location, hint = (error.location, error.hint) if isinstance(error, InputError) else (None, None)
        message = error.message if isinstance(error, InputError) else str(error) if kind else repr(error)
        return cls(call, kind, _sayable(message), location, hint and _sayable(hint), counts)

    @property
    def error(self) -> Exception:
        """What the caller is to see raised."""
        kind = _KINDS.get(self.kind, RuntimeError)
        if issubclass(kind, InputError):
            return kind(self.message, location=self.location, hint=self.hint)
        return kind(self.message)


class Told(msgspec.Struct, frozen=True, array_like=True, tag="told"):
    """How far the step is that runs now."""

    call: int
    done: float
    total: float
    text: str


Answer: TypeAlias = Done | Part | Failed | Told

_KINDS: dict[str, type[Exception]] = {
    "unreachable": Unreachable,
    "failed": TaskFailed,
    "missing": MissingFile,
    "input": InputError,
    "value": ValueError,
}

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answer)


def encode_request(request: Request) -> bytes:
    """Return a request as it travels."""
    return pickle.dumps(request, pickle.HIGHEST_PROTOCOL)


def decode_request(data: bytes) -> Request:
    """Return the request; only for what came from the process that forked this one."""
    request: Request = pickle.loads(data)  # noqa: S301 - the controller's own words
    return request


def encode_answer(answer: Answer) -> bytes:
    """Return an answer as it travels."""
    return _encoder.encode(answer)


def decode_answer(data: bytes) -> Answer:
    """Parse an answer.

    Raises:
        msgspec.DecodeError: this is none.
    """
    answer: Answer = _decoder.decode(data)
    return answer


def _sayable(text: str) -> str:
    """Return text that UTF-8 can hold: a file's name may have bytes that it cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


class Wire(asyncio.Protocol):
    """One end of the socketpair: whole messages out and in.

    Args:
        receive: called with each message that came.
        lost: called once, when the other end is closed.
    """

    def __init__(self, receive: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._arrived = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self._transport: asyncio.WriteTransport

    @property
    def has_room(self) -> bool:
        """Whether the other end keeps up with what is sent."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until the other end has kept up."""
        await self._room.wait()

    def send(self, message: bytes) -> None:
        """Send a message; one that the other end no longer reads is dropped."""
        self._transport.write(len(message).to_bytes(_LENGTH, "big"))
        self._transport.write(message)

    def close(self) -> None:
        """Close this end."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See [`asyncio.Protocol`][]."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See [`asyncio.Protocol`][]."""
        self._arrived += data
        start = 0
        while len(self._arrived) >= (begin := start + _LENGTH):
            end = begin + int.from_bytes(self._arrived[start:begin], "big")
            if end > len(self._arrived):
                break
            self._receive(bytes(memoryview(self._arrived)[begin:end]))
            start = end
        del self._arrived[:start]

    def pause_writing(self) -> None:
        """See [`asyncio.Protocol`][]."""
        self._room.clear()

    def resume_writing(self) -> None:
        """See [`asyncio.Protocol`][]."""
        self._room.set()

    def connection_lost(self, error: Exception | None) -> None:
        """See [`asyncio.Protocol`][]."""
        self._room.set()
        self._lost()
