"""Lookups by name, and the global functions of templates. What a lookup finds is data: it is never rendered."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from fleetenv.errors import InputError, nearest
from fleetenv.playbook.jinja import on_controller, on_variables
from fleetenv.playbook.reading import OMIT, Reading

Lookup = Callable[..., Iterable[Any]]
"""Takes the terms, the reading that asks, and options; gives the values found."""


def find(name: str) -> Lookup:
    """Return the lookup of a name.

    Raises:
        InputError: there is none.
    """
    short = name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
    if short in REFUSED:
        raise InputError(f"the lookup '{name}' is not supported", hint=REFUSED[short])
    if short not in LOOKUPS:
        raise InputError(f"there is no lookup '{name}'", hint=nearest(short, LOOKUPS))
    return LOOKUPS[short]


def look_up(name: str, terms: list[Any], reading: Reading, **options: Any) -> list[Any]:
    """Run a lookup, and return all that it finds."""
    if name.rpartition(".")[2] in (*on_controller.LOOKUPS, "random_choice"):
        reading.renderer.fleeting += 1
    return list(find(name)(terms, reading, **options))


@pass_context
def lookup(
    context: Context, name: str, /, *terms: Any, wantlist: bool = False, errors: str = "strict", **options: Any
) -> Any:
    """`lookup(...)`: one value as it is, several texts joined by commas, or with `wantlist` a list."""
    undefined = next((each for each in (*terms, *options.values()) if isinstance(each, Undefined)), None)
    if undefined is not None and name.rpartition(".")[2] != "first_found":
        return undefined
    try:
        found = look_up(name, list(terms), _reading(context), **options)
    except (InputError, OSError):
        if errors == "strict":
            raise
        return [] if wantlist else None
    if wantlist or not found:
        return found
    if len(found) == 1:
        return found[0]
    return ",".join(found) if all(isinstance(each, str) for each in found) else found


@pass_context
def query(context: Context, name: str, /, *terms: Any, **options: Any) -> Any:
    """`query(...)`: a lookup that always gives a list."""
    return lookup(context, name, *terms, **{**options, "wantlist": True})


@pass_context
def now(context: Context, utc: bool = False, fmt: str | None = None) -> Any:
    """Return the controller's time, or write it in a form."""
    _reading(context).renderer.fleeting += 1
    moment = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) if utc else datetime.datetime.now()
    return moment.strftime(fmt) if fmt else moment


@pass_context
def undef(context: Context, hint: str | None = None) -> Any:
    """Return something undefined: a default that must be overridden."""
    return context.environment.undefined(hint=hint or "a mandatory variable has not been overridden")


def _reading(context: Context) -> Reading:
    reading = getattr(context.parent, "reading", None)
    if isinstance(reading, Reading):
        return reading
    raise InputError("lookups need variables: import this template 'with context'")


LOOKUPS: dict[str, Lookup] = {**on_controller.LOOKUPS, **on_variables.LOOKUPS}

REFUSED = {
    "config": "there is no ansible.cfg here",
    "csvfile": "it is not supported yet; keep the table as YAML",
    "ini": "it is not supported yet; keep the values as YAML",
    "inventory_hostnames": "it is not supported yet; use groups['name']",
    "password": "keep the password in a variable, or read it with the lookup 'env' or 'file'",
    "unvault": "vaulted files are not supported yet",
    "url": "it is not supported yet; use the lookup 'pipe' with curl",
}
"""Lookups that are known and not there, with what helps."""

GLOBALS: dict[str, Any] = {"lookup": lookup, "query": query, "q": query, "now": now, "undef": undef, "omit": OMIT}
