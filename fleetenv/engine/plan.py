"""What a task means on one host, as its variables stand now: conditions, loops, arguments, accounts.

Planning touches nothing. It serves three ends: bad input is found before any host is touched, questions are asked
early, and the task is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleetenv.engine.coming import Coming
from fleetenv.engine.controller import Memory, TaskController
from fleetenv.engine.dialogue import Account, Asked
from fleetenv.engine.options import Options
from fleetenv.errors import InputError, MissingFile
from fleetenv.modules import registry
from fleetenv.modules.base import ControllerModule, Module, StateModule
from fleetenv.playbook import HostVariables, Templates, UndefinedVariable, loops
from fleetenv.playbook.model import Play, Task
from fleetenv.shell import Become, Settings
from fleetenv.source import Value

WITHOUT_MODULE = frozenset({"meta", "include_tasks", "include_role"})
"""What the engine itself does, rather than a module."""


@dataclass(frozen=True, slots=True)
class Item:
    """A task, or one item of its loop, ready to be carried out; `module` is None when a condition is false."""

    task: Task
    local: Mapping[str, Value]
    label: str | None
    scope: Mapping[str, Value]
    module: Module | None
    asked: Asked | None
    account: Account
    controller: TaskController
    false_condition: str = ""
    no_log: bool = False
    delegate_to: str | None = None


class Planner:
    """Plans the tasks of one play for one host."""

    def __init__(
        self,
        host: str,
        play: Play,
        variables: HostVariables,
        templates: Templates,
        memory: Memory,
        options: Options,
        settings_of: Callable[[str], Settings],
    ) -> None:
        self.host = host
        self.play = play
        self.variables = variables
        self._settings = settings_of  # by the name of any host; tasks may be delegated
        self._templates = templates
        self._memory = memory
        self._options = options
        self._plans: dict[Task, tuple[tuple[int, int], list[Item]]] = {}

    def items(self, task: Task) -> list[Item]:
        """Plan every item of a task; a task without a loop is one item.

        Raises:
            InputError: a template, a condition or an argument is wrong, with the variables that there are now.
        """
        version = self.version
        known, items = self._plans.get(task, (None, []))
        if known != version:
            before = self._templates.fleeting
            items = [self.item(task, local, label) for local, label in self._turns(task)]
            if self._templates.fleeting == before:
                self._plans[task] = (version, items)
        return items

    @property
    def version(self) -> tuple[int, int]:
        """What was planned holds as long as this stays: neither variables nor the controller's files have changed."""
        return self.variables.version, self._memory.changes

    def note_steps(self, delegate_to: str | None) -> None:
        """There were steps on a host: if that is the controller itself, its files may be others now."""
        if self._settings_of(delegate_to).transport == "local":
            self._memory.changes += 1

    def item(self, task: Task, local: Mapping[str, Value], label: str | None) -> Item:
        """Plan one item anew."""
        scope = self.variables.scope(self.play, task, **local)
        check_mode = self.flag(task.check_mode, scope, default=self._options.check_mode)
        controller = TaskController(
            self.host, check_mode, self._options.relock, scope, task, self._templates, self._memory
        )
        no_log = self.flag(task.no_log, scope)
        for condition in task.when:
            if not self._templates.condition(condition, scope):
                return Item(task, local, label, scope, None, None, Account(), controller, str(condition), no_log)
        delegate_to = self._delegate(task, scope)
        become = self._become(task, scope, self._settings_of(delegate_to))
        account = Account(become, self._environment(task, scope))
        module = self._module(task, scope, controller)
        asked = Asked(account, module.observe()) if isinstance(module, StateModule) else None
        return Item(task, local, label, scope, module, asked, account, controller, "", no_log, delegate_to)

    def inclusions(self, task: Task) -> Iterator[tuple[Mapping[str, Value], Mapping[str, Value]]]:
        """Yield, for each item of a dynamic include's loop whose conditions hold, its variables and all variables."""
        for local, _ in self._turns(task):
            scope = self.variables.scope(self.play, task, **local)
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
            except InputError:
                continue  # it needs what an earlier task will tell: it is asked at its turn
            questions += [each.asked for each in items if each.asked and not each.delegate_to]
            if any(not isinstance(each.module, StateModule | ControllerModule | None) for each in items):
                break
        return questions

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

    def title(self, task: Task, scope: Mapping[str, Value] | None = None) -> str:
        """Return the task's name as reports show it; a name that cannot be rendered is shown as it is written."""
        if task.name is None:
            return task.module
        try:
            return str(self._templates.render(task.name, scope or self.variables.scope(self.play, task)))
        except InputError:
            return str(task.name)

    def _turns(self, task: Task) -> Iterator[tuple[dict[str, Value], str | None]]:
        if task.loop is None:
            yield {}, None
            return
        scope = self.variables.scope(self.play, task)
        try:
            values = loops.items(task, self._templates, scope) or []
        except UndefinedVariable:
            if self._holds(task, scope):
                raise
            return  # Ansible skips a task whose condition is false, though its loop cannot be worked out
        control = task.loop_control
        for index, value in enumerate(values):
            local: dict[str, Value] = {control.loop_var: value, "ansible_loop_var": control.loop_var}
            if control.index_var:
                local[control.index_var] = index
                local["ansible_index_var"] = control.index_var
            if control.extended:
                local["ansible_loop"] = _position(values, index)
            label = value
            if control.label is not None:
                label = self._templates.render(control.label, self.variables.scope(self.play, task, **local))
            yield local, str(label)

    def _module(self, task: Task, scope: Mapping[str, Value], controller: TaskController) -> Module:
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
        return registry.build(task.module, arguments, task.location).resolve(controller)

    def _settings_of(self, delegate_to: str | None) -> Settings:
        return self._settings(delegate_to or self.host)

    def _become(self, task: Task, scope: Mapping[str, Value], settings: Settings) -> Become | None:
        """Return whom to become on the host that does it: with its own password, never with another host's."""
        become = None if task.become is None else self.flag(task.become, scope)
        user, method = (self._templates.render(each, scope) for each in (task.become_user, task.become_method))
        chosen = settings.becoming(become, str(user) if user else None, str(method) if method else None)
        return None if chosen is None or chosen.user == settings.user else chosen

    def _environment(self, task: Task, scope: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
        merged: dict[str, str] = {}
        for written in task.environment:
            rendered: Any = self._templates.render(written, scope)
            for each in rendered if isinstance(rendered, list) else [rendered or {}]:
                if not isinstance(each, Mapping):
                    raise InputError("environment needs a mapping of names to values", location=task.location)
                merged |= {str(key): str(value) for key, value in each.items()}
        return tuple(sorted(merged.items()))

    def _delegate(self, task: Task, scope: Mapping[str, Value]) -> str | None:
        name = None if task.delegate_to is None else self._templates.render(task.delegate_to, scope)
        return None if not name or name == self.host else str(name)


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
