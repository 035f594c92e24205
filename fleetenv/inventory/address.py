"""Host names as inventories write them: with ranges (`gpu[01:16]`), with ports (`gpu01:2222`, `[fe80::1]:22`)."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from string import ascii_letters

_RANGE = re.compile(r"\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]", re.IGNORECASE)
_HEX_RANGE = re.compile(r"\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\]", re.IGNORECASE)
_LABEL = re.compile(r"(?:\w[\w-]*)?[^\W_]")
_BRACKETED_PORT = re.compile(r"\[(.+)\]:([0-9]+)")
_PLAIN_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)")


def split_port(text: str) -> tuple[str, int | None]:
    """Split `host:port`; text that is no address with a port is a name as it stands."""
    for form in (_BRACKETED_PORT, _PLAIN_PORT):
        match = form.fullmatch(text)
        if match and is_host_or_range(match[1]):
            return match[1], int(match[2])
    return text, None


def is_host_or_range(text: str) -> bool:
    """Whether the text is a host name or an IP address, perhaps with ranges in it."""
    if all(_LABEL.fullmatch(label) for label in _RANGE.sub("0", text).split(".")):
        return True
    try:
        IPv6Address(_HEX_RANGE.sub("0", text))
    except ValueError:
        return False
    return True


def short_name(name: str) -> str:
    """Return the part of a host name before the first dot; an IP address stays whole."""
    try:
        ip_address(name)
    except ValueError:
        return name.partition(".")[0]
    return name


def expand(name: str) -> list[str]:
    """Return the names that a name with ranges stands for: `gpu[01:03]`, `[a:c]`, `[0:9:3]`; several multiply.

    Raises:
        ValueError: a range is not of that form; the message says what would be.
    """
    head, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    inside, bracket, tail = rest.partition("]")
    if not bracket:
        raise ValueError(f"the range in '{name}' has no closing bracket")
    tails = expand(tail)
    return [f"{head}{each}{end}" for each in _sequence(inside) for end in tails]


def _sequence(text: str) -> list[str]:
    bounds = text.split(":")
    if len(bounds) not in (2, 3) or not bounds[1]:
        raise ValueError(f"a range is [first:last] or [first:last:step], not [{text}]")
    first, last = bounds[0] or "0", bounds[1]
    step = bounds[2] if len(bounds) == 3 else "1"
    if not step.isdecimal() or int(step) < 1:
        raise ValueError(f"the step of a range is a whole number from 1, not in [{text}]")
    if len(first) == len(last) == 1 and first in ascii_letters and last in ascii_letters:
        items = list(ascii_letters[ascii_letters.index(first) : ascii_letters.index(last) + 1 : int(step)])
    elif first.isdecimal() and last.isdecimal():
        width = len(first) if first.startswith("0") and len(first) > 1 else 0
        if width and width != len(last):
            raise ValueError(f"both ends of a range with leading zeros are equally long, not in [{text}]")
        items = [str(number).zfill(width) for number in range(int(first), int(last) + 1, int(step))]
    else:
        raise ValueError(f"a range goes from number to number or from letter to letter, not [{text}]")
    if not items:
        raise ValueError(f"the range [{text}] begins after its end")
    return items
