"""Extra variables: `-e key=value`, `-e '{"key": 1}'`, `-e @file.yml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleetenv.errors import InputError, Location
from fleetenv.playbook.words import split_words, unquote
from fleetenv.source import SourceText, Value
from fleetenv.source_yaml import parse_yaml, read_yaml

_PLACE = Location("--extra-vars", 1, 1)


def parse_extra_vars(texts: Iterable[str]) -> Mapping[str, Value]:
    """Read what was given with `-e`; later ones win.

    Values of `key=value` are text, as in Ansible: `-e n=1` is the text '1', `-e '{"n": 1}'` the number.

    Raises:
        InputError: a text is none of the three forms, or its file cannot be read.
    """
    result: dict[str, Value] = {}
    for text in texts:
        stripped = text.strip()
        if stripped.startswith("@"):
            result |= _mapping(read_yaml(stripped[1:]), stripped)
        elif stripped.startswith(("{", "[")):
            result |= _mapping(parse_yaml(stripped, "--extra-vars"), stripped)
        else:
            for word in split_words(text, _PLACE):
                name, equals, value = word.text.partition("=")
                if not equals or not name.isidentifier():
                    raise InputError(
                        f"'{word.text}' is not an extra variable",
                        location=_PLACE,
                        hint="write key=value, a JSON or YAML mapping, or @file",
                    )
                result[name] = SourceText(unquote(value), _PLACE)
    return result


def _mapping(value: Value, text: str) -> Mapping[str, Value]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"extra variables must be a mapping, which '{text}' is not", location=_PLACE)
    return value
