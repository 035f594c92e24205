"""What a play, block, role or import says for the tasks inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from fleetenv.errors import InputError, Location
from fleetenv.playbook.keywords import INHERITED
from fleetenv.playbook.model import Role
from fleetenv.source import SourceMap, Value


class Inherited(Struct, frozen=True):
    """Keywords gathered from outside to inside, and where the tasks stand."""

    keywords: Mapping[str, Value] = field(default_factory=dict)  # of INHERITED
    when: tuple[Value, ...] = ()
    tags: frozenset[Value] = frozenset()
    environment: tuple[Value, ...] = ()
    vars: Mapping[str, Value] = field(default_factory=dict)
    include_params: Mapping[str, Value] = field(default_factory=dict)
    role: Role | None = None
    handlers: bool = False
    file: Path = Path()  # the file that the tasks are written in

    def within(self, written: SourceMap) -> Inherited:
        """Add what a mapping of keywords says."""
        return replace(
            self,
            keywords={**self.keywords, **{key: value for key, value in written.items() if key in INHERITED}},
            when=self.when + conditions(written, "when"),
            tags=self.tags | tags_of(written),
            environment=self.environment + sequence(written.get("environment")),
            vars={**self.vars, **variables(written)},
        )


def sequence(value: Value) -> tuple[Value, ...]:
    """A list as a tuple; one value stands for a list of it, and None for an empty one."""
    return () if value is None else tuple(value) if isinstance(value, list) else (value,)


def conditions(written: SourceMap, keyword: str) -> tuple[Value, ...]:
    """Read `when` and its like: one condition, or a list of them that must all be true."""
    result = sequence(written.get(keyword))
    for condition in result:
        if not isinstance(condition, str | bool):
            raise InputError(
                f"{keyword} needs a condition, not {condition!r}",
                location=place(written, keyword),
                hint="write an expression such as `x == 1`",
            )
    return result


def tags_of(written: SourceMap) -> frozenset[Value]:
    """Read `tags`: a list, or words with commas between them."""
    result: set[Value] = set()
    for tag in sequence(written.get("tags")):
        if isinstance(tag, str) and "{" in tag:
            result.add(tag)
        elif isinstance(tag, str | int):
            result.update(part.strip() for part in str(tag).split(","))
        else:
            raise InputError("tags are words", location=place(written, "tags"))
    return frozenset(result)


def variables(written: SourceMap, keyword: str = "vars") -> Mapping[str, Value]:
    """Read `vars`.

    Raises:
        InputError: it is not a mapping, or a name cannot be a variable's.
    """
    value = written.get(keyword)
    if value is None:
        return {}
    if not isinstance(value, SourceMap):
        raise InputError(f"{keyword} needs a mapping of variables", location=place(written, keyword))
    for name in value:
        check_name(name, value.keys_at[name])
    return value


def check_name(name: str, location: Location) -> None:
    """Refuse what cannot be a variable's name."""
    if not name.isidentifier() or not name.isascii():
        raise InputError(
            f"'{name}' cannot be a variable's name", location=location, hint="names are letters, digits and underscores"
        )


def place(written: SourceMap, key: str) -> Location:
    """Where the value of a key was written."""
    return written.values_at.get(key, written.location)
