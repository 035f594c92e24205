"""The `group_vars/` and `host_vars/` of one folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from fleetenv.errors import InputError, Location
from fleetenv.source import SourceMap, Value, shown
from fleetenv.source_yaml import read_yaml

_EXTENSIONS = ("", ".yml", ".yaml", ".json")  # in this order: the first that is there counts

Kind = Literal["group_vars", "host_vars"]


class VarsFolder:
    """Reads each file once, when a host first needs it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._present: dict[Kind, frozenset[str]] = {}
        self._read: dict[tuple[Kind, str], Mapping[str, Value]] = {}

    def variables(self, kind: Kind, name: str) -> Mapping[str, Value]:
        """Return the variables that the folder has for a group or host.

        Raises:
            InputError: a file cannot be read, or holds no mapping.
        """
        key = (kind, name)
        if key not in self._read:
            merged: dict[str, Value] = {}
            for file in self._files(kind, name):
                merged |= _read_file(file)
            self._read[key] = merged
        return self._read[key]

    def _files(self, kind: Kind, name: str) -> list[Path]:
        if kind not in self._present:
            folder = self.path / kind
            self._present[kind] = frozenset(each.name for each in folder.iterdir()) if folder.is_dir() else frozenset()
        present = self._present[kind]
        for extension in _EXTENSIONS:
            if name + extension in present:
                path = self.path / kind / (name + extension)
                return list(_files_below(path)) if path.is_dir() else [path]
        return []


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            if not path.suffix:
                yield from _files_below(path)
        elif path.suffix in _EXTENSIONS:
            yield path


def _read_file(path: Path) -> Mapping[str, Value]:
    data = read_yaml(path)
    if data is None:
        return {}
    if isinstance(data, SourceMap):
        return data
    if isinstance(data, str) and data.startswith("$ANSIBLE_VAULT"):
        raise InputError("a file encrypted by ansible-vault is not supported yet", location=Location(shown(path), 1, 1))
    raise InputError("a file of variables must be a mapping", location=Location(shown(path), 1, 1))
