"""What a plan comes to, in a few lines below the differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from fleetenv.drift.snapshot import Plain
from fleetenv.remote import sh
from fleetenv.report.plan.document import HostPlan, Planned
from fleetenv.report.text import counted, visible_line

_MOST_ACTIONS = 20


def summary(hosts: Mapping[str, HostPlan]) -> Iterator[str]:
    """Yield lines: the actions, which no difference shows, and how many hosts would be changed."""
    actions = Counter(_action(task) for host in hosts.values() for task in host.tasks if task.acts)
    if actions:
        yield "Would run (what they change is known only then)"
        for text, number in actions.most_common(_MOST_ACTIONS):
            yield f"  {text}  on {counted(number, 'host')}"
        if len(actions) > _MOST_ACTIONS:
            yield f"  and {len(actions) - _MOST_ACTIONS} more"
    verdicts = Counter[str](host.verdict for host in hosts.values())
    words = [
        f"{counted(verdicts[verdict], 'host')} {said}"
        for verdict, said in (
            ("changes", "to change"),
            ("nothing", "with nothing to do"),
            ("failed", "failed: not to be applied"),
            ("unreachable", "could not be looked at: not to be applied"),
        )
        if verdicts[verdict]
    ]
    yield f"Plan: {', '.join(words) or 'no hosts'}"


def _action(task: Planned) -> str:
    name = f"{task.role} : {task.task}" if task.role else task.task
    item = f" ({task.item})" if task.item is not None else ""
    command = _line(task.command)
    return visible_line(f"{name}{item}{': ' + command if command else ''}")


def _line(command: Plain) -> str:
    if isinstance(command, list):
        return sh(*(str(word) for word in command))
    return str(command or "")
