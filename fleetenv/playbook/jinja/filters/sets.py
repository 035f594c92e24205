"""Filters that treat lists as sets, or combine lists; the order of the first list is kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import pass_environment
from jinja2.environment import Environment
from jinja2.filters import make_attrgetter


@pass_environment
def unique(
    environment: Environment, values: Iterable[Any], case_sensitive: bool = False, attribute: str | None = None
) -> list[Any]:
    """Keep the first of equal items; upper and lower case are the same unless told otherwise, as in Ansible."""
    read = make_attrgetter(environment, attribute)
    seen: list[Any] = []
    result: list[Any] = []
    hashed: set[Any] = set()
    for value in values:
        key = read(value) if attribute is not None else value
        if not case_sensitive and isinstance(key, str):
            key = key.lower()
        try:
            if key in hashed:
                continue
            hashed.add(key)
        except TypeError:  # a mapping or list cannot be hashed
            if key in seen:
                continue
            seen.append(key)
        result.append(value)
    return result


def _once(values: Iterable[Any]) -> list[Any]:
    result: list[Any] = []
    for value in values:
        if value not in result:
            result.append(value)
    return result


def _members(values: Iterable[Any]) -> Callable[[Any], bool]:
    """Return a fast membership test where items can be hashed, and a correct one anyway."""
    items = list(values)
    try:
        fast = set(items)
    except TypeError:
        return lambda value: value in items
    return lambda value: value in (fast if value.__hash__ is not None else items)


def intersect(first: Iterable[Any], second: Iterable[Any]) -> list[Any]:
    """Items of both lists."""
    inside = _members(second)
    return _once(value for value in first if inside(value))


def difference(first: Iterable[Any], second: Iterable[Any]) -> list[Any]:
    """Items of the first list that are not in the second."""
    inside = _members(second)
    return _once(value for value in first if not inside(value))


def union(first: Iterable[Any], second: Iterable[Any]) -> list[Any]:
    """Items of either list."""
    return _once([*first, *second])


def symmetric_difference(first: list[Any], second: list[Any]) -> list[Any]:
    """Items of one list alone."""
    return difference(first, second) + difference(second, first)


FILTERS: dict[str, Callable[..., Any]] = {
    "combinations": itertools.combinations,
    "difference": difference,
    "intersect": intersect,
    "permutations": itertools.permutations,
    "product": itertools.product,
    "symmetric_difference": symmetric_difference,
    "union": union,
    "unique": unique,
    "zip": zip,
    "zip_longest": itertools.zip_longest,
}
