"""What hosts wrote, made fit to be kept: bounded, and valid UTF-8."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fleetenv.drift.snapshot import Plain
from fleetenv.state import Content, Leaf

LONGEST_TEXT = 4000  # characters
MOST_ENTRIES = 5000  # of a list or mapping
_DEEPEST = 12


def storable_text(text: str, longest: int = LONGEST_TEXT) -> str:
    r"""Return `text`, cut where it is too long (and saying so); lone surrogates are written as `\udc80`."""
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text) - longest} characters more)"
    plain = str(text)  # a playbook's text knows its place, which no encoder takes
    return plain if plain.isascii() else plain.encode("utf-8", "backslashreplace").decode("utf-8")


def storable(value: Leaf | Plain, depth: int = 0) -> Plain:
    """Return a value as JSON can hold it, bounded. A file's content becomes `{"sha256": ...}`."""
    match value:
        case str():
            return storable_text(value)
        case bool() | float() | None:
            return value
        case int():
            return value if abs(value) < 2**63 else storable_text(hex(value))  # more than JSON's readers take
        case Content():
            return {"sha256": value.sha256}
        case _ if depth == _DEEPEST:
            return "..."
        case Mapping():
            kept = list(value.items())[:MOST_ENTRIES]
            return {storable_text(str(key)): storable(each, depth + 1) for key, each in kept}
        case list() | tuple():
            return [storable(each, depth + 1) for each in value[:MOST_ENTRIES]]
        case _:
            return storable_text(str(value))


def encoded(value: object) -> bytes:
    """Return the one way to write a value as JSON: equal values give equal bytes; no text fails."""
    try:
        return msgspec.json.encode(value, order="deterministic")
    except (UnicodeEncodeError, OverflowError):
        return msgspec.json.encode(storable(msgspec.to_builtins(value)), order="deterministic")
