"""Driver and CUDA versions: dotted numbers, compared number by number."""

from __future__ import annotations

import re
from typing import TypeAlias

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


def is_branch_of(prefix: str, version: str) -> bool:
    """Whether `version` is `prefix` or one of its branch: `550` and `550.54` both take in `550.54.15`.

    Raises:
        ValueError: one of them is not dotted numbers.
    """
    wanted = parse_version(prefix)
    return parse_version(version)[: len(wanted)] == wanted
