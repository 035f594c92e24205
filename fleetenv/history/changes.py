"""What changed on hosts between two looks, and which run first saw each value as it is now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.snapshot import Change, Path, Plain, Snapshot, changes
from fleetenv.history.model import DatedChange, HostChanges, HostSnapshot, Kind
from fleetenv.history.parts import as_kept
from fleetenv.history.runs import Since
from fleetenv.history.snapshots import Snapshots, Step
from fleetenv.remote import sh
from fleetenv.severity import Severity

if TYPE_CHECKING:
    import sqlite3

CODE = "changed"
"""The code of findings against an earlier look."""

NOT_COMPARED = "not-compared"
"""The code of a finding that says there was none."""

_TASKS = "tasks"  # the section that a playbook's tasks make
_THING = 2  # keys of a path that name one thing: `environments`, `nlp_train`
_MOST_TOLD = 6  # changes of one thing that are a finding each
_FOLLOWS = {"generations": "generation"}  # values that change whenever another one of the same thing does
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 120  # characters of a value


class Changes:
    """What changed, from one open history."""

    def __init__(self, connection: sqlite3.Connection, snapshots: Snapshots) -> None:
        self._connection = connection
        self._snapshots = snapshots
        self._others: dict[int, frozenset[int]] = {}

    def since(
        self,
        since: Since,
        hosts: Iterable[str] | None = None,
        *,
        until: Since | None = None,
    ) -> list[HostChanges]:
        """Return what changed on each host (of `hosts`, else on all) since a run or a moment, by host.

        A host is compared as it was at that time (the snapshot of that run, or the last one before it); where its first
        snapshot is younger, with that. Hosts with one snapshot only are left out.

        Args:
            since: run or moment to compare with.
            hosts: only these.
            until: run or moment up to which snapshots count; else the newest.
        """
        newest = self._as_of(until, hosts) if until is not None else self._snapshots.latest(hosts)
        return self.between(self._as_of(since, newest), newest)

    def between(self, before: Mapping[str, HostSnapshot], after: Mapping[str, HostSnapshot]) -> list[HostChanges]:
        """Return what changed on the hosts of `after` since the snapshots of `before`, else since each one's first."""
        made = []
        for host, newest in after.items():
            base = before.get(host) or self._snapshots.first(host)
            if base is None or base.run >= newest.run:
                continue
            made.append(
                HostChanges(host, base.run, base.taken, newest.run, newest.taken, self._dated(host, base, newest))
            )
        return made

    def of(self, before: HostSnapshot, after: HostSnapshot) -> list[Change]:
        """Return what differs between two snapshots; what tasks speak of only if both are of the same playbook."""
        found = list(changes(before.snapshot, after.snapshot))
        if before.run in self._other_playbooks(after.run):
            found = [each for each in found if each.path[0] != _TASKS]
        return found

    def findings(self, since: Since, new: Mapping[str, Snapshot], *, run: int, now: datetime) -> list[Finding]:
        """Return what changed since then as findings (`Against.TIME`), for snapshots that are not recorded yet.

        What an apply of fleetenv's may have changed is a note; what nobody's apply did is a warning. A host that was
        never looked at before has a note that says so.

        Args:
            since: run or moment to compare with.
            new: the snapshots just taken, by host.
            run: the run that took them; earlier ones count.
            now: when they were taken.
        """
        base = self._as_of(since, new, before=run)
        after = {host: HostSnapshot(host, run, now, as_kept(snapshot)) for host, snapshot in new.items()}
        compared = self.between(base, after)
        news = [host for host in after if host not in {each.host for each in compared}]
        return [*map(_not_compared, news), *(finding for each in compared for finding in _findings(each))]

    def _as_of(
        self, moment: Since, hosts: Iterable[str] | None, *, before: int | None = None
    ) -> dict[str, HostSnapshot]:
        if isinstance(moment, datetime):
            found = self._snapshots.at(moment, hosts)
        else:
            found = self._snapshots.latest(hosts, before=moment + 1)
        return {host: each for host, each in found.items() if before is None or each.run < before}

    def _dated(self, host: str, base: HostSnapshot, newest: HostSnapshot) -> tuple[DatedChange, ...]:
        found = self.of(base, newest)
        if not found:
            return ()
        steps = self._snapshots.steps(host, after=base.run, before=newest.run)
        applied = self._applied(host, base.run, newest.run)
        return tuple(self._date(change, base, steps, newest, applied) for change in found)

    def _date(
        self, change: Change, base: HostSnapshot, steps: Sequence[Step], newest: HostSnapshot, applied: Sequence[int]
    ) -> DatedChange:
        """Find the look since which a value is as it is now. `steps` are those between `base` and `newest`."""
        run, taken, last = newest.run, newest.taken, base.run
        for step in reversed(steps):
            value = self._snapshots.value(step, change.path)
            if value is UNSET or (change.path[0] == _TASKS and step.run in self._other_playbooks(newest.run)):
                continue
            if value != change.after:
                last = step.run
                break
            run, taken = step.run, step.taken
        between = [each for each in applied if last < each < run]
        return DatedChange(change, run, taken, between[-1] if between else None)

    def _other_playbooks(self, run: int) -> frozenset[int]:
        """Return the runs of other playbooks than that of a run: they say nothing of its tasks."""
        if run not in self._others:
            rows = self._connection.execute(
                "SELECT id FROM run WHERE playbook <> (SELECT playbook FROM run WHERE id = ?)", (run,)
            )
            self._others[run] = frozenset(number for (number,) in rows)
        return self._others[run]

    def _applied(self, host: str, after: int, before: int) -> Sequence[int]:
        """Return the runs of `apply` that changed a host between two looks, oldest first."""
        rows = self._connection.execute(
            """SELECT run FROM visit JOIN run ON run.id = visit.run
            WHERE host = (SELECT id FROM host WHERE name = ?) AND run > ? AND run < ? AND visit.changed > 0 AND kind = ?
            ORDER BY run""",
            (host, after, before, str(Kind.APPLY)),
        )
        return [run for (run,) in rows]


def _findings(host: HostChanges) -> Iterator[Finding]:
    """Yield a finding for each change; what changed in many places at once, as a new build does, is one."""
    things: dict[Path, list[DatedChange]] = {}
    for each in host.changes:
        things.setdefault(each.change.path[:_THING], []).append(each)
    for path, all_dated in things.items():
        last = {each.change.path[-1] for each in all_dated}
        dated = [each for each in all_dated if _FOLLOWS.get(each.change.path[-1]) not in last]
        if len(dated) <= _MOST_TOLD:
            yield from (_finding(host, each.change.path, _said(each.change, host), [each]) for each in dated)
        else:
            told = ", ".join(
                f"{': '.join(each.change.path[_THING:])} {_shown(each.change.before)} -> {_shown(each.change.after)}"
                for each in dated[:_MOST_TOLD]
            )
            yield _finding(host, path, f"{len(dated)} values are not as {_then(host)}: {told}, ...", dated)


def _not_compared(host: str) -> Finding:
    return Finding(
        code=NOT_COMPARED,
        host=host,
        subject="history",
        against=Against.TIME,
        severity=Severity.NOTE,
        text="has no earlier look: what changed there cannot be told",
        advice="",
    )


def _finding(host: HostChanges, path: Path, text: str, dated: Sequence[DatedChange]) -> Finding:
    unexplained = [each for each in dated if each.applied is None]
    if unexplained:
        advice = "no apply of fleetenv did this: find out who did, then change the playbook, or change it back"
    else:
        applied = max(each.applied or 0 for each in dated)
        text = f"{text}; run {applied} (apply) changed this host before that was seen"
        advice = sh("fleetenv", "show", applied, host.host)
    return Finding(
        code=CODE,
        host=host.host,
        subject=": ".join(path),
        against=Against.TIME,
        severity=Severity.WARNING if unexplained else Severity.NOTE,
        text=text,
        advice=advice,
        first_seen=min(each.first_seen for each in unexplained or dated),
    )


def _said(change: Change, host: HostChanges) -> str:
    if change.before is None and isinstance(change.after, Mapping):
        return f"was not there {_then(host)}, and is now"
    if change.after is None and isinstance(change.before, Mapping):
        return f"was there {_then(host)}, and is gone"
    if change.before is None:
        return f"was not there {_then(host)}, is {_shown(change.after)}"
    if change.after is None:
        return f"was {_shown(change.before)} {_then(host)}, is gone"
    return f"was {_shown(change.before)} {_then(host)}, is {_shown(change.after)}"


def _then(host: HostChanges) -> str:
    return f"on {host.before_taken:%Y-%m-%d %H:%M} (run {host.before})"


def _shown(value: Plain) -> str:
    if isinstance(value, str):
        text = f"sha256 {value[:12]}" if _SHA256.fullmatch(value) else value
    elif isinstance(value, Mapping):
        text = ", ".join(sorted(value))
    elif isinstance(value, list):
        text = ", ".join(_shown(each) for each in value) or "nothing"
    else:
        text = "nothing" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
