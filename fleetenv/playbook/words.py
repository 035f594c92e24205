"""`key=value` text, as in `file: path=/x state=directory` and `command: echo hi creates=/x`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from fleetenv.errors import InputError, Location
from fleetenv.source import SourceMap, SourceText

_OPTION = re.compile(r"([A-Za-z_][\w.-]*)=", re.ASCII)
_CLOSING = {"{{": "}}", "{%": "%}", "{#": "#}"}
COMMAND_OPTIONS = frozenset(
    {
        "chdir",
        "creates",
        "executable",
        "expand_argument_vars",
        "removes",
        "stdin",
        "stdin_add_newline",
        "strip_empty_ends",
    }
)
"""The only words of a command's text that are arguments; any other `a=b` belongs to the command."""


class Word(Struct, frozen=True):
    """A word of the text, as it is written there, quotes and all."""

    text: str
    start: int
    end: int


def split_words(text: str, location: Location | None = None) -> Iterator[Word]:
    """Split text at white space, but not inside quotes or template brackets.

    Raises:
        InputError: a quote or bracket is never closed.
    """
    start: int | None = None
    closing = ""  # what ends the quotes or brackets that we are in
    position = 0
    while position < len(text):
        char, two = text[position], text[position : position + 2]
        if closing:
            if closing in "\"'" and char == "\\":
                position += 1
            elif text.startswith(closing, position):
                position += len(closing) - 1
                closing = ""
        elif two in _CLOSING:
            start = position if start is None else start
            closing = _CLOSING[two]
            position += 1
        elif char in "\"'":
            start = position if start is None else start
            closing = char
        elif char.isspace():
            if start is not None:
                yield Word(text[start:position], start, position)
            start = None
        else:
            start = position if start is None else start
            if char == "\\":
                position += 1
        position += 1
    if closing:
        raise InputError(f"a {closing} is missing: {text.strip()}", location=location)
    if start is not None:
        yield Word(text[start:], start, len(text))


def unquote(text: str) -> str:
    """Take the quotes off that a value stands in."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" and text[-2] != "\\":
        return text[1:-1]
    return text


def parse_arguments(text: SourceText, free_form: str | None, module: str, *, command: bool = False) -> SourceMap:
    """Read the text of a task into arguments; each value keeps the place of the text.

    Args:
        text: what follows `module:`.
        free_form: the argument that takes the words that are not `key=value`; None when no argument does.
        module: its name, for errors.
        command: whether `key=value` is an argument only if it is one of [`COMMAND_OPTIONS`][].

    Raises:
        InputError: a word is not `key=value`, and no argument takes it; or quotes are not closed.
    """
    arguments = SourceMap(text.location)
    rest: list[str] = []
    kept = 0
    for word in split_words(text, None if command else text.location) if not command else _tolerant(text):
        option = _OPTION.match(word.text)
        if option is None or (command and option[1] not in COMMAND_OPTIONS):
            if free_form is None:
                raise InputError(
                    f"{module}: '{word.text}' is not key=value",
                    location=text.location,
                    hint=f"{module} takes no free text",
                )
            continue
        arguments[option[1]] = SourceText(unquote(word.text[option.end() :]), text.location)
        arguments.keys_at[option[1]] = arguments.values_at[option[1]] = text.location
        rest.append(text[kept : word.start])
        kept = word.end
        while kept < len(text) and text[kept] in " \t":
            kept += 1
    rest.append(text[kept:])
    free = "".join(rest).strip()
    if free and free_form is not None:
        arguments[free_form] = SourceText(free if command else unquote(free), text.location)
        arguments.keys_at[free_form] = arguments.values_at[free_form] = text.location
    return arguments


def _tolerant(text: SourceText) -> list[Word]:
    """Words of a command, whose own quotes need not make sense to us."""
    try:
        return list(split_words(text))
    except InputError:
        return []
