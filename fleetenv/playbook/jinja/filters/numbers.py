"""Filters on numbers, sizes and chance."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from fleetenv.errors import InputError

_UNITS = {
    "Y": 1 << 80,
    "Z": 1 << 70,
    "E": 1 << 60,
    "P": 1 << 50,
    "T": 1 << 40,
    "G": 1 << 30,
    "M": 1 << 20,
    "K": 1 << 10,
}


def human_readable(size: float, isbits: bool = False, unit: str | None = None) -> str:
    """Write a number of bytes for people: `1.50 GB`."""
    number, base = float(size), "bits" if isbits else "Bytes"
    for suffix, factor in _UNITS.items():
        if (unit is None and number >= factor) or (unit is not None and unit.upper()[0] == suffix):
            return f"{number / factor:.2f} {suffix}{base[0] if not isbits else 'b'}"
    return f"{number:.2f} {base}"


def human_to_bytes(text: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    """Read a size: `10M`, `1.5 GB`."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*", str(text))
    word = (match[2] or default_unit or "") if match else ""
    letter, rest = word[:1].upper(), word[1:]
    known = letter in _UNITS and rest in (("", "b", "bit", "bits") if isbits else ("", "B", "bytes", "Byte", "Bytes"))
    if match is None or not (
        known or word in (("", "b", "bit", "bits") if isbits else ("", "B", "byte", "Bytes", "bytes"))
    ):
        unit = "Mb for megabits" if isbits else "MB or M for megabytes"
        raise InputError(f"human_to_bytes cannot read '{text}'", hint=f"write a number and a unit: {unit}")
    return round(float(match[1]) * _UNITS.get(letter if known else "", 1))


def log(number: float, base: float = math.e) -> float:
    """Logarithm."""
    return math.log10(number) if base == 10 else math.log(number, base)


def root(number: float, base: float = 2) -> float:
    """Root."""
    return math.sqrt(number) if base == 2 else math.pow(number, 1.0 / float(base))


def chance(
    end: int | Sequence[Any], start: int | None = None, step: int | None = None, seed: str | int | None = None
) -> Any:
    """Choose a number below `end`, or an item; the same one for the same seed."""
    source: random.Random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311  # reproducible
    if isinstance(end, int):
        return source.randrange(start or 0, end, step or 1)
    if start or step:
        raise InputError("random: start and step go with a number, not with a list")
    return source.choice(end)


def shuffle(values: Sequence[Any], seed: str | int | None = None) -> list[Any]:
    """Put a list into an order by chance; the same one for the same seed."""
    result = list(values)
    (random.Random(seed) if seed else random.SystemRandom()).shuffle(result)  # noqa: S311  # reproducible
    return result


FILTERS: dict[str, Callable[..., Any]] = {
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
    "log": log,
    "pow": math.pow,
    "random": chance,
    "root": root,
    "shuffle": shuffle,
}
