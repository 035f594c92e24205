"""What was found at a prefix: the state of an installation, and how the host's answer is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from msgspec import UNSET, UnsetType

from fleetenv.conda.installers import is_newer
from fleetenv.remote import Completed
from fleetenv.state import State

_RECORD = re.compile(r"(conda|python)-(\d[^-]*)-[^-]+\.json")
_MOST = 1000  # names of environments or processes; nobody reads more


class MinicondaState(State, frozen=True, kw_only=True):
    """An installation of conda.

    `condition` is `complete`, `half-finished` (fleetenv began and did not end), `broken` (finished once, or somebody
    else's; not usable now), `unverified` (somebody else's, works), `something else`, `file` or `denied`.
    """

    alike: ClassVar[frozenset[str]] = frozenset({"conda", "python"})

    condition: str | UnsetType = UNSET
    conda: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    uid: int | UnsetType = UNSET
    terms: str | UnsetType = UNSET  # 'accepted' or 'not accepted'; unset where conda does not ask
    python: str | UnsetType = UNSET
    environments: tuple[str, ...] | UnsetType = UNSET
    processes: tuple[str, ...] | UnsetType = UNSET
    writable: bool | UnsetType = UNSET


def read_state(completed: Completed) -> MinicondaState | None:
    """Read what `miniconda_look.sh` prints; None where nothing is, or only what fleetenv left of a transfer.

    Raises:
        ValueError: it is no such answer.
    """
    told = _pairs(completed)
    kind = _one(told, "kind")
    if kind == "absent":
        return None
    if kind != "folder":
        return MinicondaState(condition={"other": "file", "denied": "denied"}.get(kind, "denied"))
    has = {key for key, _ in told}
    if "content" not in has and "started" not in has:
        return None
    uid = _one(told, "uid")
    environments = [*_all(told, "environment"), *_all(told, "built")]
    return MinicondaState(
        condition=_condition(has, {name for name, _ in _records(told)}),
        conda=_newest(told, "conda"),
        python=_newest(told, "python"),
        owner=_one(told, "owner") or UNSET,
        uid=int(uid) if uid.isdecimal() else UNSET,
        terms=_terms(told),
        environments=tuple(dict.fromkeys(environments))[:_MOST],
        processes=tuple(_all(told, "process"))[:_MOST],
        writable="writable" in has,
    )


def _condition(has: set[str], records: set[str]) -> str:
    if "started" in has:
        return "half-finished"
    if "history" not in has and "finished" not in has:
        return "something else"
    whole = {"history", "python", "conda"} <= has and records == {"conda", "python"}
    if "finished" in has:
        return "complete" if whole else "broken"
    return "unverified" if whole and "answers" in has else "broken"


def _terms(told: Sequence[tuple[str, str]]) -> str | UnsetType:
    if not any(record.startswith("conda-anaconda-tos-") for record in _all(told, "record")):
        return UNSET
    return "accepted" if len(_all(told, "accepted")) == 2 else "not accepted"


def _records(told: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Name and version of the records that count, from the names of their files."""
    matches = (_RECORD.fullmatch(record) for record in _all(told, "record"))
    return [(matched[1], matched[2]) for matched in matches if matched]


def _newest(told: Sequence[tuple[str, str]], name: str) -> str | UnsetType:
    newest: str | None = None
    for each, version in _records(told):
        if each == name and (newest is None or is_newer(version, newest)):
            newest = version
    return newest or UNSET


def _pairs(completed: Completed) -> list[tuple[str, str]]:
    words = completed.text.split("\0")
    if completed.status or len(words) % 2 == 0 or words[0] != "kind":
        raise ValueError(completed.error_text.strip()[-300:] or "the answer about Miniconda is not understood")
    return list(zip(words[0:-1:2], words[1:-1:2], strict=True))


def _all(told: Sequence[tuple[str, str]], key: str) -> list[str]:
    return [value for name, value in told if name == key]


def _one(told: Sequence[tuple[str, str]], key: str) -> str:
    return next(iter(_all(told, key)), "")
