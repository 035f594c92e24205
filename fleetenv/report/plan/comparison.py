"""Whether hosts are still as they were when a plan was made: it is applied as it was reviewed, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleetenv.report.plan.document import HostPlan, Planned


def gaps(hosts: Mapping[str, HostPlan]) -> Iterator[str]:
    """Say for which hosts a plan ends before its time: what apply would do there is not known."""
    for name, host in hosts.items():
        if host.verdict == "unreachable":
            yield f"{name} could not be looked at: {host.why}"
        elif host.verdict == "failed":
            failed = next(each for each in host.tasks if each.status == "failed")
            yield f"{name} failed at {_title(failed)}{_said(failed)}"


def deviations(planned: Mapping[str, HostPlan], now: Mapping[str, HostPlan]) -> Iterator[str]:
    """Say what would be done otherwise than planned, host by host; nothing: the plan holds."""
    for name, host in now.items():
        if name not in planned:
            yield f"{name} is not in the plan"
        elif host.verdict == "unreachable":
            yield f"{name} cannot be looked at: {host.why}"
        else:
            yield from (f"{name}: {each}" for each in _deviations(planned[name].tasks, host.tasks))


def _deviations(planned: Sequence[Planned], now: Sequence[Planned]) -> Iterator[str]:
    before, after = _by_place(planned), _by_place(now)
    for key, task in after.items():
        if key not in before:
            yield f"{_title(task)} had nothing to do, and now has{_said(task)}"
        elif task.seal != before[key].seal:
            yield f"{_title(task)} would do something else{_said(task)}"
    for key, task in before.items():
        if key not in after:
            yield f"{_title(task)} has nothing to do any more"


def _by_place(tasks: Sequence[Planned]) -> dict[tuple[object, ...], Planned]:
    """Tell tasks by where they are written, and how often the host has come there: a role may be used twice."""
    known: dict[tuple[object, ...], Planned] = {}
    for task in tasks:
        number = 0
        while (key := (*task.place, number)) in known:
            number += 1
        known[key] = task
    return known


def _title(task: Planned) -> str:
    name = f"{task.role} : {task.task}" if task.role else task.task
    return f"'{name}'" + (f" ({task.item})" if task.item is not None else "")


def _said(task: Planned) -> str:
    """Name what differs now, or say why it failed."""
    if task.diff:
        some = ", ".join(str(each["key"]) for each in task.diff[:3])
        return f": {some}" + (", ..." if len(task.diff) > 3 else "")
    return f": {task.msg}" if task.msg and not task.acts else ""
