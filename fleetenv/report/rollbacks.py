"""What a rollback did on each host, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from fleetenv.errors import HostError, Unreachable
from fleetenv.onhost.rollback import Above, Rollback
from fleetenv.remote import sh
from fleetenv.report.text import counted, visible_line

Answer: TypeAlias = Rollback | HostError
"""What a host did, or why it could not."""


def rollback_text(name: str, answers: Mapping[str, Answer], *, check: bool) -> str:
    """Return a line a host, and what to do so that it stays."""
    return "".join(f"{line}\n" for line in _lines(name, answers, check=check))


def _lines(name: str, answers: Mapping[str, Answer], *, check: bool) -> Iterator[str]:
    width = max(len(visible_line(host)) for host in answers)
    switched = 0
    for host, answer in answers.items():
        yield f"{visible_line(host):<{width}}  {visible_line(_told(answer, check=check))}"
        switched += isinstance(answer, Rollback) and answer.switched
        if isinstance(answer, Rollback):
            yield from (f"{'':<{width}}  {visible_line(_left(each))}" for each in answer.virtualenvs)
    verb = "would be switched" if check else "switched"
    yield ""
    yield f"{name} {verb} on {counted(switched, 'host')} of {len(answers)}"
    if switched and not check and name.startswith("/"):
        yield "the next 'apply' goes by its requirements and its environment again: to stay, put those back, too"
    elif switched and not check:
        yield f"the next 'apply' goes by envs/{name}.lock again: to stay, put it and its spec back in git, too"


def _left(above: Above) -> str:
    """Say what becomes of a virtualenv that stands on another generation."""
    stays = f"{above.path} stays on {above.base}; "
    if above.generation:
        return stays + f"this moves it, too: {sh('fleetenv', 'rollback', above.path, '--to', above.generation)}"
    return stays + "its task in the next 'apply' builds it anew"


def _told(answer: Answer, *, check: bool) -> str:
    match answer:
        case Unreachable():
            return f"unreachable: {answer}"
        case HostError():
            return f"failed: {answer}"
        case Rollback(switched=True):
            return f"{answer.before or 'nothing'} -> {answer.after}{' (not done: check mode)' if check else ''}"
        case Rollback(elsewhere=str(host)) if host:
            return f"{answer.before or 'nothing'} -> {answer.after}, by {host}, which shares this prefix"
        case _:
            return f"{answer.after} already"
