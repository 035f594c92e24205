"""Runs and what came of them, as plain data. Texts may come from hosts: escape them wherever they are shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from fleetenv.drift.finding import Finding
from fleetenv.drift.snapshot import Change, Plain, Snapshot
from fleetenv.events import Status, TaskRef

if TYPE_CHECKING:
    _Stored: TypeAlias = Plain
else:
    _Stored = Any  # msgspec decodes no recursive types


class Kind(StrEnum):
    """What a run was for."""

    APPLY = "apply"
    CHECK = "check"  # apply --check
    DRIFT = "drift"
    PLAN = "plan"


class RunState(StrEnum):
    """How far a run came."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"  # the user ended it; what it had done by then is recorded
    RUNNING = "running"  # its process lives on this machine
    DIED = "died"  # its process on this machine is gone and never said how it ended
    UNFINISHED = "unfinished"  # entered from another machine: it runs, or it died


class Standing(StrEnum):
    """How one host fared in one run. The worst comes first."""

    LOST = "lost"  # could not be reached, or not to the end
    FAILED = "failed"
    CHANGED = "changed"  # in check mode and drift: would be changed
    SAME = "same"


class Origin(Struct, frozen=True):
    """A file of the user's, and the git commit that was checked out around it; `dirty`: with changes on top.

    `path` is as the user wrote it. `place` is the same in every clone: `REPOSITORY/playbooks/site.yml`
    where it is in git, else the absolute path.
    """

    path: str
    place: str = ""
    commit: str | None = None  # None: not in a git repository
    dirty: bool | None = None  # None: not known


class Errand(Struct, frozen=True, kw_only=True):
    """What is known of a run before it starts."""

    kind: Kind
    playbook: Origin
    inventory: tuple[Origin, ...] = ()
    command: tuple[str, ...] = ()  # the words of the command line, the values of `-e` left out
    limit: str | None = None
    tags: tuple[str, ...] = ()  # empty: all
    skip_tags: tuple[str, ...] = ()
    user: str = ""
    controller: str = ""  # host name of the machine that it ran on
    version: str = ""  # fleetenv's

    @property
    def is_whole(self) -> bool:
        """Whether no task was left out by tags, so that a finding that it does not have is gone."""
        return not self.tags and not self.skip_tags


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


class HostRun(Struct, frozen=True, kw_only=True):
    """One host in one run, with the counts of apply's recap: `ok` includes changed ones, a loop is one task."""

    run: int
    host: str
    standing: Standing
    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    rescued: int = 0
    ignored: int = 0
    lost: str | None = None  # why it could not be reached, or not to the end
    seconds: float = 0.0
    groups: tuple[str, ...] = ()  # of the inventory, at that time
    errors: int = 0
    warnings: int = 0
    notes: int = 0
    has_snapshot: bool = False


class StoredDifference(Struct, frozen=True):
    """One thing that was not as wanted; None: it was not there. A file's content is `{"sha256": ...}`."""

    key: str
    wanted: _Stored
    found: _Stored


class StoredResult(Struct, frozen=True, array_like=True):
    """A task's result as it is kept; `task` is its place in the visit's tasks."""

    task: int
    status: Status
    item: str | None
    msg: str
    differences: tuple[StoredDifference, ...]
    simulated: bool


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
