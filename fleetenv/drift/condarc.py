"""What a host's .condarc says, key by key, for comparing it with another one: bounded, and without passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from fleetenv.conda.pip_conf import masked

if TYPE_CHECKING:
    import yaml

UNREADABLE = "(unreadable)"
"""The one key of a .condarc that cannot be read."""

_LONGEST = 300  # characters of a value
_MOST_KEYS = 300
_MOST_SETTINGS = 16384  # characters of a .condarc
_TOKEN = re.compile(r"/t/[^/\s]+")  # of anaconda.org and its kin, in a channel's URL


def settings(text: str) -> dict[str, str]:
    """Return what a .condarc says, key by key, so that two can be compared; of one that is no YAML only that.

    Values are written as far as they are shown: aliases could make them endless. PyYAML's own parser is slow, and
    unlike the one in C it ends in an error where nesting is too deep.
    """
    import yaml

    try:
        node = yaml.compose(text[:_MOST_SETTINGS], Loader=yaml.SafeLoader)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            return {UNREADABLE: "yes"}
        return {_written(key): _written(value) for key, value in node.value[:_MOST_KEYS]}
    except (yaml.YAMLError, RecursionError):
        return {UNREADABLE: "yes"}


def _written(node: yaml.Node) -> str:
    text = "".join(islice(_pieces(node), _LONGEST))
    return _short(_TOKEN.sub("/t/***", masked(text)))


def _pieces(node: yaml.Node) -> Iterator[str]:
    """Yield a value in YAML's flow style, piece by piece."""
    import yaml

    if isinstance(node.value, str):
        yield node.value
    else:
        begin, end = "[]" if isinstance(node, yaml.SequenceNode) else "{}"
        yield begin
        for number, each in enumerate(node.value):
            yield ", " if number else ""
            if isinstance(each, tuple):
                yield from _pieces(each[0])
                yield ": "
            yield from _pieces(each[1] if isinstance(each, tuple) else each)
        yield end


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
