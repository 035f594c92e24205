"""YAML that remembers where it was written. Apart from the values themselves, as a worker has no need of PyYAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fleetenv.errors import InputError, Location
from fleetenv.source import SourceList, SourceMap, SourceText, Value, shown

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path | str) -> Value:
    """Read one YAML document from a file; an empty file is None.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or is not one YAML document.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read {path}: {reason}") from error
    return parse_yaml(text, shown(Path(path)))


def parse_yaml(text: str, file: str) -> Value:
    """Parse one YAML 1.1 document, as [`read_yaml`][] does; `file` is the name that errors show."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _Builder(loader, file).build(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        location = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file, 1, 1)
        raise InputError(f"not valid YAML: {error.problem or error.context}", location=location) from error
    except yaml.reader.ReaderError as error:  # a character that YAML does not allow
        before = text[: error.position]
        location = Location(file, before.count("\n") + 1, error.position - before.rfind("\n"))
        raise InputError(f"not valid YAML: the character {text[error.position]!r}", location=location) from error


class _Builder:
    """Builds located values out of PyYAML's nodes."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader = loader
        self._file = file
        self._open: set[int] = set()  # nodes under construction: an alias to one of them would be endless
        self._built: dict[int, SourceMap | SourceList] = {}  # an alias is the very value that it names

    def build(self, node: yaml.Node) -> Value:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise InputError("a YAML alias that contains itself", location=self._at(node))
        if id(node) not in self._built:
            self._open.add(id(node))
            self._built[id(node)] = self._map(node) if isinstance(node, yaml.MappingNode) else self._list(node)
            self._open.discard(id(node))
        return self._built[id(node)]

    def _at(self, node: yaml.Node) -> Location:
        return Location(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _scalar(self, node: yaml.ScalarNode) -> Value:
        if node.tag == "tag:yaml.org,2002:str":
            return SourceText(node.value, self._at(node))
        if node.tag == "!unsafe":  # Ansible's mark for text that must not be evaluated
            return str(node.value)
        if node.tag.startswith("!"):
            raise InputError(f"the YAML tag {node.tag} is not supported yet", location=self._at(node))
        try:
            value: Value = self._loader.construct_object(node)
        except ValueError as error:
            raise InputError(f"not valid YAML: {error}", location=self._at(node)) from error
        return value

    def _list(self, node: yaml.Node) -> SourceList:
        result = SourceList(self._at(node))
        for item in node.value:
            result.append(self.build(item))
            result.items_at.append(self._at(item))
        return result

    def _map(self, node: yaml.MappingNode) -> SourceMap:
        self._refuse_duplicates(node)
        self._loader.flatten_mapping(node)  # '<<' merge keys: merged pairs come first, so that written ones win
        result = SourceMap(self._at(node))
        for key_node, value_node in node.value:
            key = key_node.value
            if "{" in key:  # it may be a template, as in set_fact
                key = SourceText(key, self._at(key_node))
            result[key] = self.build(value_node)
            result.keys_at[key] = self._at(key_node)
            result.values_at[key] = self._at(value_node)
        return result

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InputError("a mapping key must be plain text", location=self._at(key))
            if key.value in seen:
                raise InputError(f"the key '{key.value}' is written twice", location=self._at(key))
            seen.add(key.value)
