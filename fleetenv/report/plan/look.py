"""Listens to a run in check mode, and keeps what would be done."""

from __future__ import annotations

from fleetenv.drift.snapshot import Plain
from fleetenv.events import Event, HostLost, RunFinished, RunStarted, Sink, Status, TaskFinished
from fleetenv.report.plain import plain_differences
from fleetenv.report.plan.document import HostPlan, Planned, Verdict
from fleetenv.source import Value

_DOES_NOTHING = frozenset({Status.OK, Status.SKIPPED})


class Look(Sink):
    """Collects each host's part of a plan."""

    def __init__(self) -> None:
        self.interrupted = False
        self._tasks: dict[str, list[Planned]] = {}
        self._failed: set[str] = set()
        self._lost: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case RunStarted():
                self._tasks = {host: [] for host in event.hosts}
            case TaskFinished():
                if event.acts or event.status not in _DOES_NOTHING:
                    self._tasks.setdefault(event.host, []).append(_planned(event))
                if event.status is Status.FAILED:
                    self._failed.add(event.host)
            case HostLost():
                self._lost[event.host] = event.reason
            case RunFinished():
                self.interrupted = event.interrupted

    def hosts(self) -> dict[str, HostPlan]:
        """Return what was collected, by host."""
        return {
            host: HostPlan(verdict=self._verdict(host), why=self._lost.get(host, ""), tasks=tasks)
            for host, tasks in self._tasks.items()
        }

    def _verdict(self, host: str) -> Verdict:
        if host in self._lost:
            return "unreachable"
        if host in self._failed:
            return "failed"
        does = any(each.acts or each.status == Status.CHANGED for each in self._tasks[host])
        return "changes" if does else "nothing"


def _planned(event: TaskFinished) -> Planned:
    task = event.task
    return Planned(
        play=_text(task.play),
        role=None if task.role is None else _text(task.role),
        task=_text(task.name),
        module=task.module,
        item=None if event.item is None else _text(event.item),
        file=_text(task.location.file),
        line=task.location.line,
        status=str(event.status),
        acts=event.acts,
        command=_whole(event.result.get("cmd")) if event.acts else None,
        msg=_text(event.msg),
        diff=[{key: _whole(each) for key, each in difference.items()} for difference in plain_differences(event)],
        seal=event.seal,
    )


def _text(text: str) -> str:
    """Return plain text that UTF-8 can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _whole(value: Value) -> Plain:
    """Return a value as JSON can hold it, nothing cut off: it is what is reviewed."""
    match value:
        case None | bool() | int() | float():
            return value
        case list():
            return [_whole(each) for each in value]
        case dict():
            return {_text(str(key)): _whole(each) for key, each in value.items()}
        case _:
            return _text(str(value))
