"""What came of a run, on each host, as it is written down. Texts may come from hosts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from fleetenv.events import Status, TaskRef

if TYPE_CHECKING:
    from fleetenv.drift.finding import Finding
    from fleetenv.drift.snapshot import Plain, Snapshot

    _Stored: TypeAlias = Plain
else:
    _Stored = Any  # msgspec decodes no recursive types


class Standing(StrEnum):
    """How one host fared in one run. The worst comes first."""

    LOST = "lost"  # could not be reached, or not to the end
    FAILED = "failed"
    CHANGED = "changed"  # in check mode and drift: would be changed
    SAME = "same"


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


class HostOutcome(Struct, frozen=True, kw_only=True):
    """What came of a run on one host.

    Attributes:
        visit: How it fared; the number of the run is set when it is written.
        tasks: The tasks that `results` name by their place.
        results: How they ended, in order.
        findings: None: none were looked for.
        snapshot: None: none was taken.
        early: Whether it did not come to the end of the playbook.
    """

    visit: HostRun
    tasks: tuple[TaskRef, ...] = ()
    results: tuple[StoredResult, ...] = ()
    findings: Sequence[Finding] | None = None
    snapshot: Snapshot | None = None
    early: bool = False


class RunOutcome(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    finished: datetime
    seconds: float
    exit_status: int
    hosts: Sequence[HostOutcome]
    interrupted: bool = False
    warnings: Sequence[str] = ()
