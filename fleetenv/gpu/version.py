"""Driver and CUDA versions: dotted numbers, compared number by number; and what a playbook says that they should be."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

Version: TypeAlias = tuple[int, ...]

_DOTTED = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}", re.ASCII)


def parse_version(text: str) -> Version:
    """Read `535.104.05` as `(535, 104, 5)`.

    Raises:
        ValueError: it is not dotted numbers.
    """
    if not _DOTTED.fullmatch(text):
        raise ValueError(f"'{text[:40]}' is not a version such as 535.104.05")
    return tuple(int(part) for part in text.split("."))


class Clause(NamedTuple):
    """One part of a wish: `>=535` or `550`."""

    sign: str  # "" for a branch
    version: str

    def takes(self, version: str) -> bool:
        """Whether a version is so."""
        if not self.sign:
            return is_branch_of(self.version, version)
        return _SIGNS[self.sign](_padded(version), _padded(self.version))


_SIGNS: dict[str, Callable[[Version, Version], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def _padded(version: str) -> Version:
    return (*parse_version(version), 0, 0, 0, 0, 0, 0)[:6]


def parse_wish(text: str) -> tuple[Clause, ...]:
    """Read `>=535,<560`, `550.54.15` (that version) or `550` (that branch); all clauses must hold.

    Raises:
        ValueError: it is not that.
    """
    clauses = []
    for part in text.split(","):
        words = part.strip()
        sign = next((sign for sign in _SIGNS if words.startswith(sign)), "")
        version = words.removeprefix(sign).strip()
        try:
            parse_version(version)
        except ValueError as error:
            raise ValueError(
                f"'{part.strip()[:40]}' is neither a version (550.54.15, 550) nor a bound (>=535)"
            ) from error
        clauses.append(Clause(sign, version))
    return tuple(clauses)


def is_branch_of(prefix: str, version: str) -> bool:
    """Whether `version` is `prefix` or one of its branch: `550` and `550.54` both take in `550.54.15`.

    Raises:
        ValueError: one of them is not dotted numbers.
    """
    wanted = parse_version(prefix)
    return parse_version(version)[: len(wanted)] == wanted
