"""Jinja tests by name (`x is defined`): Ansible's, beside those that Jinja brings."""

from __future__ import annotations

import math
import operator
import os.path
import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Undefined

from fleetenv.errors import InputError
from fleetenv.playbook.jinja.versions import key_of


def _result(value: Any, test: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"the test '{test}' needs a registered result, not {type(value).__name__}")
    return value


def failed(result: Any) -> bool:
    """Whether the task failed."""
    return bool(_result(result, "failed").get("failed"))


def succeeded(result: Any) -> bool:
    """Whether the task did not fail."""
    return not failed(result)


def changed(result: Any) -> bool:
    """Whether the task, or an item of its loop, changed anything."""
    found = _result(result, "changed")
    if "changed" in found:
        return bool(found["changed"])
    items = found.get("results")
    return isinstance(items, list) and any(isinstance(item, Mapping) and item.get("changed") for item in items)


def skipped(result: Any) -> bool:
    """Whether the task was skipped."""
    return bool(_result(result, "skipped").get("skipped"))


def unreachable(result: Any) -> bool:
    """Whether the host could not be reached."""
    return bool(_result(result, "unreachable").get("unreachable"))


def reachable(result: Any) -> bool:
    """Whether the host could be reached."""
    return not unreachable(result)


def timedout(result: Any) -> bool:
    """Whether the task took too long."""
    timeout = _result(result, "timedout").get("timedout")
    return bool(timeout and timeout.get("period"))


def regex(
    value: Any = "", pattern: str = "", ignorecase: bool = False, multiline: bool = False, match_type: str = "search"
) -> bool:
    """Whether a regular expression matches."""
    if match_type not in {"search", "match", "fullmatch"}:
        raise InputError(f"regex: match_type is search, match or fullmatch, not '{match_type}'")
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    return bool(getattr(re.compile(pattern, flags), match_type)(str(value)))


def match(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    """Whether a regular expression matches at the beginning."""
    return regex(value, pattern, ignorecase, multiline, "match")


def search(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    """Whether a regular expression matches anywhere."""
    return regex(value, pattern, ignorecase, multiline)


_OPERATORS = {
    **dict.fromkeys(("==", "=", "eq"), operator.eq),
    **dict.fromkeys(("!=", "<>", "ne"), operator.ne),
    **dict.fromkeys(("<", "lt"), operator.lt),
    **dict.fromkeys(("<=", "le"), operator.le),
    **dict.fromkeys((">", "gt"), operator.gt),
    **dict.fromkeys((">=", "ge"), operator.ge),
}


def version(
    value: Any, other: Any, operator: str = "eq", strict: bool | None = None, version_type: str | None = None
) -> bool:
    """Compare versions."""
    if strict is not None and version_type is not None:
        raise InputError("version: give strict or version_type, not both")
    if value in ("", None) or other in ("", None):
        raise InputError("version: there is nothing to compare", hint="one of the two versions is empty")
    if operator not in _OPERATORS:
        raise InputError(f"version: there is no operator '{operator}'", hint=f"use one of {', '.join(_OPERATORS)}")
    key = key_of("strict" if strict else version_type or "loose")
    try:
        return bool(_OPERATORS[operator](key(str(value)), key(str(other))))
    except TypeError as error:
        raise InputError(f"version: '{value}' and '{other}' cannot be compared") from error


def truthy(value: Any, convert_bool: bool = False) -> bool:
    """Whether a value counts as true."""
    if convert_bool and isinstance(value, str):
        word = value.lower()
        if word in {"n", "no", "off", "0", "false", "f"}:
            return False
    return bool(value)


def falsy(value: Any, convert_bool: bool = False) -> bool:
    """Whether a value counts as false."""
    return not truthy(value, convert_bool)


def subset(first: Iterable[Any], second: Container[Any]) -> bool:
    """Whether all items are in the other list."""
    return all(item in second for item in first)


def superset(first: Container[Any], second: Iterable[Any]) -> bool:
    """Whether it has all items of the other list."""
    return all(item in first for item in second)


def contains(container: Container[Any], item: Any) -> bool:
    """Whether an item is in it."""
    return item in container


def is_nan(value: Any) -> bool:
    """Whether a number is not a number."""
    return isinstance(value, float) and math.isnan(value)


def vault_encrypted(value: Any) -> bool:
    """Whether a value is an Ansible vault."""
    return isinstance(value, str) and value.startswith("$ANSIBLE_VAULT;")


def url(value: Any, schemes: list[str] | None = None) -> bool:
    """Whether it is a URL with a host."""
    try:
        parsed = urlsplit(str(value))
    except ValueError:
        return False
    return bool(parsed.scheme and parsed.netloc) and (schemes is None or parsed.scheme in schemes)


def uri(value: Any, schemes: list[str] | None = None) -> bool:
    """Whether it is a URI."""
    try:
        parsed = urlsplit(str(value))
    except ValueError:
        return False
    return bool(parsed.scheme) and (schemes is None or parsed.scheme in schemes)


def urn(value: Any) -> bool:
    """Whether it is a URN."""
    return uri(value, ["urn"])


def defined(value: Any) -> bool:
    """Whether a variable is there."""
    return not isinstance(value, Undefined)


def undefined(value: Any) -> bool:
    """Whether a variable is not there."""
    return isinstance(value, Undefined)


_OF_FILES: dict[str, Callable[..., bool]] = {
    **dict.fromkeys(("directory", "is_dir"), os.path.isdir),
    **dict.fromkeys(("file", "is_file"), os.path.isfile),
    **dict.fromkeys(("link", "is_link"), os.path.islink),
    "exists": os.path.exists,
    "link_exists": os.path.lexists,
    **dict.fromkeys(("same_file", "is_same_file"), os.path.samefile),
    **dict.fromkeys(("mount", "is_mount"), os.path.ismount),
}

TESTS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("failed", "failure"), failed),
    **dict.fromkeys(("succeeded", "success", "successful"), succeeded),
    **dict.fromkeys(("changed", "change"), changed),
    **dict.fromkeys(("skipped", "skip"), skipped),
    "reachable": reachable,
    "unreachable": unreachable,
    "timedout": timedout,
    "regex": regex,
    "match": match,
    "search": search,
    **dict.fromkeys(("version", "version_compare"), version),
    "truthy": truthy,
    "falsy": falsy,
    "any": any,
    "all": all,
    **dict.fromkeys(("subset", "issubset"), subset),
    **dict.fromkeys(("superset", "issuperset"), superset),
    "contains": contains,
    **dict.fromkeys(("nan", "isnan"), is_nan),
    "vault_encrypted": vault_encrypted,
    "url": url,
    "uri": uri,
    "urn": urn,
    "defined": defined,
    "undefined": undefined,
    **dict.fromkeys(("abs", "is_abs"), os.path.isabs),
    **_OF_FILES,
}

ACCEPT_UNDEFINED = frozenset({"defined", "undefined"})
"""Tests that are asked even about what is undefined."""

FLEETING = frozenset(_OF_FILES)
"""Tests that look at the controller's files: what they say holds for one rendering."""
