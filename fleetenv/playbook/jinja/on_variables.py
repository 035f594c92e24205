"""Lookups that read variables, and make lists to loop over."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fleetenv.errors import InputError
from fleetenv.playbook.jinja.filters.data import flatten, subelements
from fleetenv.playbook.reading import OMIT, Reading
from fleetenv.playbook.undefined import UndefinedVariable
from fleetenv.playbook.words import split_words, unquote


def variables(terms: list[Any], reading: Reading, default: Any = OMIT) -> Iterator[Any]:
    """Read variables by name."""
    for term in terms:
        try:
            yield reading.variable(str(term))
        except KeyError:
            if default is OMIT:
                raise UndefinedVariable(f"'{term}' is undefined", name=str(term)) from None
            yield default


def varnames(terms: list[Any], reading: Reading) -> Iterator[str]:
    """List variables whose names match regular expressions."""
    for term in terms:
        yield from (name for name in reading.scope if re.search(str(term), name))


def items(terms: list[Any], reading: Reading) -> list[Any]:
    """Make one list, inner lists opened one level deep."""
    return flatten(terms, levels=1)


def values(terms: list[Any], reading: Reading) -> list[Any]:
    """Give the terms as they are."""
    return terms


def dictionary(terms: list[Any], reading: Reading) -> Iterator[dict[str, Any]]:
    """Make a list of mappings, to loop over."""
    for term in flatten(terms):
        if not isinstance(term, Mapping):
            raise InputError(f"the lookup 'dict' needs a mapping, not {type(term).__name__}")
        yield from ({"key": key, "value": value} for key, value in term.items())


def indexed_items(terms: list[Any], reading: Reading) -> list[Any]:
    """Pair items with their position."""
    return [[index, item] for index, item in enumerate(flatten(terms, levels=1))]


def together(terms: list[Any], reading: Reading) -> list[Any]:
    """Walk several lists side by side; the shorter ones are filled with None."""
    if not terms:
        raise InputError("the lookup 'together' needs at least one list")
    return [flatten(list(group), skip_nulls=False) for group in itertools.zip_longest(*terms)]


def nested(terms: list[Any], reading: Reading) -> list[Any]:
    """Combine each item of a list with each of the next."""
    if not terms:
        raise InputError("the lookup 'nested' needs at least one list")
    return [
        flatten(list(group), skip_nulls=False)
        for group in itertools.product(*(each if isinstance(each, list) else [each] for each in terms))
    ]


def inner(terms: list[Any], reading: Reading) -> list[Any]:
    """Pair each mapping with each item of a list inside it."""
    if len(terms) < 2:
        raise InputError("the lookup 'subelements' needs a list of mappings, and the key of a list in them")
    flags = terms[2] if len(terms) > 2 and isinstance(terms[2], Mapping) else {}
    pairs = subelements(terms[0], terms[1], skip_missing=bool(flags.get("skip_missing", False)))
    keys = str(terms[1]).split(".")
    return [[_without(parent, keys), item] for parent, item in pairs]


def _without(mapping: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    """Copy a mapping without the list inside it that is looped over, as Ansible gives it."""
    rest = {key: value for key, value in mapping.items() if key != keys[0]}
    return rest | {keys[0]: _without(mapping[keys[0]], keys[1:])} if len(keys) > 1 else rest


def random_choice(terms: list[Any], reading: Reading) -> list[Any]:
    """Choose one by chance."""
    return [random.SystemRandom().choice(terms)] if terms else []


_SHORT = re.compile(r"(?:(0?x?[0-9a-f]+)-)?(0?x?[0-9a-f]+)(?:/(0?x?[0-9a-f]+))?(?::(.+))?", re.IGNORECASE)


def sequence(terms: list[Any], reading: Reading, **options: Any) -> Iterator[str]:
    """Count: `start=1 end=5 stride=2 format=host%02d`, `count=4`, or `1-5/2:host%02d`. Gives text."""
    for term in terms or [""]:
        short = _SHORT.fullmatch(str(term).strip())
        if short:
            written = dict(zip(("start", "end", "stride", "format"), short.groups(), strict=True))
        else:
            words = [word.text.partition("=") for word in split_words(str(term))]
            written = {key: unquote(value) for key, _, value in words} | options
        yield from _count({key: value for key, value in written.items() if value is not None})


def _count(options: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(set(options) - {"start", "end", "count", "stride", "format"})
    if unknown:
        raise InputError(f"sequence: there is no '{unknown[0]}'", hint="it takes start, end, count, stride and format")
    if ("end" in options) == ("count" in options):
        raise InputError("sequence needs either end or count")
    start, form = _number(options.get("start", 1)), str(options.get("format", "%d"))
    if form.count("%") != 1:
        raise InputError(f"sequence: the format '{form}' must have one %d in it")
    if "count" in options:
        stride = _number(options.get("stride", 1))
        numbers = [start + index * stride for index in range(_number(options["count"]))]
    else:
        end = _number(options["end"])
        stride = _number(options.get("stride", 1 if end >= start else -1))
        if stride and (end - start) * stride < 0:
            raise InputError(f"sequence: a stride of {stride} does not lead from {start} to {end}")
        numbers = list(range(start, end + (1 if stride > 0 else -1), stride)) if stride else []
    for number in numbers:
        yield form % number


def _number(value: Any) -> int:
    text = str(value)
    try:
        return int(text, 0) if not re.fullmatch(r"-?0\d+", text) else int(text, 8)
    except ValueError as error:
        raise InputError(f"sequence: '{value}' is not a whole number") from error


LOOKUPS: dict[str, Callable[..., Iterable[Any]]] = {
    "cartesian": nested,
    "dict": dictionary,
    "flattened": lambda terms, reading: flatten(terms),
    "indexed_items": indexed_items,
    "items": items,
    "list": values,
    "nested": nested,
    "random_choice": random_choice,
    "sequence": sequence,
    "subelements": inner,
    "together": together,
    "varnames": varnames,
    "vars": variables,
}
