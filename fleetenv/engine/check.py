"""What can be known to be wrong with a task as it is written, before any variable is looked at."""

from __future__ import annotations

from fleetenv.engine.lookahead import every_task
from fleetenv.engine.plan import WITHOUT_MODULE
from fleetenv.errors import InputError, nearest
from fleetenv.modules import registry
from fleetenv.playbook import Templates, handlers
from fleetenv.playbook.model import Play, Task
from fleetenv.playbook.reading import is_template
from fleetenv.playbook.rendered import holds_template
from fleetenv.source import SourceMap, SourceText


def check_arguments(task: Task) -> None:
    """Check a task's arguments, as far as they hold no templates.

    Raises:
        InputError: one is unknown, missing, or not of its type.
    """
    if task.module in WITHOUT_MODULE:
        return
    written = task.arguments
    if isinstance(written, SourceMap) and isinstance(task.args_vars, SourceMap):
        written = _merged(task.args_vars, written)
    if isinstance(written, SourceMap):
        registry.check_arguments(task.module, written)
    elif written is None and task.args_vars is None:
        registry.check_arguments(task.module, SourceMap(task.location))


def check_flags(task: Task, templates: Templates) -> None:
    """Check keywords that take yes or no, where they are written without a template.

    Raises:
        InputError: one is neither.
    """
    flags = (task.become, task.check_mode, task.diff, task.no_log, task.run_once)
    for flag in (*flags, task.any_errors_fatal, task.ignore_errors, task.ignore_unreachable):
        if flag is not None and not holds_template(flag):
            templates.flag(flag, {})


def check_notified(task: Task, play: Play) -> None:
    """Check that the handlers which a task notifies are there; a role that is included later may bring more.

    Raises:
        InputError: nobody has a name that it notifies.
    """
    if any(each.module == "include_role" for each in every_task(play.entries)):
        return
    names = [str(handler.name) for handler in play.handlers if handler.name is not None]
    names += [word for handler in play.handlers for word in handler.listen]
    if any(is_template(name) for name in names):
        return
    for name in task.notify if isinstance(task.notify, list) else [task.notify]:
        if not isinstance(name, SourceText) or is_template(name):
            continue
        if not handlers.notified(play.handlers, [name], lambda handler: str(handler.name)):
            hint = nearest(name, names) or "its name, or what it listens to, is needed"
            raise InputError(f"there is no handler '{name}'", location=name.location, hint=hint)


def _merged(weak: SourceMap, strong: SourceMap) -> SourceMap:
    merged = SourceMap(strong.location)
    for each in (weak, strong):
        merged.update(each)
        merged.keys_at.update(each.keys_at)
        merged.values_at.update(each.values_at)
    return merged
