"""What a module says of itself: read from its class's docstring, and from the texts below its fields."""

from __future__ import annotations

import ast
import inspect
import textwrap

from msgspec import Struct

from fleetenv.modules.base import ActionModule, ControllerModule, Module


class Documentation(Struct, frozen=True):
    """A module's documentation; `arguments` explains those by name that are explained."""

    summary: str
    text: str
    example: str
    check_mode: str
    arguments: dict[str, str]


def documentation(module: type[Module]) -> Documentation:
    """Read a module's documentation out of its source."""
    docstring = inspect.getdoc(module) or ""
    before, _, rest = docstring.partition("```yaml\n")
    example, _, after = rest.partition("```")
    arguments: dict[str, str] = {}
    for owner in reversed(module.__mro__):
        if owner.__module__.startswith("fleetenv.") and owner is not Module:
            arguments |= _field_texts(owner)
    return Documentation(
        summary=docstring.split("\n", 1)[0].rstrip("."),
        text=f"{before.strip()}\n\n{after.strip()}".strip(),
        example=example.rstrip(),
        check_mode=_in_check_mode(module),
        arguments=arguments,
    )


def _in_check_mode(module: type[Module]) -> str:
    if issubclass(module, ControllerModule):
        return "It happens as always: it changes nothing on the host."
    if issubclass(module, ActionModule):
        return "Nothing is run. It is skipped, unless 'creates' or 'removes' tell that it would run."
    if module.name in ("setup", "stat", "ping", "gpu_driver"):
        return "It happens as always: it only looks."
    return "Tells what would change; --diff shows how."


def _field_texts(owner: type) -> dict[str, str]:
    """Return the documented fields of one class, by the name that a task uses."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        is_text = (
            isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
        )
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            assert isinstance(text, ast.Expr)
            assert isinstance(text.value, ast.Constant)
            found[_written_name(field)] = inspect.cleandoc(str(text.value.value))
    return found


def _written_name(field: ast.AnnAssign) -> str:
    """A field may be written under another name in tasks: `field(name="name")`."""
    for keyword in field.value.keywords if isinstance(field.value, ast.Call) else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    assert isinstance(field.target, ast.Name)
    return field.target.id
