"""Pages as HTML and JSON: everything escaped, everything of a bounded size, nothing fetched from elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.resources import files
from urllib.parse import quote, urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from fleetenv.drift.snapshot import Plain
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import counted, duration, visible, visible_line

MAX_LINE = 300
"""Characters of one value in a table."""

MAX_BRIEF = 600
"""Characters of a message among many others."""

MAX_TEXT = 4000
"""Characters of a message that stands alone, and of every string in JSON."""

STATIC = ("style.css", "page.js")


class Renderer:
    """Fills the package's templates; its style and script are served under names that change with their content."""

    def __init__(self) -> None:
        self.static = {name: files(__package__).joinpath("static", name).read_bytes() for name in STATIC}
        self.version = hashlib.sha256(b"".join(self.static.values())).hexdigest()[:12]
        self._environment = Environment(
            loader=PackageLoader("fleetenv.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            line=line, brief=brief, text=text, plain=plain_text, when=when, fold=fold, counted=counted, took=duration,
            path=path,
        )  # fmt: skip
        self._environment.globals.update(version=self.version, query=query)
        # all at once, so that an upgrade of fleetenv under a running server does not mix two versions
        names = self._environment.list_templates(".j2")
        self._templates = {name.removesuffix(".html.j2"): self._environment.get_template(name) for name in names}

    def html(self, template: str, **values: object) -> str:
        """Return the page."""
        return self._templates[template].render(values)


def page_json(page: msgspec.Struct) -> bytes:
    """Return a page's data as JSON, in ASCII; longer strings are cut, and say so."""
    return json.dumps(_bounded(msgspec.to_builtins(page, str_keys=True)), indent=1).encode() + b"\n"


def _bounded(value: object) -> object:
    match value:
        case str():
            return shortened(value, MAX_TEXT)
        case list() | tuple():
            return [_bounded(each) for each in value]
        case dict():
            return {shortened(str(key), MAX_LINE): _bounded(each) for key, each in value.items()}
    return value


def shortened(value: str, longest: int) -> str:
    """Return a string, or its beginning with a note of how much there is."""
    if len(value) <= longest:
        return value
    return f"{value[:longest]} … (the first {longest:,} of {len(value):,} characters)"


def line(value: object) -> str:
    """Return a value for one line: what a host wrote cannot hide, steer or overflow it."""
    return visible_line(shortened(str(value), MAX_LINE))


def brief(value: str) -> str:
    """Return a message in a table, among many others."""
    return visible(shortened(value, MAX_BRIEF))


def text(value: str) -> str:
    """Return a message of several lines."""
    return visible(shortened(value, MAX_TEXT))


def plain_text(value: Plain) -> str:
    """Return a snapshot's value as people read it."""
    match value:
        case None:
            return "—"
        case bool():
            return "yes" if value else "no"
        case str():
            return line(value) if value else "(empty)"
        case int() | float():
            return str(value).removesuffix(".0")
        case list():
            return line(", ".join(plain_text(each) for each in value[:MAX_LINE])) if value else "(none)"
        case _:
            return line(msgspec.json.encode(value).decode()) if value else "(none)"


def when(value: datetime | None) -> str:
    """Return a time in this server's zone, to the minute."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M") if value else "—"


def fold(names: list[str] | tuple[str, ...]) -> str:
    """Return host names as ranges."""
    return visible_line(shortened(fold_hosts(names), MAX_TEXT))


def path(name: str) -> str:
    """Return a name as one part of a URL's path."""
    return quote(name, safe="")


class Asked(dict[str, object]):
    """What was asked of a page, by parameter; `defaults` need not stand in an address."""

    def __init__(self, values: Mapping[str, object], defaults: Mapping[str, object]) -> None:
        super().__init__(values)
        self.defaults = defaults


def asked_of(asked: msgspec.Struct, path: Iterable[str]) -> Asked:
    """Return a page's parameters, without those that are parts of its path."""
    fields = msgspec.structs.fields(asked)
    values = {each.name: msgspec.to_builtins(getattr(asked, each.name)) for each in fields if each.name not in path}
    return Asked(values, {each.name: each.default for each in fields})


def query(asked: Asked, **changed: object) -> str:
    """Return the `?...` of a link to this page with some of its parameters changed."""
    pairs = [
        (name, str(value))
        for name, value in {**asked, **changed}.items()
        if value not in (None, "") and value != asked.defaults.get(name)
    ]
    return "?" + urlencode(pairs)
