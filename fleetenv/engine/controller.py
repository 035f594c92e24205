"""What a module may ask of the controller, for one task on one host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from fleetenv.errors import InputError, MissingFile
from fleetenv.playbook import Templates
from fleetenv.playbook.model import Task
from fleetenv.source import Value


class Memory:
    """What was worked out once in this run, and is the same for every host.

    Attributes:
        changes: how often tasks may have changed something on the controller itself.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.changes = 0
        self._made: dict[object, Any] = {}
        self._warn = warn
        self._warnings: set[str] = set()

    def warn(self, text: str) -> None:
        """Tell the user something, once."""
        if text not in self._warnings:
            self._warnings.add(text)
            self._warn(text)

    def remember(self, key: object, make: Callable[[], Any]) -> Any:
        """Return what `make` returned, or raise what it raised, the first time that `key` was asked for."""
        if key not in self._made:
            try:
                self._made[key] = make()
            except InputError as error:
                self._made[key] = error
        made = self._made[key]
        if isinstance(made, InputError):
            raise made
        return made


class TaskController(Struct, frozen=True):
    """The controller's side of one task on one host; implements [`fleetenv.modules.base.Controller`][]."""

    host: str
    check_mode: bool
    relock: bool
    variables: Mapping[str, Value]
    task: Task
    templates: Templates
    memory: Memory

    def find(self, path: str, folder: str) -> Path:
        """Find a file of the task's role or playbook, as Ansible looks for it; at last in the project as a whole."""
        where = ("find", self.task, path, folder, self.memory.changes)
        found: Path = self.remember(where, lambda: self._find(path, folder))
        return found

    def _find(self, path: str, folder: str) -> Path:
        wanted = Path(path).expanduser()
        project = [self.task.search[-1].parent, Path.cwd()] if self.task.search else [Path.cwd()]
        bases = [*self.task.search, *project]
        places = [base / part for base in bases for part in (Path(folder) / wanted, wanted)]
        for place in dict.fromkeys([wanted] if wanted.is_absolute() else places):
            if place.exists():
                return place
        tried = ", ".join(str(place) for place in dict.fromkeys(places))
        raise MissingFile(
            f"there is no file '{path}'",
            location=getattr(path, "location", None) or self.task.location,
            hint=None if wanted.is_absolute() else f"looked for {tried}",
        )

    def render_file(self, path: Path, **extra: Value) -> str:
        """Render a template file with the task's variables."""
        return self.templates.render_file(path, self.variables, extra)

    def evaluate(self, expression: Value) -> Value:
        """Evaluate a bare expression with the task's variables."""
        return self.templates.evaluate(expression, self.variables)

    def warn(self, text: str) -> None:
        """Tell the user, once in this run, what should be otherwise."""
        self.memory.warn(text)

    def remember(self, key: object, make: Callable[[], Any]) -> Any:
        """Return what `make` returned the first time in this run."""
        return self.memory.remember(key, make)
