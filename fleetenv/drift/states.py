"""What a task has seen, as plain data for a snapshot: only what the playbook speaks of, and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from fleetenv.drift.snapshot import Plain
from fleetenv.state import UNSET, Content, Leaf, State

_LONGEST = 300  # characters
_MOST = 200  # values of one task


def observed(found: State, wanted: State | None) -> dict[str, Plain]:
    """Return what was found in the fields that are wanted; the others may change by themselves.

    Args:
        found: What was seen.
        wanted: What should be; None: nothing, so that only its presence counts.
    """
    if wanted is None:
        return {"state": "present"}
    named = [name for name in wanted.__struct_fields__ if getattr(wanted, name) is not UNSET]
    seen = {name: getattr(found, name, UNSET) for name in named}
    return {name: _plain(value) for name, value in islice(seen.items(), _MOST) if value is not UNSET}


def _plain(value: Leaf | Mapping[str, Leaf]) -> Plain:
    match value:
        case None | bool() | int() | float():
            return value
        case Content():
            return value.sha256
        case tuple():
            return [_plain(each) for each in islice(value, _MOST)]
        case Mapping():
            return {_short(str(key)): _plain(each) for key, each in islice(value.items(), _MOST)}
        case _:
            return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
