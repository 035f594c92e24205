"""Which handlers a notification means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fleetenv.playbook.model import Task


def notified(handlers: Sequence[Task], names: Iterable[str], title: Callable[[Task], str]) -> tuple[Task, ...]:
    """Return the handlers that are notified by any of the names, in the order in which they are defined.

    As in Ansible, of handlers with the same name the one defined last is meant; `ROLE : NAME` names one of a role's;
    and all that `listen` to a name are meant, too.

    Args:
        handlers: in the order in which they were defined.
        names: what `notify` said.
        title: gives a handler's rendered name; nothing for one without a name.
    """
    titles = {handler: title(handler) if handler.name is not None else "" for handler in handlers}
    meant: set[Task] = set()
    for name in names:
        meant.update(_by_name(handlers, name, titles))
    return tuple(handler for handler in handlers if handler in meant)


def _by_name(handlers: Sequence[Task], name: str, titles: dict[Task, str]) -> Iterable[Task]:
    for handler in reversed(handlers):
        own = titles[handler]
        if own and name in (own, f"{handler.role.name} : {own}" if handler.role else own):
            yield handler
            break
    seen: set[str] = set()
    for handler in reversed(handlers):
        if name in handler.listen and titles[handler] not in seen:
            seen.update([titles[handler]] if titles[handler] else [])
            yield handler
