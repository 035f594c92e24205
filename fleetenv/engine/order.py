"""In which order, and how many at a time, a play takes its hosts."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from fleetenv.errors import InputError
from fleetenv.playbook.model import Play
from fleetenv.source import Value


def ordered(hosts: list[str], order: str) -> list[str]:
    """Put hosts in the order that a play asks for."""
    match order:
        case "sorted" | "reverse_sorted":
            return sorted(hosts, reverse=order == "reverse_sorted")
        case "reverse_inventory":
            return hosts[::-1]
        case "shuffle":
            return random.sample(hosts, len(hosts))
        case _:
            return hosts


def batches(hosts: Sequence[str], sizes: Sequence[Value], play: Play) -> tuple[tuple[str, ...], ...]:
    """Cut hosts as `serial` says: numbers or percentages; the last size goes on until no host is left.

    Raises:
        InputError: a size is no number.
    """
    counts = [_batch_size(size, len(hosts), play) for size in sizes] or [len(hosts)]
    result: list[tuple[str, ...]] = []
    rest = tuple(hosts)
    while rest:
        count = counts[min(len(result), len(counts) - 1)]
        result.append(rest[:count])
        rest = rest[count:]
    return tuple(result)


def as_number(value: Value, keyword: str, play: Play) -> float:
    """Return a number or a percentage that a play's keyword holds.

    Raises:
        InputError: it is neither.
    """
    try:
        number = float(str(value).removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{keyword}: '{value}' is not a number", location=play.location)
    return number


def _batch_size(value: Value, hosts: int, play: Play) -> int:
    size = as_number(value, "serial", play)
    if str(value).endswith("%"):
        size = max(1, int(hosts * size / 100))
    return int(size) if size >= 1 else hosts
