"""Which handlers `notify` means."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from fleetenv.errors import Location
from fleetenv.playbook.handlers import notified
from fleetenv.playbook.model import Role, Task

PLACE = Location("h.yml", 1, 1)
WEB = Role("web", Path("/web"), {}, {}, {})


def handler(name: str | None, *listen: str, role: Role | None = None) -> Task:
    return Task("debug", None, PLACE, name=name, listen=listen, role=role, handler=True)


def meant(handlers: list[Task], *names: str) -> list[int]:
    found = notified(handlers, names, lambda task: str(task.name))
    return [index for index, each in enumerate(handlers) if each in found]


def test_of_handlers_with_one_name_the_last_is_meant() -> None:
    assert meant([handler("a"), handler("b"), handler("a")], "a") == [2]


def test_all_that_listen_are_meant_but_of_one_name_the_last() -> None:
    assert meant([handler("a", "x"), handler("b", "x"), handler("a", "x"), handler(None, "x")], "x") == [1, 2, 3]


def test_a_roles_handler_has_its_own_name_and_its_roles() -> None:
    handlers = [handler("a", role=WEB), handler("a")]
    assert meant(handlers, "web : a") == [0]
    assert meant(handlers, "a") == [1]


def test_they_run_in_the_order_of_their_definition() -> None:
    first, second = handler("a"), handler("b")
    assert notified([first, second], ["b", "a"], lambda task: str(task.name)) == (first, second)
    assert notified([first, replace(second)], ["nobody"], lambda task: str(task.name)) == ()
