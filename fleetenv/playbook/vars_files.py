"""Files of variables that a play names in `vars_files`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fleetenv.errors import InputError, Location
from fleetenv.source import Value, shown
from fleetenv.source_yaml import read_yaml


class VarsFiles:
    """Reads each file once for all hosts."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[Mapping[str, Value], ...]] = {}

    def read(self, entry: Value, folder: Path, written: Value) -> tuple[Mapping[str, Value], ...]:
        """Read the file of an entry, the strongest mapping first; of a list of files the first that is there.

        Args:
            entry: a file's name, or a list of them, rendered.
            folder: the playbook's folder; `vars/` in it is looked at first.
            written: the entry as it is written, for its place.

        Raises:
            InputError: none is there, or it does not hold variables.
        """
        names = entry if isinstance(entry, list) else [entry]
        for name in names:
            if not isinstance(name, str):
                raise InputError("vars_files takes names of files", location=getattr(written, "location", None))
            wanted = Path(name).expanduser()
            places = [wanted] if wanted.is_absolute() else [folder / "vars" / wanted, folder / wanted]
            for place in places:
                if place.is_file():
                    return self._load(place)
        tried = ", ".join(map(str, names))
        raise InputError(
            f"vars_files: there is no file {tried}",
            location=getattr(written, "location", None),
            hint=f"names start from {folder}, or from vars/ there",
        )

    def _load(self, path: Path) -> tuple[Mapping[str, Value], ...]:
        if path not in self._read:
            self._read[path] = variables_of(path)
        return self._read[path]


def variables_of(path: Path) -> tuple[Mapping[str, Value], ...]:
    """Read a file of variables: a mapping, or a list of mappings, of which the last comes out first."""
    content = read_yaml(path)
    mappings = content if isinstance(content, list) else [] if content is None else [content]
    for mapping in mappings:
        if not isinstance(mapping, dict):
            location = getattr(mapping, "location", None) or Location(shown(path), 1, 1)
            raise InputError("a file of variables must be a mapping", location=location)
    return tuple(mapping for mapping in reversed(mappings) if isinstance(mapping, dict))
