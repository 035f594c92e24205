"""What a project demands of its specs: the table `[lint]` of `fleetenv.toml`, beside them or in a folder above."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from fleetenv.errors import InputError, Location, nearest
from fleetenv.source import shown

FILE = "fleetenv.toml"
DEFAULT_NAMES = r"[a-z][a-z0-9]*(_[a-z0-9]+){2,}"
_KEYS = ("names", "channels", "ignore")
_PLACE = re.compile(r" ?\(at line (\d+), column (\d+)\)")


class Policy(Struct, frozen=True):
    """What the linter is to demand."""

    names: str = DEFAULT_NAMES  # a regular expression for the whole name of an environment
    channels: tuple[str, ...] | None = None  # those that specs may use; None: all
    ignore: frozenset[str] = frozenset()  # codes that do not count
    path: Path | None = None  # None: these are the defaults

    @property
    def name_rule(self) -> str:
        """The rule for names as people read it."""
        if self.names == DEFAULT_NAMES:
            return "names are <team>_<project>_<purpose>, in lower case"
        return f"{shown(self.path or Path(FILE))} wants names that match {self.names}"


def policy(folder: Path, codes: tuple[str, ...]) -> Policy:
    """Read the policy that holds for specs in a folder; without a `fleetenv.toml` it is the default.

    Args:
        folder: The specs' folder.
        codes: The linter's.

    Raises:
        InputError: the file is not TOML, or says what has no meaning, with file, line and column.
    """
    for place in (folder.resolve(), *folder.resolve().parents):
        path = place / FILE
        if path.is_file():
            return _read(path, codes)
    return Policy()


def _read(path: Path, codes: tuple[str, ...]) -> Policy:
    import tomllib  # most projects have no such file

    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {shown(path)}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        location = Location(shown(path), int(place[1]) if place else 1, int(place[2]) if place else 1)
        raise InputError(f"not valid TOML: {_PLACE.sub('', str(error))}", location=location) from error
    table = document.pop("lint", {})
    if document or not isinstance(table, dict):
        raise InputError(f"{FILE} has one table, [lint]", location=_at(path, text, next(iter(document), "lint")))
    for key in table:
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"it has {', '.join(_KEYS)}"
            raise InputError(f"unknown key '{key}' in [lint]", location=_at(path, text, key), hint=hint)
    channels, ignore = _texts(table, "channels", path, text), _texts(table, "ignore", path, text) or ()
    for code in ignore:
        if code not in codes:
            hint = nearest(code, codes) or f"they are {codes[0]} to {codes[-1]}"
            raise InputError(f"there is no rule {code}", location=_at(path, text, "ignore"), hint=hint)
    return Policy(_names(table, path, text), channels, frozenset(ignore), path)


def _names(table: Mapping[str, object], path: Path, text: str) -> str:
    names = table.get("names", DEFAULT_NAMES)
    try:
        if not isinstance(names, str):
            raise TypeError("it is not text")
        re.compile(names)
    except (re.error, TypeError) as error:
        hint = r"as in names = '[a-z]+_[a-z0-9_]+'"
        location = _at(path, text, "names")
        raise InputError(f"'names' is not a regular expression: {error}", location=location, hint=hint) from error
    return names


def _texts(table: Mapping[str, object], key: str, path: Path, text: str) -> tuple[str, ...] | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"'{key}' must be a list of texts", location=_at(path, text, key))
    return tuple(value)


def _at(path: Path, text: str, key: str) -> Location:
    """Find where a key is written: tomllib does not tell."""
    match = re.search(rf"^[ \t]*\[?[\"']?({re.escape(key)})\b", text, re.MULTILINE)
    before = text[: match.start(1)] if match else ""
    return Location(shown(path), before.count("\n") + 1, len(before) - before.rfind("\n") if match else 1)
