"""What happens in a run, as typed events. Console, JSON, JUnit, drift and history all live on these alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

from fleetenv.errors import Location
from fleetenv.source import Value
from fleetenv.state import Diff, Place, State


class Status(StrEnum):
    """How one task ended on one host."""

    OK = "ok"
    CHANGED = "changed"
    FAILED = "failed"
    IGNORED = "ignored"  # failed, but ignore_errors said to go on
    RESCUED = "rescued"  # failed, and a rescue section took over
    SKIPPED = "skipped"
    UNREACHABLE = "unreachable"


class TaskRef(Struct, frozen=True):
    """A task as reports show it."""

    play: str
    name: str  # its name, else its module
    module: str
    location: Location
    role: str | None = None
    handler: bool = False
    tags: tuple[str, ...] = ()


class RunStarted(Struct, frozen=True):
    """Plays and hosts are known, nothing was touched yet."""

    playbook: str
    hosts: tuple[str, ...]
    check_mode: bool
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of each host, without 'all'


class Warned(Struct, frozen=True):
    """Something is allowed, and yet should be otherwise. Said once a run; it may come before the run starts."""

    text: str


class PlayStarted(Struct, frozen=True):
    """A play begins, on these hosts."""

    play: str
    hosts: tuple[str, ...]


class HostBegun(Struct, frozen=True):
    """A host begins to go through the present play: there was room for it among the hosts worked on at once."""

    host: str


class HostEnded(Struct, frozen=True):
    """A host has come to the end of the present play; or to where it failed or was lost, with tasks left."""

    host: str
    early: bool = False


class TaskStarted(Struct, frozen=True):
    """A host has come to a task that needs more than a moment: there are steps to carry out."""

    host: str
    task: TaskRef


class Progress(Struct, frozen=True):
    """A step told how far it is. `text` came from the host."""

    host: str
    task: TaskRef
    done: float
    total: float
    text: str


class TaskFinished(Struct, frozen=True):
    """One task (or one item of its loop) ended on one host.

    `diff` compares what was wanted with what was found first. `found` is that first state, for drift and history.
    Texts in `msg`, `diff`, `found` and `result` may come from the host: escape them wherever they are shown. A task
    with `no_log` comes with all of these empty. `places` is what the task speaks of, whatever came of it.

    `acts`: in check mode, an action that would run now; what it would change nobody knows. `seal` is there where the
    run was asked for it: equal seals mean the very same differences, or the very same command, hidden ones too.
    """

    host: str
    task: TaskRef
    status: Status
    msg: str = ""
    diff: Diff[State] | None = None
    found: State | None = None
    item: str | None = None
    result: Mapping[str, Value] = field(default_factory=dict)
    seconds: float = 0.0
    places: tuple[Place, ...] = ()
    acts: bool = False
    seal: str = ""


class HostLost(Struct, frozen=True):
    """A host cannot be reached (any more); nothing further happens on it."""

    host: str
    reason: str


class HostAnswered(Struct, frozen=True):
    """What a host answered to what it was asked after its plays, question by question; an error where it did not."""

    host: str
    answers: tuple[object, ...]


class RunFinished(Struct, frozen=True):
    """The run is over; `interrupted` when the user ended it."""

    seconds: float
    round_trips: Mapping[str, int]  # host -> messages sent to it
    interrupted: bool = False


Event: TypeAlias = (
    RunStarted
    | Warned
    | PlayStarted
    | HostBegun
    | HostEnded
    | TaskStarted
    | Progress
    | TaskFinished
    | HostLost
    | HostAnswered
    | RunFinished
)


class Sink:
    """Whoever listens to a run. A sink that fails must not fail the run's hosts: it is told in order, on one thread."""

    def __call__(self, event: Event) -> None:
        """Take one event."""
        raise NotImplementedError

    def close(self) -> None:
        """The run is over, in whatever way: write what remains to be written."""
