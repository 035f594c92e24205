"""What a task's `loop` or `with_...` loops over."""

from __future__ import annotations

from collections.abc import Mapping

from fleetenv.errors import InputError
from fleetenv.playbook.model import Task
from fleetenv.playbook.templates import Templates
from fleetenv.source import Value

FORMS = frozenset(
    {
        "dict",
        "fileglob",
        "first_found",
        "file",
        "flattened",
        "indexed_items",
        "items",
        "lines",
        "list",
        "nested",
        "cartesian",
        "random_choice",
        "sequence",
        "subelements",
        "template",
        "together",
        "vars",
        "env",
        "pipe",
        "varnames",
    }
)
"""Lookups that `with_...` may name."""


def items(task: Task, templates: Templates, scope: Mapping[str, Value]) -> list[Value] | None:
    """Return the items of a task's loop; None when it has none.

    Raises:
        UndefinedVariable: a variable is not there.
        InputError: what it loops over is not a list.
    """
    if task.loop is None:
        return None
    if task.loop_form is not None:
        return templates.look_up(task.loop_form, task.loop, scope, folder=_folder(task.module))
    values = templates.render(task.loop, scope)
    if not isinstance(values, list):
        kind = "a mapping" if isinstance(values, dict) else "text" if isinstance(values, str) else type(values).__name__
        raise InputError(
            f"loop needs a list, not {kind}",
            location=getattr(task.loop, "location", None) or task.location,
            hint="a mapping becomes one with `| dict2items`",
        )
    return values


def _folder(module: str) -> str:
    """The folder of a role that `with_first_found` looks in: it depends on what the task does."""
    return next((f"{kind}s" for kind in ("template", "var") if kind in module), "files")
