"""Runs and what came of them, as they are read. Texts may come from hosts: escape them wherever they are shown.

What is written when a run starts, and when it ends, is in `errand` and `outcome`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from fleetenv.drift.finding import Finding
from fleetenv.drift.snapshot import Change, Plain, Snapshot
from fleetenv.events import Status, TaskRef
from fleetenv.history.errand import Errand, Kind, Origin
from fleetenv.history.outcome import HostRun, Standing, StoredDifference, StoredResult

__all__ = [
    "DatedChange",
    "Errand",
    "HostChanges",
    "HostRun",
    "HostSnapshot",
    "Kind",
    "Origin",
    "Run",
    "RunFinding",
    "RunPoint",
    "RunState",
    "Standing",
    "StoredDifference",
    "StoredResult",
    "Streak",
    "Tally",
    "TaskResult",
    "ValuePoint",
]


class RunState(StrEnum):
    """How far a run came."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"  # the user ended it; what it had done by then is recorded
    RUNNING = "running"  # its process lives on this machine
    DIED = "died"  # its process on this machine is gone and never said how it ended
    UNFINISHED = "unfinished"  # entered from another machine: it runs, or it died


class Tally(Struct, frozen=True):
    """How many hosts fared how, and how many findings there are of each severity (waived ones left out)."""

    hosts: int = 0
    lost: int = 0
    failed: int = 0
    changed: int = 0
    same: int = 0
    errors: int = 0
    warnings: int = 0
    notes: int = 0

    @property
    def findings(self) -> int:
        """All findings that were not waived."""
        return self.errors + self.warnings + self.notes


class Run(Struct, frozen=True, kw_only=True):
    """One run. `seconds`, `finished` and `exit_status` are None until it has ended."""

    number: int
    errand: Errand
    state: RunState
    started: datetime
    finished: datetime | None
    seconds: float | None
    exit_status: int | None
    tally: Tally
    warnings: tuple[str, ...] = ()  # what was said to be allowed, and should be otherwise


class TaskResult(Struct, frozen=True, kw_only=True):
    """How one task, or one item of its loop, ended on one host."""

    task: TaskRef
    status: Status
    item: str | None = None
    msg: str = ""
    differences: tuple[StoredDifference, ...] = ()
    simulated: bool = False


class HostSnapshot(Struct, frozen=True):
    """A host's snapshot and the run that took it. Parts are shared between snapshots: never change one."""

    host: str
    run: int
    taken: datetime  # when that run started
    snapshot: Snapshot


class RunFinding(Struct, frozen=True):
    """A finding and the run that made it, or made it last. Its `first_seen` is set."""

    run: int
    finding: Finding


class Streak(Struct, frozen=True, kw_only=True):
    """From when until when a host had a finding. `gone` None: it still had it when it was last looked at."""

    host: str
    code: str
    subject: str
    first_seen: datetime
    gone: datetime | None


class DatedChange(Struct, frozen=True):
    """A value that changed, and the run that first saw it as it is now."""

    change: Change
    run: int
    first_seen: datetime
    applied: int | None = None  # the last apply of fleetenv's that changed the host between two looks, if there was one


class HostChanges(Struct, frozen=True):
    """What changed on one host between two looks; either is the oldest or newest there is."""

    host: str
    before: int  # run
    before_taken: datetime
    after: int
    after_taken: datetime
    changes: tuple[DatedChange, ...]


class RunPoint(Struct, frozen=True):
    """One run in a plot."""

    run: int
    kind: Kind
    started: datetime
    tally: Tally


class ValuePoint(Struct, frozen=True):
    """From `run` on a value of a host was `value`, until the next point; None: it was not there."""

    run: int
    taken: datetime
    value: Plain
