"""Variables that a run itself will define: what is undefined now and not among them stays undefined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from fleetenv.playbook.model import Task
from fleetenv.playbook.rendered import holds_template

_FACTS = ("ansible_", "fleetenv_")
_ALWAYS = frozenset({"hostvars", "vars"})  # what they lead to is another host's, or any variable at all


class Coming(Struct, frozen=True):
    """Names that tasks register or set; `anything` when a task reads variables from a file, or a name, not known yet.

    `files`: tasks are delegated, and may make files on the controller that later ones need.
    """

    names: frozenset[str] = frozenset()
    anything: bool = False
    files: bool = False

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> Coming:
        """Collect the names from tasks."""
        names: set[str] = set()
        anything = files = False
        for task in tasks:
            if task.register:
                names.add(task.register)
            if task.module == "set_fact" and isinstance(task.arguments, Mapping):
                names.update(task.arguments)
                anything = anything or any(map(holds_template, task.arguments))
            anything = anything or task.module in ("include_vars", "include_tasks", "include_role")
            files = files or task.delegate_to is not None
        return cls(frozenset(names), anything, files)

    def __contains__(self, name: object) -> bool:
        return self.anything or name in self.names or name in _ALWAYS or str(name).startswith(_FACTS)

    def __or__(self, other: Coming) -> Coming:
        return Coming(self.names | other.names, self.anything or other.anything, self.files or other.files)
