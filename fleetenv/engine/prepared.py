"""What was worked out once in a run, for all hosts that it is the same for, and for as long as it stays the same.

A rendered task depends on nothing but the variables that were read for it. They are noted, so that it is not rendered
again for a host that has the same ones, nor after a task has set others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar, cast

from fleetenv.engine.controller import Memory
from fleetenv.errors import InputError
from fleetenv.playbook import Recorded, Scope, Templates, agree

T = TypeVar("T")

_NAME = "inventory_hostname"  # what has read a host's own name is for no other host

_SHARED = 8
"""How many outcomes of one thing are looked through for a host that comes to it for the first time."""


class _Known(NamedTuple):
    changes: int  # of the controller's files, before it
    reads: Mapping[str, object]
    outcome: object  # an InputError is raised


class Shared:
    """What was prepared last for any host, in one run."""

    def __init__(self, templates: Templates, memory: Memory) -> None:
        self.templates = templates
        self.memory = memory
        self.known: dict[object, deque[_Known]] = {}


class Prepared:
    """What was prepared for one host, or for another one with the same variables."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._own: dict[object, _Known] = {}

    def get(self, thing: object, scope: Scope | Recorded, make: Callable[[Recorded], T]) -> T:
        """Return what `make` gives with these variables, or raise its error; it is not called where that is known.

        Args:
            thing: what is made; nothing but variables and the controller's files decides about it.
            scope: the variables; if they are recorded, what is read here is noted there, too.
            make: makes it from the variables.
        """
        known = self._find(thing, scope) or self._make(thing, scope, make)
        if isinstance(known.outcome, InputError):
            raise known.outcome.with_traceback(None)
        return cast(T, known.outcome)

    def reads(self, thing: object) -> Mapping[str, object] | None:
        """Return what the last outcome for a thing was made from; None: from what may soon be otherwise."""
        known = self._own.get(thing)
        return None if known is None else known.reads

    def _find(self, thing: object, scope: Scope | Recorded) -> _Known | None:
        changes = self._shared.memory.changes
        own = self._own.get(thing)
        if own is not None and own.changes == changes and agree(own.reads, scope):
            return own
        for known in self._shared.known.get(thing, ()):
            if known.changes == changes and agree(known.reads, scope):
                self._own[thing] = known
                return known
        return None

    def _make(self, thing: object, scope: Scope | Recorded, make: Callable[[Recorded], T]) -> _Known:
        memory, templates = self._shared.memory, self._shared.templates
        recorded = Recorded(scope)
        fleeting = templates.fleeting
        try:
            outcome: object = make(recorded)
        except InputError as error:
            outcome = error
        known = _Known(memory.changes, recorded.reads, outcome)
        self._own.pop(thing, None)
        if recorded.whole or templates.fleeting != fleeting:
            return known
        self._own[thing] = known
        if _NAME not in recorded.reads:
            self._shared.known.setdefault(thing, deque(maxlen=_SHARED)).append(known)
        return known
