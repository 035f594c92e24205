"""Tasks, handlers and blocks: from YAML to the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fleetenv.errors import InputError, Location, nearest
from fleetenv.playbook import keywords, loops
from fleetenv.playbook.inherited import Inherited, check_name, conditions, place, sequence
from fleetenv.playbook.model import Block, Entry, FlushHandlers, LoopControl, Task
from fleetenv.playbook.words import parse_arguments
from fleetenv.source import SourceList, SourceMap, SourceText, Value

if TYPE_CHECKING:
    from fleetenv.playbook.imports import Imports

ENGINE_MODULES: Mapping[str, str | None] = {
    "meta": "free_form",
    "include_tasks": "file",
    "import_tasks": "file",
    "include_role": None,
    "import_role": None,
}
"""What is not a module, but stands where modules stand; with the argument that takes free text."""

_COMMANDS = frozenset({"command", "shell", "raw", "script"})
_IMPORTS = frozenset({"import_tasks", "import_role"})
_INCLUDES = frozenset({"include_tasks", "include_role"})
_META = frozenset(
    {
        "clear_facts",
        "clear_host_errors",
        "end_batch",
        "end_host",
        "end_play",
        "flush_handlers",
        "noop",
        "reset_connection",
    }
)
_META_NOT_YET = frozenset({"end_role", "refresh_inventory", "role_complete"})
_OF_INCLUDES = frozenset(
    {
        "action",
        "args",
        "ignore_errors",
        "loop",
        "loop_control",
        "name",
        "no_log",
        "register",
        "run_once",
        "tags",
        "timeout",
        "vars",
    }
) | {"when"}
_NOT_HERE = {"include": "write include_tasks or import_tasks"}


class TaskReader:
    """Reads lists of tasks for one play."""

    def __init__(self, modules: Mapping[str, str | None], imports: Imports) -> None:
        self._modules = {**modules, **ENGINE_MODULES}
        self._imports = imports

    def entries(self, written: Value, inherited: Inherited, location: Location) -> tuple[Entry, ...]:
        """Read a list of tasks and blocks.

        Raises:
            InputError: anything in it is not as it should be.
        """
        if written is None:
            return ()
        if not isinstance(written, SourceList):
            raise InputError("a list of tasks is needed here", location=getattr(written, "location", location))
        result: list[Entry] = []
        for item, at in zip(written, written.items_at, strict=True):
            if not isinstance(item, SourceMap):
                raise InputError("a task is a mapping: its module, and keywords", location=at)
            result += self._block(item, inherited) if "block" in item else self._task(item, inherited)
        return tuple(result)

    def _block(self, written: SourceMap, inherited: Inherited) -> tuple[Entry, ...]:
        if inherited.handlers:
            raise InputError(
                "a block cannot be a handler", location=written.location, hint="list its tasks as handlers"
            )
        keywords.check("block", written, keywords.BLOCK)
        inner = inherited.within(written)
        parts = {
            part: self.entries(written.get(part), inner, place(written, part)) for part in ("block", "rescue", "always")
        }
        if not parts["rescue"] and not parts["always"]:
            return parts["block"]
        return (Block(location=written.location, name=written.get("name"), **parts),)

    def _task(self, written: SourceMap, inherited: Inherited) -> tuple[Entry, ...]:
        module, arguments, delegated = self._action(written, inherited)
        inner = inherited.within(written)
        if delegated:
            inner = replace(inner, keywords={**inner.keywords, "delegate_to": "localhost"})
        if module in _IMPORTS:
            if _loop(written)[0] is not None:
                raise InputError(
                    f"{module} cannot loop: it is read before anything runs",
                    location=written.location,
                    hint=f"write {module.replace('import', 'include')}",
                )
            return self._imports.static(module, self._given(written, arguments), inner)
        task = self._model(module, arguments, written, inner)
        if module in _INCLUDES:
            for key in written:
                if key not in _OF_INCLUDES and key in keywords.HANDLER:
                    raise InputError(
                        f"{module} takes no '{key}'",
                        location=written.keys_at[key],
                        hint=f"for all its tasks, write it under `apply:` of {module}",
                    )
            self._imports.foresee(task, self._given(written, arguments), inherited)
        if module == "meta":
            return (_meta(task, arguments),)
        return (task,)

    def _action(self, written: SourceMap, inherited: Inherited) -> tuple[str, Value, bool]:
        """Find the module that a task names: its name, its arguments, and whether it runs on the controller."""
        kind = "handler" if inherited.handlers else "task"
        supported = keywords.HANDLER if inherited.handlers else keywords.TASK
        keywords.refuse_unsupported(kind, written, supported)
        others = [key for key in written if key not in supported and not key.startswith("with_")]
        for word in ("action", "local_action"):
            if word in written:
                if others:
                    raise InputError(
                        f"a {kind} has one module, not also '{others[0]}'", location=written.keys_at[others[0]]
                    )
                module, arguments = self._from_action(written[word], place(written, word))
                return module, arguments, word == "local_action"
        if not others:
            raise InputError(f"this {kind} names no module", location=written.location)
        known = [key for key in others if self._name(key)]
        if len(known) > 1:
            raise InputError(
                f"a {kind} has one module, not both '{known[0]}' and '{known[1]}'", location=written.keys_at[known[1]]
            )
        wrong = next((key for key in others if key not in known), None)
        if wrong is not None:
            self._refuse(wrong, written.keys_at[wrong], kind, supported if known else [*supported, *self._modules])
        module = self._name(known[0])
        return module, self._arguments(module, written[known[0]], place(written, known[0])), False

    def _from_action(self, value: Value, location: Location) -> tuple[str, Value]:
        """Read `action: module key=value` and `action: {module: NAME, ...}`."""
        if isinstance(value, SourceMap):
            name = value.get("module")
            rest = SourceMap(value.location)
            rest.update({key: item for key, item in value.items() if key != "module"})
            rest.keys_at, rest.values_at = value.keys_at, value.values_at
            text: Value = rest
        else:
            name, _, arguments = str(value).strip().partition(" ")
            text = SourceText(arguments, location)
        module = self._name(str(name))
        if not module:
            self._refuse(str(name), location, "task", self._modules)
        return module, self._arguments(module, text, location)

    def _name(self, written: str) -> str:
        """Return a module's own name, or nothing when there is no such module."""
        short = written.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
        return short if short in self._modules else ""

    def _refuse(self, name: str, location: Location, kind: str, known: Collection[str]) -> None:
        if name in _NOT_HERE:
            raise InputError(f"'{name}' is not supported", location=location, hint=_NOT_HERE[name])
        if name.count(".") >= 2:
            short = name.rpartition(".")[2]
            hint = f"'{short}' is there: write that" if short in self._modules else nearest(short, self._modules)
            raise InputError(f"there is no module '{name}'", location=location, hint=hint)
        raise InputError(
            f"'{name}' is neither a module nor a keyword of a {kind}", location=location, hint=nearest(name, known)
        )

    def _arguments(self, module: str, value: Value, location: Location) -> Value:
        if value is None:
            return SourceMap(location)
        if isinstance(value, SourceText):
            return parse_arguments(value, self._modules[module], module, command=module in _COMMANDS)
        if isinstance(value, SourceMap):
            return value
        free_form = self._modules[module]
        if free_form is None or isinstance(value, SourceList):
            raise InputError(f"{module} needs a mapping of arguments", location=location)
        return parse_arguments(SourceText(str(value), location), free_form, module)

    def _given(self, written: SourceMap, arguments: Value) -> SourceMap:
        """Merge `args:` under the arguments of an import or include."""
        merged = SourceMap(written.location)
        for source in (written.get("args"), arguments):
            if isinstance(source, SourceMap):
                merged.update(source)
                merged.keys_at |= source.keys_at
                merged.values_at |= source.values_at
        return merged

    def _model(self, module: str, arguments: Value, written: SourceMap, inner: Inherited) -> Task:
        loop, form = _loop(written)
        register = written.get("register")
        if register is not None:
            check_name(str(register), place(written, "register"))
        return Task(
            module=module,
            arguments=arguments,
            location=written.location,
            name=written.get("name"),
            args_vars=written.get("args"),
            when=inner.when,
            loop=loop,
            loop_form=form,
            loop_control=_loop_control(written),
            until=written.get("until"),
            retries=written.get("retries"),
            delay=written.get("delay", 5),
            register=None if register is None else str(register),
            listen=tuple(map(str, sequence(written.get("listen")))),
            changed_when=conditions(written, "changed_when") if "changed_when" in written else None,
            failed_when=conditions(written, "failed_when") if "failed_when" in written else None,
            tags=self._imports.tags(inner),
            environment=inner.environment,
            vars=inner.vars,
            include_params=inner.include_params,
            role=inner.role,
            handler=inner.handlers,
            search=self._imports.search(inner),
            **dict(inner.keywords),
        )


def _loop(written: SourceMap) -> tuple[Value, str | None]:
    found = [key for key in written if key == "loop" or key.startswith("with_")]
    if len(found) > 1:
        raise InputError(
            f"a task has one loop, not both '{found[0]}' and '{found[1]}'", location=written.keys_at[found[1]]
        )
    if not found:
        return None, None
    key = found[0]
    if written[key] is None:
        raise InputError(f"{key} has nothing to loop over", location=written.keys_at[key])
    if key == "loop":
        return written[key], None
    form = key.removeprefix("with_").removeprefix("ansible.builtin.")
    if form not in loops.FORMS:
        raise InputError(
            f"'{key}' is not supported",
            location=written.keys_at[key],
            hint=nearest(key, [f"with_{each}" for each in loops.FORMS])
            or 'use loop with a lookup: `loop: "{{ q(...) }}"`',
        )
    return written[key], form


def _loop_control(written: SourceMap) -> LoopControl:
    value = written.get("loop_control")
    if value is None:
        return LoopControl()
    if not isinstance(value, SourceMap):
        raise InputError("loop_control needs a mapping", location=place(written, "loop_control"))
    keywords.check("loop_control", value, keywords.LOOP_CONTROL)
    for key in ("loop_var", "index_var"):
        if key in value:
            check_name(str(value[key]), place(value, key))
    index = value.get("index_var")
    return LoopControl(
        loop_var=str(value.get("loop_var", "item")),
        index_var=None if index is None else str(index),
        label=value.get("label"),
        extended=value.get("extended", False),
        pause=value.get("pause", 0),
    )


def _meta(task: Task, arguments: Value) -> Entry:
    action = arguments.get("free_form") if isinstance(arguments, SourceMap) else None
    if action in _META_NOT_YET:
        raise InputError(f"meta: {action} is not supported yet", location=task.location)
    if action not in _META:
        raise InputError(
            f"meta: there is no action '{action}'", location=task.location, hint=nearest(str(action), _META)
        )
    if action == "flush_handlers" and not task.when:
        return FlushHandlers(task.tags)
    return task
