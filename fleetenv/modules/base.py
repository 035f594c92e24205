"""What a module is: a typed table of arguments, and pure functions over them.

A module never talks to a host. A [`StateModule`][] says how to observe, what should be, and which steps lead there;
an [`ActionModule`][] is steps without state; a [`ControllerModule`][] needs no host at all. The engine does the rest.
Arguments are msgspec struct fields: their annotations are what is checked, their docstrings what `fleetenv doc` prints.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct, field

from fleetenv.remote import Completed, Lookup, Probe, Step
from fleetenv.source import Value
from fleetenv.state import Diff, Place, State

S = TypeVar("S", bound=State)


class Controller(Protocol):
    """What a module may ask of the controller, for the one task and host that it is prepared for."""

    @property
    def host(self) -> str:
        """The inventory's name of the host."""

    @property
    def check_mode(self) -> bool:
        """Whether nothing may be changed."""

    @property
    def relock(self) -> bool:
        """Whether a missing or stale lock is to be solved now (`apply --lock`), rather than refused."""

    @property
    def variables(self) -> Mapping[str, Value]:
        """All variables that the task sees, rendered when they are read."""

    def find(self, path: str, folder: str) -> Path:
        """Find a file as Ansible does: in the role's `folder` ('files', 'templates', 'envs', ...), then the playbook's.

        Raises:
            InputError: it is in none of the places; the message lists them.
        """

    def render_file(self, path: Path, **extra: Value) -> str:
        """Render a template file with the task's variables and `extra` ones."""

    def evaluate(self, expression: Value) -> Value:
        """Evaluate a bare Jinja expression, as in `when:`; true and false stay as they are."""

    def warn(self, text: str) -> None:
        """Tell the user, once in this run, what should be otherwise though it is allowed."""

    def remember(self, key: object, make: Any) -> Any:
        """Return what `make()` returned the first time in this run: for work that is the same for every host."""


class Outcome(Struct, frozen=True):
    """What an action did. `values` is what `register` gets beside it; `facts` become variables of the host."""

    changed: bool = False
    failed: bool = False
    skipped: bool = False
    msg: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, Value] = field(default_factory=dict)


class Module(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all modules. A subclass's docstring is its documentation; its first line is the summary."""

    name: ClassVar[str]
    free_form: ClassVar[str | None] = None
    """The argument that takes a task's plain text (`command: echo hi`), if the module has one."""
    synonyms: ClassVar[Mapping[str, str]] = {}
    """Other names that an argument has in Ansible -> its own (`dest` -> `path`)."""
    others: ClassVar[str | None] = None
    """The argument that collects those of any other name, if the module takes such (`set_fact`)."""

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Value]) -> Module:
        """Build the module from rendered arguments.

        Raises:
            msgspec.ValidationError: an argument is unknown, missing, or not of its type.
        """
        return msgspec.convert(arguments, cls, strict=False)

    def resolve(self, controller: Controller) -> Module:
        """Return the module with all that it needs from the controller (file contents, locks) in it."""
        return self

    def places(self) -> tuple[Place, ...]:
        """Return which Minicondas, environments and the like this speaks of: others on the host are unmanaged."""
        return ()


class StateModule(Module, Generic[S], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A module that keeps something in a state."""

    def observe(self) -> Probe[S | None] | Lookup[S | None]:
        """Return the question whose answer is the present state."""
        raise NotImplementedError

    def desired(self, found: S | None) -> S | None:
        """Return what should be, given what was found; None: it should not exist. Unset fields are not compared.

        Raises:
            TaskFailed: the wish cannot be met on this host; nothing is changed, in check mode neither.
        """
        raise NotImplementedError

    def converge(self, diff: Diff[S]) -> Iterator[Step]:
        """Yield the steps that remove the differences, and only those. Runs to its end in check mode too, unexecuted.

        Raises:
            TaskFailed: the differences cannot be removed (a driver is too old).
        """
        raise NotImplementedError

    def followed_by(self, others: Iterable[Module]) -> StateModule[S]:
        """Return the module, told what comes after it on this host: of its kind, in the same loop or in the next tasks.

        It may let the host begin with that work along with its own; the others' turns come all the same. Each that it
        takes from `others` is planned for that.
        """
        return self

    def returns(self, found: S | None) -> Mapping[str, Value]:
        """Return what `register` gets beside the usual keys, from the state found last."""
        return {}

    def facts(self, found: S | None) -> Mapping[str, Value]:
        """Return what becomes variables of the host (`setup`, `gpu_driver`)."""
        return {}


class ActionModule(Module, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A module that does something on the host each time."""

    one_step: ClassVar[bool] = False
    """Whether `act`, outside check mode, is one step, with which it succeeds or fails: another may follow at once."""

    def act(self, *, check: bool) -> Generator[Step, Completed, Outcome]:
        """Yield steps, get each one's [`Completed`][] back (whatever its status), return the outcome."""
        raise NotImplementedError


class ControllerModule(Module, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A module that happens on the controller alone (`debug`, `assert`, `set_fact`)."""

    raw: ClassVar[frozenset[str]] = frozenset()
    """Arguments that are expressions, and so are not rendered as templates beforehand (`that`, `var`)."""

    def perform(self, controller: Controller) -> Outcome:
        """Do it."""
        raise NotImplementedError
