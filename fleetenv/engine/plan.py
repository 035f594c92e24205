"""What a task means on one host, as its variables stand now: conditions, loops, arguments, accounts.

Planning touches nothing. It serves three ends: bad input is found before any host is touched, questions are asked
early, and the task is carried out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from fleetenv.engine.coming import Coming
from fleetenv.engine.controller import TaskController
from fleetenv.engine.dialogue import Account, Asked
from fleetenv.engine.options import Options
from fleetenv.engine.prepared import Prepared, Shared
from fleetenv.errors import InputError, MissingFile
from fleetenv.events import TaskRef
from fleetenv.modules import registry
from fleetenv.modules.base import ActionModule, ControllerModule, Module, StateModule
from fleetenv.playbook import HostVariables, Recorded, Scope, UndefinedVariable, loops
from fleetenv.playbook.model import Play, Task
from fleetenv.playbook.reading import Extended
from fleetenv.remote import Lookup, Probe
from fleetenv.shell import Become, Settings
from fleetenv.source import Value

WITHOUT_MODULE = frozenset({"meta", "include_tasks", "include_role"})
"""What the engine itself does, rather than a module."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Meaning(Struct, frozen=True):
    """What a task, or one item of its loop, comes to with some variables: the same on every host that has these."""

    check_mode: bool
    no_log: bool
    false_condition: str = ""
    delegate_to: str = ""
    become: bool | None = None
    become_user: str | None = None
    become_method: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    module: Module | None = None
    question: Probe[Any] | Lookup[Any] | None = None

    def __repr__(self) -> str:
        return f"Meaning({self.module!r})"  # values of the environment may be secret


class Item(Struct, frozen=True):
    """A task, or one item of its loop, ready to be carried out; `module` is None when a condition is false."""

    task: Task
    local: Mapping[str, Value]
    label: str | None
    scope: Scope
    meaning: Meaning
    account: Account
    asked: Asked | None
    controller: TaskController
    delegate_to: str | None  # another host than its own

    @property
    def module(self) -> Module | None:
        """What is to be done."""
        return self.meaning.module


class Planner:
    """Plans the tasks of one play for one host."""

    def __init__(
        self,
        host: str,
        play: Play,
        variables: HostVariables,
        shared: Shared,
        options: Options,
        settings_of: Callable[[str], Settings],
    ) -> None:
        self.host = host
        self.play = play
        self.variables = variables
        self._settings = settings_of  # by the name of any host; tasks may be delegated
        self._templates = shared.templates
        self._memory = shared.memory
        self._prepared = Prepared(shared)
        self._options = options

    def items(self, task: Task) -> list[Item]:
        """Plan every item of a task; a task without a loop is one item.

        Raises:
            InputError: a template, a condition or an argument is wrong, with the variables that there are now.
        """
        return [self.item(task, local, label) for local, label in self._loop(task)]

    @property
    def version(self) -> tuple[int, int]:
        """What was planned holds as long as this stays: neither variables nor the controller's files have changed."""
        return self.variables.version, self._memory.changes

    def note_steps(self, delegate_to: str | None) -> None:
        """There were steps on a host: if that is the controller itself, its files may be others now."""
        if self._settings_of(delegate_to).transport == "local":
            self._memory.changes += 1

    def item(self, task: Task, local: Mapping[str, Value], label: str | None) -> Item:
        """Plan one item."""
        scope = self.variables.scope(self.play, task, local)
        meaning = self._prepared.get((task, label), scope, lambda inner: self._meaning(task, label, inner))
        delegate_to = meaning.delegate_to if meaning.delegate_to != self.host else None
        become = self._become(meaning, self._settings_of(delegate_to)) if meaning.module else None
        account = Account(become, meaning.environment)
        asked = Asked(account, meaning.question) if meaning.question else None
        controller = self._controller(task, scope, meaning.check_mode)
        return Item(task, local, label, scope, meaning, account, asked, controller, delegate_to or None)

    def _meaning(self, task: Task, label: str | None, variables: Recorded) -> Meaning:
        check_mode = self.flag(task.check_mode, variables, default=self._options.check_mode)
        no_log = self.flag(task.no_log, variables)
        for condition in task.when:
            if not self._templates.condition(condition, variables):
                return Meaning(check_mode, no_log, str(condition))
        delegate_to, user, method = (
            None if each is None else self._templates.render(each, variables)
            for each in (task.delegate_to, task.become_user, task.become_method)
        )
        # In two parts: hosts often have the same arguments, and other contents of the files that these name.
        module = self._prepared.get(("module", task, label), variables, lambda inner: self._module(task, inner))
        module = module.resolve(self._controller(task, variables, check_mode))
        return Meaning(
            check_mode,
            no_log,
            delegate_to=str(delegate_to or ""),
            become=None if task.become is None else self.flag(task.become, variables),
            become_user=str(user) if user else None,
            become_method=str(method) if method else None,
            environment=self._environment(task, variables),
            module=module,
            question=module.observe() if isinstance(module, StateModule) else None,
        )

    def _controller(self, task: Task, variables: Mapping[str, Value], check_mode: bool) -> TaskController:
        return TaskController(
            self.host, check_mode, self._options.relock, variables, task, self._templates, self._memory
        )

    def inclusions(self, task: Task) -> Iterator[tuple[Mapping[str, Value], Mapping[str, Value]]]:
        """Yield, for each item of a dynamic include's loop whose conditions hold, its variables and all variables."""
        for local, _ in self._loop(task):
            scope = self.variables.scope(self.play, task, local)
            if self._holds(task, scope):
                yield local, scope

    def early(self, tasks: Iterable[Task], window: float) -> list[Asked]:
        """Questions of coming tasks, up to the first that certainly acts: what it changes nobody knows beforehand."""
        questions: list[Asked] = []
        for task in tasks:
            if len(questions) >= window:
                break
            try:
                items = [] if task.module in WITHOUT_MODULE else self.items(task)
            except InputError:  # it needs what an earlier task will tell: it is asked at its turn
                if _is_asked(task):
                    break  # and all that follows then goes along with it
                continue
            questions += [each.asked for each in items if each.asked and not each.delegate_to]
            if any(isinstance(each.module, ActionModule) for each in items):
                break
        return questions

    def foresee(self, task: Task, unknown: Collection[str]) -> list[Item] | None:
        """Plan a task that will be the same whatever some variables will be; None: it may become another."""
        if task.module in WITHOUT_MODULE:
            return None
        items: list[Item] = []
        try:
            loop = self._loop(task)
            if task.loop is not None and not self._is_certain(("loop", task), unknown):
                return None
            for local, label in loop:
                items.append(self.item(task, local, label))
                if not self._is_certain((task, label), unknown):
                    return None
        except InputError:
            return None
        return items

    def _is_certain(self, thing: object, unknown: Collection[str]) -> bool:
        reads = self._prepared.reads(thing)
        return reads is not None and reads.keys().isdisjoint(unknown)

    def check(self, tasks: Iterable[Task], coming: Coming) -> None:
        """Plan all tasks before anything is touched; what needs variables that are yet to come is passed over.

        Raises:
            InputError: something is wrong whatever the host will say.
        """
        for task in tasks:
            if task.module not in WITHOUT_MODULE:
                try:
                    self.items(task)
                except UndefinedVariable as error:
                    if error.name is not None and error.name not in coming:
                        raise
                except MissingFile:
                    if not coming.files:
                        raise

    def render(self, value: Value, scope: Mapping[str, Value]) -> Value:
        """Render a value with a task's variables."""
        return self._templates.render(value, scope)

    def condition(self, condition: Value, scope: Mapping[str, Value]) -> bool:
        """Evaluate a condition with a task's variables."""
        return self._templates.condition(condition, scope)

    def flag(self, value: Value, scope: Mapping[str, Value], *, default: bool = False) -> bool:
        """Render a keyword that takes yes or no; None when nobody said."""
        return default if value is None else self._templates.flag(value, scope)

    def says(self, task: Task, value: Value) -> bool:
        """Render a task's keyword that takes yes or no; None, when nobody said, is no."""
        return value is not None and self.flag(value, self.variables.scope(self.play, task))

    def holds(self, task: Task) -> bool:
        """Whether all conditions of a task without a loop hold."""
        return self._holds(task, self.variables.scope(self.play, task))

    def _holds(self, task: Task, scope: Mapping[str, Value]) -> bool:
        return all(self._templates.condition(condition, scope) for condition in task.when)

    def title(self, task: Task) -> str:
        """Return the task's name as reports show it; a name that cannot be rendered is shown as it is written."""
        return self.reference(task).name

    def reference(self, task: Task, scope: Scope | None = None) -> TaskRef:
        """Return the task as reports show it; `scope` holds the variables of an item, whose name it then has."""
        scope = self.variables.scope(self.play, task) if scope is None else scope
        return self._prepared.get(("reference", task), scope, lambda inner: self._reference(task, inner))

    def _reference(self, task: Task, variables: Recorded) -> TaskRef:
        try:
            name = task.module if task.name is None else str(self._templates.render(task.name, variables))
        except InputError:
            name = str(task.name)
        role = task.role.name if task.role else None
        return TaskRef(self.play.name, name, task.module, task.location, role, task.handler, tuple(sorted(task.tags)))

    def _loop(self, task: Task) -> Sequence[tuple[Mapping[str, Value], str | None]]:
        if task.loop is None:
            return [({}, None)]
        scope = self.variables.scope(self.play, task)
        return self._prepared.get(("loop", task), scope, lambda inner: self._turns(task, inner))

    def _turns(self, task: Task, variables: Recorded) -> list[tuple[dict[str, Value], str]]:
        """Return the variables and the label of each item of a task's loop."""
        try:
            values = loops.items(task, self._templates, variables) or []
        except UndefinedVariable:
            if self._holds(task, variables):
                raise
            return []  # Ansible skips a task whose condition is false, though its loop cannot be worked out
        control = task.loop_control
        turns: list[tuple[dict[str, Value], str]] = []
        for index, value in enumerate(values):
            local: dict[str, Value] = {control.loop_var: value, "ansible_loop_var": control.loop_var}
            if control.index_var:
                local[control.index_var] = index
                local["ansible_index_var"] = control.index_var
            if control.extended:
                local["ansible_loop"] = _position(values, index)
            label = value
            if control.label is not None:
                label = self._templates.render(control.label, Extended(variables, local))
            turns.append((local, str(label)))
        return turns

    def _module(self, task: Task, scope: Mapping[str, Value]) -> Module:
        kind = registry.load(task.module, task.location)
        raw = kind.raw if issubclass(kind, ControllerModule) else frozenset()
        arguments: dict[str, Value] = {}
        for source in (task.args_vars, task.arguments):
            if isinstance(source, Mapping):
                plain = {key: value for key, value in source.items() if key in raw}
                rendered = self._templates.render({k: v for k, v in source.items() if k not in raw}, scope)
                arguments |= plain | (rendered if isinstance(rendered, dict) else {})
            elif source is not None:
                rendered = self._templates.render(source, scope)
                if not isinstance(rendered, dict):
                    raise InputError(f"the arguments of {task.module} must be a mapping", location=task.location)
                arguments |= rendered
        return registry.build(task.module, arguments, task.location)

    def _settings_of(self, delegate_to: str | None) -> Settings:
        return self._settings(delegate_to or self.host)

    def _become(self, meaning: Meaning, settings: Settings) -> Become | None:
        """Return whom to become on the host that does it: with its own password, never with another host's."""
        chosen = settings.becoming(meaning.become, meaning.become_user, meaning.become_method)
        return None if chosen is None or chosen.user == settings.user else chosen

    def _environment(self, task: Task, scope: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
        merged: dict[str, str] = {}
        for written in task.environment:
            rendered: Any = self._templates.render(written, scope)
            for each in rendered if isinstance(rendered, list) else [rendered or {}]:
                if not isinstance(each, Mapping):
                    raise InputError("environment needs a mapping of names to values", location=task.location)
                merged |= {str(key): str(value) for key, value in each.items()}
        for name, value in merged.items():
            if not _NAME.fullmatch(name):
                raise InputError(f"environment: '{name}' cannot be the name of a variable", location=task.location)
            if "\0" in value:
                raise InputError(f"environment: {name} cannot hold a NUL character", location=task.location)
        return tuple(sorted(merged.items()))


def _is_asked(task: Task) -> bool:
    """Whether a task's own host is certainly asked at its turn."""
    if task.when or task.loop is not None or task.delegate_to is not None or task.run_once:
        return False
    return not issubclass(registry.load(task.module, task.location), ActionModule | ControllerModule)


def _position(values: list[Value], index: int) -> dict[str, Value]:
    """`ansible_loop`, as Ansible documents it."""
    last = len(values) - 1
    position: dict[str, Value] = {
        "allitems": values,
        "index": index + 1,
        "index0": index,
        "revindex": last - index + 1,
        "revindex0": last - index,
        "first": index == 0,
        "last": index == last,
        "length": len(values),
    }
    if index > 0:
        position["previtem"] = values[index - 1]
    if index < last:
        position["nextitem"] = values[index + 1]
    return position
