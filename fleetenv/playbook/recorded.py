"""What a rendering has read, and for whom else it would come out the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleetenv.playbook.reading import ABSENT, RawVariables
from fleetenv.playbook.templates import Templates
from fleetenv.playbook.variables import Scope
from fleetenv.source import SourceText, Value

_COMPARED = frozenset({str, SourceText, int, float, bool})  # all other values agree when they are the very same object


class Recorded(RawVariables):
    """Variables that note what is read of them.

    Attributes:
        reads: by name what was found, as it is stored; templates in it are noted by the names that they read.
        whole: whether all names were listed, so that it cannot be said what was read.
    """

    __slots__ = ("_scope", "reads", "templates", "whole")

    def __init__(self, scope: Scope | Recorded) -> None:
        self.templates: Templates = scope.templates
        self.reads: dict[str, object] = {}
        self.whole = False
        self._scope = scope

    def look(self, name: str) -> object:
        """Return a variable unrendered; `ABSENT` when there is none."""
        self.reads[name] = value = self._scope.look(name)
        return value

    def __getitem__(self, name: str) -> Value:
        return self.templates.variable(name, self)

    def __contains__(self, name: object) -> bool:
        return self.look(str(name)) is not ABSENT

    def __iter__(self) -> Iterator[str]:
        self.whole = True
        return iter(self._scope)

    def __len__(self) -> int:
        self.whole = True
        return len(self._scope)


def agree(reads: Mapping[str, object], scope: RawVariables) -> bool:
    """Whether other variables have the same values under all names that were read."""
    for name, value in reads.items():
        other = scope.look(name)
        if other is not value and not (type(other) is type(value) and type(value) in _COMPARED and other == value):
            return False
    return True
