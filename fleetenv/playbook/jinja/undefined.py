"""What is undefined, as templates meet it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateRuntimeError
from jinja2.utils import missing

from fleetenv.errors import nearest
from fleetenv.playbook.reading import ListView, Missing
from fleetenv.playbook.undefined import UndefinedVariable


class Undefined(StrictUndefined, Missing):
    """Something that is not there. Inside it is itself, so that `a.b.c | default(1)` works; using it raises."""

    __slots__ = ("cause",)

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = TemplateRuntimeError,  # Jinja's signature; what is raised is ours
        cause: UndefinedVariable | None = None,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        self.cause = cause
        self._undefined_exception = self._error  # type: ignore[assignment]  # Jinja only calls it

    def _error(self, message: str) -> UndefinedVariable:
        if self.cause is not None:
            return self.cause
        if self._undefined_hint:
            return UndefinedVariable(self._undefined_hint)
        if self._undefined_obj is missing:
            return UndefinedVariable(f"'{self._undefined_name}' is undefined", name=self._undefined_name)
        known = self._undefined_obj if isinstance(self._undefined_obj, Mapping) else ()
        kind = kind_of(self._undefined_obj)
        hint = nearest(str(self._undefined_name), map(str, known))
        return UndefinedVariable(f"{kind} has no '{self._undefined_name}'", hint=hint)

    def raise_it(self) -> NoReturn:
        """Raise the error that this stands for."""
        self._fail_with_undefined_error()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> Any:
        return self


def kind_of(value: object) -> str:
    """Name a value's kind in the words of a playbook's author."""
    if isinstance(value, Mapping):
        return "the mapping"
    if isinstance(value, str):
        return "the text"
    if isinstance(value, list | tuple | ListView):
        return "the list"
    return f"the {type(value).__name__}"
