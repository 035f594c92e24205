"""Reading variables: templates are rendered when, and only when, something reads them.

Only [`SourceText`][fleetenv.source.SourceText] is ever rendered. What a template gives is plain text, and what a host
said was never anything else, so neither can be rendered a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Protocol, TypeAlias

from fleetenv.errors import InputError, Location
from fleetenv.playbook.undefined import UndefinedVariable
from fleetenv.source import SourceText, Value

Raw: TypeAlias = object
"""A value as it is stored: text in it may be a template."""

_SCALARS = (str, int, float)  # and bool, which is an int


class Omit:
    """The magic variable `omit`: an argument, key or item of this value is left out."""

    def __repr__(self) -> str:
        return "omit"


OMIT = Omit()


class Absent:
    """There is no such variable."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


class Missing:
    """Something undefined: looked at, it can be told from a value; used, it raises."""

    __slots__ = ()

    def raise_it(self) -> NoReturn:
        """Raise the error that this stands for."""
        raise NotImplementedError


class RawVariables(Mapping[str, Value]):
    """Variables that render themselves when read; `look` and `raw` give them as they are stored."""

    def look(self, name: str) -> Raw:
        """Return a variable unrendered; `ABSENT` when there is none."""
        raise NotImplementedError

    def raw(self, name: str) -> Raw:
        """Return a variable unrendered.

        Raises:
            KeyError: there is no such variable.
        """
        value = self.look(name)
        if value is ABSENT:
            raise KeyError(name)
        return value


class Extended(RawVariables):
    """A scope with a few more variables."""

    def __init__(self, scope: Mapping[str, Value], extra: Mapping[str, Value]) -> None:
        self._scope = scope
        self._extra = extra

    def look(self, name: str) -> Raw:
        """Return a variable unrendered; `ABSENT` when there is none."""
        if name in self._extra:
            return self._extra[name]
        return self._scope.look(name) if isinstance(self._scope, RawVariables) else self._scope.get(name, ABSENT)

    def __getitem__(self, name: str) -> Value:
        return self._extra[name] if name in self._extra else self._scope[name]

    def __contains__(self, name: object) -> bool:
        return name in self._extra or name in self._scope

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._scope), **self._extra})

    def __len__(self) -> int:
        return len({*self._scope, *self._extra})


class HostScopes(Mapping[str, Mapping[str, Value]]):
    """`hostvars`: each host's variables, which are rendered with that host's own variables."""


class Renderer(Protocol):
    """What turns a text with templates in it into a value.

    Attributes:
        fleeting: how often something was read that may soon be otherwise: a clock, a file, another host's variables.
    """

    fleeting: int

    def run(self, text: SourceText, reading: Reading) -> object:
        """Render one text; the result may hold views."""

    def file(self, path: Path, reading: Reading, extra: Mapping[str, Value]) -> str:
        """Render a template file."""

    def missing(self, cause: UndefinedVariable) -> Missing:
        """Make the value that stands for something undefined, and raises `cause` when it is used."""


def is_template(text: str) -> bool:
    """Whether Jinja would see anything in this text."""
    return "{" in text and ("{{" in text or "{%" in text or "{#" in text)


class Reading:
    """One rendering: the variables that it sees, what it has read of them, and the texts that are being rendered."""

    __slots__ = ("_open", "_read", "renderer", "scope")

    def __init__(
        self,
        scope: Mapping[str, Value],
        renderer: Renderer,
        open_texts: dict[tuple[int, int], SourceText] | None = None,
    ) -> None:
        self.scope = scope
        self.renderer = renderer
        self._read: dict[str, object] = {}
        self._open = {} if open_texts is None else open_texts

    def variable(self, name: str) -> object:
        """Return a variable's value: rendered, a view when it is a container, a Jinja undefined when it uses one.

        Raises:
            KeyError: there is no such variable.
        """
        try:
            return self._read[name]
        except KeyError:
            pass
        if name == "vars":
            value: object = MapView(self.scope, self)
        else:
            scope = self.scope
            value = self.value(scope.raw(name) if isinstance(scope, RawVariables) else scope[name])
        self._read[name] = value
        return value

    def value(self, raw: Raw) -> object:
        """Return what a stored value means; undefined variables in it come out as Jinja undefined values."""
        if isinstance(raw, str):
            if not isinstance(raw, SourceText):
                return raw
            if not is_template(raw):
                return str(raw)  # no template ever gets hold of source text: it could make more of it
            try:
                return self.text(raw)
            except UndefinedVariable as error:
                return self.renderer.missing(error)
        if isinstance(raw, HostScopes):
            return HostsView(raw, self)
        if isinstance(raw, Mapping):
            return MapView(raw, self)
        if isinstance(raw, list | tuple):
            return ListView(raw, self)
        return raw

    def text(self, text: SourceText) -> object:
        """Render a text.

        Raises:
            UndefinedVariable: it uses a variable that is not there.
            InputError: it cannot be rendered, or needs itself.
        """
        key = (id(text), id(self.scope))
        if key in self._open:
            chain = " -> ".join([*map(str, self._open.values()), str(text)])
            raise InputError(f"a variable is defined by itself: {chain}", location=text.location)
        self._open[key] = text
        try:
            return self.renderer.run(text, self)
        except RecursionError as error:
            raise InputError(f"'{text}' needs itself, or too many others", location=text.location) from error
        finally:
            del self._open[key]

    def within(self, scope: Mapping[str, Value]) -> Reading:
        """Return the reading of another scope on behalf of this one."""
        return Reading(scope, self.renderer, self._open)

    def location(self) -> Location | None:
        """Where the innermost text that is being rendered was written."""
        return next((text.location for text in reversed(self._open.values())), None)


class MapView(Mapping[str, object]):
    """A mapping as templates see it: rendered when read, and unchangeable."""

    __slots__ = ("raw", "reading")

    def __init__(self, raw: Mapping[str, Value], reading: Reading) -> None:
        self.raw = raw
        self.reading = reading

    def __getitem__(self, key: str) -> object:
        raw = self.raw
        if isinstance(raw, RawVariables):
            return self.reading.variable(key)
        return self.reading.value(raw[key])

    def __contains__(self, key: object) -> bool:
        return key in self.raw

    def __iter__(self) -> Iterator[str]:
        return map(str, self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __eq__(self, other: object) -> bool:
        return bool(plain(self, strict=False) == plain(other, strict=False))

    def __hash__(self) -> int:
        raise TypeError("unhashable type: 'dict'")

    def __str__(self) -> str:
        return str(plain(self))

    __repr__ = __str__

    def copy(self) -> dict[str, object]:
        """Return a copy that a template may change."""
        return dict(self)


class ListView(Sequence[object]):
    """A list as templates see it: rendered when read, and unchangeable."""

    __slots__ = ("raw", "reading")

    def __init__(self, raw: Sequence[Value], reading: Reading) -> None:
        self.raw = raw
        self.reading = reading

    def __getitem__(self, index: int | slice) -> object:  # type: ignore[override]  # a slice is a view, too
        if isinstance(index, slice):
            return ListView(self.raw[index], self.reading)
        return self.reading.value(self.raw[index])

    def __len__(self) -> int:
        return len(self.raw)

    def __add__(self, other: object) -> list[object]:
        return [*self, *other] if isinstance(other, list | tuple | ListView) else NotImplemented

    def __radd__(self, other: object) -> list[object]:
        return [*other, *self] if isinstance(other, list | tuple) else NotImplemented

    def __mul__(self, times: int) -> list[object]:
        return list(self) * times

    def __eq__(self, other: object) -> bool:
        return bool(plain(self, strict=False) == plain(other, strict=False))

    def __hash__(self) -> int:
        raise TypeError("unhashable type: 'list'")

    def __str__(self) -> str:
        return str(plain(self))

    __repr__ = __str__

    def copy(self) -> list[object]:
        """Return a copy that a template may change."""
        return list(self)


class HostsView(Mapping[str, object]):
    """`hostvars` as templates see it: nothing is rendered but what is read, with the variables of the host it is of."""

    __slots__ = ("raw", "reading")

    def __init__(self, raw: HostScopes, reading: Reading) -> None:
        self.raw = raw
        self.reading = reading

    def __getitem__(self, host: str) -> object:
        scope = self.raw[host]
        return MapView(scope, self.reading.within(scope))

    def __contains__(self, host: object) -> bool:
        return host in self.raw

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)


def plain(value: object, *, strict: bool = True) -> object:
    """Return a value without views in it: a copy that filters may work on, and that can leave the templates.

    With `strict`, as for a final result, what is omitted is left out, and what is undefined raises; else both stay.
    """
    if value is None or isinstance(value, _SCALARS):
        return value
    if isinstance(value, Missing) and strict:
        value.raise_it()
    if isinstance(value, ListView | list | tuple):
        items = [plain(item, strict=strict) for item in value]
        return [item for item in items if item is not OMIT] if strict else items
    if isinstance(value, MapView | HostsView) and not strict and not isinstance(value.raw, dict):
        return value  # a whole host's variables stay unread
    if isinstance(value, Mapping):
        pairs = {key: plain(value[key], strict=strict) for key in value}
        return {key: item for key, item in pairs.items() if item is not OMIT} if strict else pairs
    return value
