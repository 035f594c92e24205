"""Counts of how tasks ended on each host, and the exit status that follows from them."""

from __future__ import annotations

from msgspec import Struct, field

from fleetenv.events import Event, HostLost, RunFinished, RunStarted, Sink, Status, TaskFinished, TaskRef

EXIT_FAILED = 2
EXIT_UNREACHABLE = 4
EXIT_INTERRUPTED = 130


class HostCounts(Struct):
    """How many tasks ended how on one host; `ok` includes the changed ones, as in Ansible's recap."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    unreachable: int = 0
    rescued: int = 0
    ignored: int = 0

    def count(self, status: Status) -> None:
        """Count one task."""
        match status:
            case Status.OK:
                self.ok += 1
            case Status.CHANGED:
                self.ok += 1
                self.changed += 1
            case Status.FAILED:
                self.failed += 1
            case Status.SKIPPED:
                self.skipped += 1
            case Status.UNREACHABLE:
                self.unreachable += 1
            case Status.RESCUED:
                self.rescued += 1
            case Status.IGNORED:
                self.ok += 1
                self.ignored += 1

    def as_tuple(self) -> tuple[int, ...]:
        """Return the counts in the order in which a recap shows them."""
        return (self.ok, self.changed, self.unreachable, self.failed, self.skipped, self.rescued, self.ignored)


_WORST = (Status.FAILED, Status.RESCUED, Status.IGNORED, Status.CHANGED, Status.OK, Status.SKIPPED)


class _Loop(Struct):
    """Items of one task that have ended so far: together they count as one."""

    task: TaskRef
    statuses: set[Status] = field(default_factory=set)


class Recap(Sink):
    """Keeps the counts of every host that the run was to look at."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostCounts] = {}
        self.seconds = 0.0
        self.interrupted = False
        self.round_trips = 0
        self._loops: dict[str, _Loop] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case TaskFinished(item=None):
                self._end_loop(event.host)
                self._counts(event.host).count(event.status)
            case TaskFinished():
                loop = self._loops.get(event.host)
                if loop is None or loop.task != event.task:
                    self._end_loop(event.host)
                    loop = self._loops[event.host] = _Loop(event.task)
                loop.statuses.add(event.status)
            case RunStarted():
                self.hosts = {host: HostCounts() for host in event.hosts}
            case HostLost():
                self._end_loop(event.host)
                self._counts(event.host).count(Status.UNREACHABLE)
            case RunFinished():
                for host in list(self._loops):
                    self._end_loop(host)
                self.seconds = event.seconds
                self.interrupted = event.interrupted
                self.round_trips = sum(event.round_trips.values())

    def close(self) -> None:
        """Nothing to write."""

    @property
    def exit_status(self) -> int:
        """0 converged, 2 a task failed, 4 a host was unreachable, 6 both; 130 when the user ended the run."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        failed = any(each.failed for each in self.hosts.values())
        unreachable = any(each.unreachable for each in self.hosts.values())
        return EXIT_FAILED * failed + EXIT_UNREACHABLE * unreachable

    def _counts(self, host: str) -> HostCounts:
        if host not in self.hosts:
            self.hosts[host] = HostCounts()
        return self.hosts[host]

    def _end_loop(self, host: str) -> None:
        loop = self._loops.pop(host, None)
        if loop is not None:
            self._counts(host).count(next(each for each in _WORST if each in loop.statuses))
