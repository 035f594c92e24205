"""What a look at a task in check mode comes to, as bytes that can be compared: would it do the same on another day?"""

from __future__ import annotations

import json
from typing import Any

from fleetenv.engine.perform import Result
from fleetenv.engine.plan import Item
from fleetenv.events import Status
from fleetenv.modules.base import ActionModule
from fleetenv.remote import Run, Step
from fleetenv.state import Content


def would_act(item: Item, result: Result) -> bool:
    """Whether this is an action that only check mode has kept from being carried out."""
    action = isinstance(item.module, ActionModule) and item.meaning.check_mode
    return action and result.status in (Status.SKIPPED, Status.CHANGED)


def substance(item: Item | None, result: Result) -> bytes:
    """Return what would be done: the differences from what was found, or an action's first step, and as whom.

    What was found beside that (times, free memory, what commands print) does not count. All of it may be secret.
    """
    differences = [(each.key, each.wanted, each.found) for each in result.diff.differences] if result.diff else []
    does: list[object] = []
    if item is not None and isinstance(item.module, ActionModule) and would_act(item, result):
        does = [*_words(next(item.module.act(check=False))), item.account.environment]
    become = item.account.become if item is not None else None
    told = [result.status, differences, does, become.user if become else None, item.delegate_to if item else None]
    return json.dumps(told, default=_plain, sort_keys=True).encode()


def _words(step: Step) -> list[object]:
    if isinstance(step, Run):
        return [step.script, step.stdin, dict(step.environment)]
    return [step.path, step.content if isinstance(step.content, bytes) else str(step.content)]


def _plain(value: Any) -> object:
    match value:
        case Content():
            return value.sha256
        case bytes():
            return value.hex()
        case _:
            return str(value)
