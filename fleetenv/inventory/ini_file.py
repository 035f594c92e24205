"""Ansible's INI inventories: `[group]`, `[group:vars]` and `[group:children]` sections."""

from __future__ import annotations

import re
import warnings
from ast import literal_eval
from collections.abc import Iterator
from io import StringIO
from shlex import shlex

from fleetenv.errors import InputError, Location, nearest
from fleetenv.inventory.address import expand, split_port
from fleetenv.inventory.draft import Draft
from fleetenv.source import SourceList, SourceMap, SourceText, Value

_KINDS = ("hosts", "vars", "children")
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP_NAME = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")


def read(text: str, file: str, draft: Draft) -> None:
    """Add what an INI inventory says to the draft.

    Raises:
        InputError: a line is not of an INI inventory's form, or a section names a group that is not there.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # text that almost is a Python literal
        _Reader(file, draft).read(text)


def typed(text: str, location: Location) -> Value:
    """Return the value of a variable as Ansible types it in INI: a Python literal is one, all else is text."""
    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    return _located(value, location)


def _located(value: object, location: Location) -> Value:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set):
        sequence = SourceList(location)
        sequence.extend(_located(item, location) for item in value)
        sequence.items_at = [location] * len(sequence)
        return sequence
    if isinstance(value, dict):
        mapping = SourceMap(location)
        for key, item in value.items():
            mapping[str(key)] = _located(item, location)
            mapping.keys_at[str(key)] = mapping.values_at[str(key)] = location
        return mapping
    if isinstance(value, bytes):
        return SourceText(value.decode("utf-8", "replace"), location)
    return SourceText("..." if value is ... else str(value), location)


class _Reader:
    """Reads line by line. The first lines, before any section, are those of 'ungrouped'."""

    def __init__(self, file: str, draft: Draft) -> None:
        self._file = file
        self._draft = draft
        self._line = 0
        self._group = "ungrouped"
        self._kind = "hosts"
        self._awaited: dict[str, list[tuple[str, Location]]] = {}  # children that are not declared yet: their parents
        self._undeclared: dict[str, Location] = {}  # groups of which only a [group:vars] was seen

    def read(self, text: str) -> None:
        for self._line, raw in enumerate(text.splitlines(), start=1):
            line = raw.strip()
            if not line or line[0] in ";#":
                continue
            indent = len(raw) - len(raw.lstrip())
            section = _SECTION.fullmatch(line)
            if section:
                self._read_section(section, indent)
            elif line.startswith("[") and line.endswith("]"):
                raise InputError(
                    f"'{line}' is not a section", location=self._at(indent), hint="write [group] or [group:vars]"
                )
            elif self._kind == "hosts":
                self._read_host(line, indent)
            elif self._kind == "vars":
                self._read_variable(line, indent)
            else:
                self._read_child(line, indent)
        self._refuse_undeclared()

    def _at(self, offset: int) -> Location:
        return Location(self._file, self._line, offset + 1)

    def _read_section(self, section: re.Match[str], indent: int) -> None:
        name, kind = section[1], section[2] or "hosts"
        location = self._at(indent + section.start(1))
        if kind not in _KINDS:
            raise InputError(
                f"a section is [group], [group:vars] or [group:children], not [{name}:{kind}]",
                location=self._at(indent + section.start(2)),
                hint=nearest(kind, _KINDS),
            )
        if kind == "vars":
            if name not in self._draft.groups:
                self._undeclared[name] = location
            self._draft.add_group(name)
        else:
            self._draft.add_group(name)
            self._undeclared.pop(name, None)
            for parent, mentioned in self._awaited.pop(name, ()):
                self._draft.add_child(parent, name, mentioned)
        self._group, self._kind = name, kind

    def _read_host(self, line: str, indent: int) -> None:
        tokens = self._tokens(line, indent)
        pattern, location = next(tokens)
        name, port = split_port(pattern)
        if name.endswith(":"):
            raise InputError(f"the port is missing after '{name}'", location=location)
        if name == "---":
            raise InputError(
                "'---' begins a YAML file, but this is read as INI", location=location, hint="name the file *.yml"
            )
        try:
            names = expand(name)
        except ValueError as error:
            raise InputError(str(error), location=location) from error
        for host in names:
            self._draft.add_host(host, self._group, port=port)
        for token, at in tokens:
            key, equals, text = token.partition("=")
            if not equals:
                raise InputError(
                    f"after a host come its variables, key=value, but not '{token}'",
                    location=at,
                    hint="quote a value that has spaces: key='some text'",
                )
            value_at = Location(at.file, at.line, at.column + len(key) + 1)
            value = typed(text, value_at)
            for host in names:
                self._draft.set_host_variable(host, key, value, value_at)

    def _tokens(self, line: str, indent: int) -> Iterator[tuple[str, Location]]:
        """Yield the shell-like words of a line, as Ansible splits them, with their places."""
        stream = StringIO(line)
        lexer = shlex(stream, posix=True)
        lexer.whitespace_split = True
        lexer.commenters = "#"
        while True:
            end = stream.tell()
            start = end + len(line[end:]) - len(line[end:].lstrip())
            try:
                token = lexer.get_token()
            except ValueError as error:
                raise InputError(
                    f"a quote or backslash is not closed: {line[start:]}", location=self._at(indent + start)
                ) from error
            if token is None:
                return
            yield token, self._at(indent + start)

    def _read_variable(self, line: str, indent: int) -> None:
        key, equals, text = line.partition("=")
        if not equals:
            raise InputError(
                f"a [{self._group}:vars] section holds key=value, but not '{line}'", location=self._at(indent)
            )
        value_at = self._at(indent + len(line) - len(text.lstrip()))
        self._draft.set_group_variable(self._group, key.strip(), typed(text.strip(), value_at), value_at)

    def _read_child(self, line: str, indent: int) -> None:
        match = _GROUP_NAME.fullmatch(line)
        if not match:
            raise InputError(
                f"a [{self._group}:children] section holds names of groups, but not '{line}'", location=self._at(indent)
            )
        child = match[1]
        if child in self._draft.groups:
            self._draft.add_child(self._group, child, self._at(indent))
        else:
            self._awaited.setdefault(child, []).append((self._group, self._at(indent)))

    def _refuse_undeclared(self) -> None:
        for name, location in self._undeclared.items():
            raise InputError(
                f"[{name}:vars] gives variables to a group that is not there",
                location=location,
                hint=nearest(name, self._draft.groups.keys() - self._undeclared) or f"declare it: [{name}]",
            )
        for name, mentions in self._awaited.items():
            parent, location = mentions[0]
            raise InputError(
                f"[{parent}:children] names the group '{name}', which is not there",
                location=location,
                hint=nearest(name, self._draft.groups) or f"declare it: [{name}]",
            )
