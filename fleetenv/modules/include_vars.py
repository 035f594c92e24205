"""`include_vars`: variables from files of the controller."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from msgspec import field

from fleetenv.errors import InputError
from fleetenv.modules.base import Controller, ControllerModule, Outcome
from fleetenv.source import Value
from fleetenv.source_yaml import read_yaml
from fleetenv.state import UNSET, UnsetType


class IncludeVars(ControllerModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read variables from a YAML or JSON file, or from all such files of a folder, in the order of their names.

    ```yaml
    - include_vars: "{{ ansible_distribution | lower }}.yml"
    - include_vars: {dir: site, name: site}
    ```
    """

    name: ClassVar[str] = "include_vars"
    free_form: ClassVar[str | None] = "file"

    file: str | UnsetType = UNSET
    """A file of the role's `vars/`, or beside the playbook."""
    dir: str | UnsetType = UNSET
    """A folder, looked for in the same places; read with all folders below it."""
    name_: str | UnsetType = field(name="name", default=UNSET)
    """A variable that gets all that was read, as a mapping; left out: each becomes a variable of its own."""
    extensions: tuple[str, ...] = ("yaml", "yml", "json")
    """Which files of a folder are read."""
    depth: int = 0
    """How many levels of folders are read; 0: all."""
    files_matching: str | UnsetType = UNSET
    """A regular expression that names of files in a folder must have a match for."""
    ignore_files: tuple[str, ...] = ()
    """Regular expressions for names of files in a folder that are left out."""

    def __post_init__(self) -> None:
        if isinstance(self.file, UnsetType) == isinstance(self.dir, UnsetType):
            raise ValueError("one of 'file' and 'dir' is needed, and only one")
        for pattern in (self.files_matching, *self.ignore_files):
            try:
                re.compile(pattern if isinstance(pattern, str) else "")
            except re.error as error:
                raise ValueError(f"'{pattern}' is no regular expression: {error}") from error

    def perform(self, controller: Controller) -> Outcome:
        """Read the files; later ones win."""
        found: dict[str, Value] = {}
        files = self._files(controller)
        for path in files:
            content = read_yaml(path)
            if content is not None and not isinstance(content, dict):
                raise InputError(f"{path} must hold a mapping of variables")
            found |= content or {}
        facts: Mapping[str, Value] = {self.name_: found} if isinstance(self.name_, str) else found
        return Outcome(facts=facts, values={"ansible_included_var_files": [str(path) for path in files]})

    def _files(self, controller: Controller) -> list[Path]:
        if isinstance(self.file, str):
            return [controller.find(self.file, "vars")]
        assert isinstance(self.dir, str)
        folder = controller.find(self.dir, "vars")
        return sorted(path for path in folder.rglob("*") if path.is_file() and self._wanted(path, folder))

    def _wanted(self, path: Path, folder: Path) -> bool:
        if path.suffix.lstrip(".") not in self.extensions or path.name.startswith("."):
            return False
        if self.depth and len(path.relative_to(folder).parts) > self.depth:
            return False
        if any(re.search(pattern, path.name) for pattern in self.ignore_files):
            return False
        return isinstance(self.files_matching, UnsetType) or bool(re.search(self.files_matching, path.name))
