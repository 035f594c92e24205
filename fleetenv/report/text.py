"""Text as it is shown: numbers as people write them, and what hosts wrote, made safe.

Nothing that a host wrote may steer a terminal, hide itself or fake a line.
"""

from __future__ import annotations

_KEPT = frozenset("\n\t")


def visible(text: str) -> str:
    r"""Return `text` with every character that is not printable written as its escape; newlines and tabs stay.

    Terminal escapes become `\x1b[31m`, carriage returns `\r`, bidirectional and zero-width marks `\u202e`, lone
    surrogates `\udc80`. Text that is printable throughout comes back as it is.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _KEPT else _escaped(char) for char in text)


def visible_line(text: str) -> str:
    r"""Return `text` as [`visible`][] does, and on one line: newlines and tabs are escaped, too."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def clipped(text: str, most: int) -> str:
    """Return at most so many characters of a text, with dots for what was left out."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where English wants it."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Return a duration as people write it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def file_size(size: int) -> str:
    """Return a number of bytes as people write it, in powers of 1000."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
