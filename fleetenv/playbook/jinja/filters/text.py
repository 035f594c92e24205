"""Filters on text: regular expressions, quoting, comments, dates."""

from __future__ import annotations

import datetime
import re
import shlex
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from fleetenv.errors import InputError


def _flags(ignorecase: bool, multiline: bool) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def regex_replace(
    value: Any = "",
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
    mandatory_count: int = 0,
) -> str:
    """Replace what a regular expression matches."""
    result, times = re.compile(pattern, _flags(ignorecase, multiline)).subn(replacement, str(value), count=count)
    if mandatory_count and times != mandatory_count:
        raise InputError(f"'{pattern}' should match {mandatory_count} times, and matches {times} times")
    return result


def regex_search(value: Any, pattern: str, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    """Return what a regular expression finds, or the groups of it that are asked for; None when nothing matches."""
    wanted: list[str | int] = []
    for group in groups:
        reference = re.fullmatch(r"\\g<(\S+)>|\\(\d+)", group)
        if reference is None:
            raise InputError(f"regex_search: '{group}' names no group", hint=r"write '\\1' or '\\g<name>'")
        wanted.append(reference[1] or int(reference[2]))
    found = re.compile(pattern, _flags(ignorecase, multiline)).search(str(value))
    if found is None:
        return None
    return [found.group(group) for group in wanted] if wanted else found.group()


def regex_findall(value: Any, pattern: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    """Return all that a regular expression finds."""
    return re.compile(pattern, _flags(ignorecase, multiline)).findall(str(value))


def regex_escape(value: Any, re_type: str = "python") -> str:
    """Quote text for use in a regular expression."""
    if re_type == "python":
        return re.escape(str(value))
    if re_type == "posix_basic":
        return re.sub(r"([].[^$*\\])", r"\\\1", str(value))
    raise InputError(f"regex_escape: there is no re_type '{re_type}'", hint="it is python or posix_basic")


def quote(value: Any) -> str:
    """Quote a word for a POSIX shell."""
    return shlex.quote("" if value is None else str(value))


def split(value: str, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    """Split text at a separator, or at white space."""
    return [str(part) for part in value.split(separator, maxsplit)]


_COMMENTS: dict[str, dict[str, str]] = {
    "plain": {"decoration": "# "},
    "erlang": {"decoration": "% "},
    "c": {"decoration": "// "},
    "cblock": {"beginning": "/*", "decoration": " * ", "end": " */"},
    "xml": {"beginning": "<!--", "decoration": " - ", "end": "-->"},
}


def comment(text: str, style: str = "plain", **settings: Any) -> str:
    """Make text a comment, framed as Ansible frames it."""
    if style not in _COMMENTS:
        raise InputError(f"comment: there is no style '{style}'", hint=f"styles are {', '.join(_COMMENTS)}")
    chosen: dict[str, Any] = {"beginning": "", "end": "", "newline": "\n", **_COMMENTS[style], **settings}
    decoration, newline = str(chosen["decoration"]), str(chosen["newline"])
    edge = decoration.rstrip()
    prefix, postfix = str(chosen.get("prefix", edge)), str(chosen.get("postfix", edge))
    lines = [str(chosen["beginning"])] if chosen["beginning"] else []
    if prefix:
        lines += ["" if prefix == newline else prefix] * int(chosen.get("prefix_count", 1))
    body = text.split(newline)
    lines += [decoration + line if line else edge for line in body[:-1]] + [decoration + body[-1]]
    lines += [postfix] * int(chosen.get("postfix_count", 1))
    lines += [str(chosen["end"])] if chosen["end"] else []
    return newline.join(lines)


def strftime(form: str, second: float | None = None, utc: bool = False) -> str:
    """Write a time, given in seconds since 1970 or now, in a form of the C library."""
    clock = time.gmtime if utc else time.localtime
    return time.strftime(form, clock(None if second is None else float(second)))


def to_datetime(text: str, format: str = "%Y-%m-%d %H:%M:%S") -> datetime.datetime:  # noqa: A002  # Ansible's name
    """Read a date and time."""
    return datetime.datetime.strptime(text, format)  # as naive as Ansible's


def split_url(url: str, part: str = "") -> Any:
    """Take a URL apart."""
    parsed = urlsplit(url)
    parts: dict[str, Any] = {
        name: getattr(parsed, name)
        for name in (
            "fragment",
            "hostname",
            "netloc",
            "password",
            "path",
            "port",
            "query",
            "scheme",
            "username",
        )
    }
    if not part:
        return parts
    if part not in parts:
        raise InputError(f"urlsplit: a URL has no '{part}'", hint=f"its parts are {', '.join(parts)}")
    return parts[part]


FILTERS: dict[str, Callable[..., Any]] = {
    "comment": comment,
    "quote": quote,
    "regex_escape": regex_escape,
    "regex_findall": regex_findall,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "split": split,
    "strftime": strftime,
    "to_datetime": to_datetime,
    "urldecode": unquote_plus,
    "urlsplit": split_url,
}
