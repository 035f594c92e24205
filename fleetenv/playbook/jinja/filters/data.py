"""Filters on mappings and lists, and on values of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Undefined, pass_environment
from jinja2.environment import Environment

from fleetenv.errors import InputError
from fleetenv.playbook.reading import plain


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """Replace what is undefined, or with `boolean` what is false."""
    return default_value if isinstance(value, Undefined) or (boolean and not value) else value


def mandatory(value: Any, msg: str | None = None) -> Any:
    """Refuse what is undefined."""
    if isinstance(value, Undefined):
        raise InputError(str(msg) if msg is not None else f"the mandatory variable '{_name(value)}' is not defined")
    return value


def _name(value: Undefined) -> str:
    return str(value._undefined_name)


def ternary(value: Any, true_value: Any, false_value: Any, none_value: Any = None) -> Any:
    """Choose by a condition."""
    if value is None and none_value is not None:
        return none_value
    return true_value if value else false_value


def to_bool(value: Any) -> bool:
    """Read yes or no as Ansible does."""
    word = str(value).lower()
    return word in {"yes", "on", "true", "1", "1.0"}


def type_debug(value: Any) -> str:
    """Name the Python type of a value."""
    if isinstance(value, Undefined):
        return "Undefined"
    return "str" if isinstance(value, str) else type(value).__name__


def combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> dict[str, Any]:
    """Merge mappings; later ones win."""
    if list_merge not in _MERGES:
        raise InputError(f"combine: there is no list_merge '{list_merge}'", hint=f"it is one of {', '.join(_MERGES)}")
    result: dict[str, Any] = {}
    for term in flatten(terms, levels=1):
        if not isinstance(term, Mapping):
            raise InputError(f"combine needs mappings, not {type(term).__name__}")
        result = _merged(result, term, recursive, list_merge)
    return result


_MERGES: dict[str, Callable[[list[Any], list[Any]], list[Any]]] = {
    "replace": lambda low, high: high,
    "keep": lambda low, high: low,
    "append": lambda low, high: low + high,
    "prepend": lambda low, high: high + low,
    "append_rp": lambda low, high: [each for each in low if each not in high] + high,
    "prepend_rp": lambda low, high: high + [each for each in low if each not in high],
}


def _merged(low: Mapping[str, Any], high: Mapping[str, Any], recursive: bool, list_merge: str) -> dict[str, Any]:
    result = dict(low)
    for key, value in high.items():
        present = result.get(key)
        if recursive and isinstance(present, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(present, value, recursive, list_merge)
        elif isinstance(present, list) and isinstance(value, list):
            result[key] = _MERGES[list_merge](present, value)
        else:
            result[key] = value
    return result


def flatten(values: Sequence[Any], levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    """Put the items of inner lists in their place."""
    result: list[Any] = []
    for value in values:
        if skip_nulls and value in (None, "None", "null"):
            continue
        if isinstance(value, list | tuple) and (levels is None or levels >= 1):
            result += flatten(value, None if levels is None else int(levels) - 1, skip_nulls)
        else:
            result.append(value)
    return result


def dict2items(mapping: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    """Make a list of a mapping, to loop over."""
    if not isinstance(mapping, Mapping):
        raise InputError(f"dict2items needs a mapping, not {type(mapping).__name__}")
    return [{key_name: key, value_name: value} for key, value in mapping.items()]


def items2dict(items: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    """Make a mapping of a list of keys and values."""
    if not isinstance(items, list | tuple) or not all(isinstance(item, Mapping) for item in items):
        raise InputError("items2dict needs a list of mappings")
    for item in items:
        if key_name not in item or value_name not in item:
            raise InputError(f"items2dict needs '{key_name}' and '{value_name}' in each item; not so in {item}")
    return {item[key_name]: item[value_name] for item in items}


def subelements(values: Any, path: Any, skip_missing: bool = False) -> list[tuple[Any, Any]]:
    """Pair each mapping with each item of a list inside it."""
    parents = list(values.values()) if isinstance(values, Mapping) else values
    if not isinstance(parents, list):
        raise InputError("subelements needs a list of mappings, or a mapping of them")
    keys = path.split(".") if isinstance(path, str) else list(path)
    result: list[tuple[Any, Any]] = []
    for parent in parents:
        found: Any = parent
        for key in keys:
            if not isinstance(found, Mapping):
                raise InputError(f"subelements: there is no mapping where '{key}' is looked for, but {found!r}")
            if key not in found:
                if not skip_missing:
                    raise InputError(
                        f"subelements: no '{key}' in {found!r}", hint="skip_missing=True passes over these"
                    )
                found = []
                break
            found = found[key]
        if not isinstance(found, list):
            raise InputError(f"subelements: '{path}' must be a list, not {found!r}")
        result += [(parent, each) for each in found]
    return result


@pass_environment
def extract(environment: Environment, item: Any, container: Any, morekeys: Any = None) -> Any:
    """Look a key up in a container, and more keys in what was found."""
    value = container
    for key in [item, *(morekeys if isinstance(morekeys, list) else [] if morekeys is None else [morekeys])]:
        value = environment.getitem(value, key)
    return plain(value, strict=False)


def rekey_on_member(values: Any, key: str, duplicates: str = "error") -> dict[Any, Any]:
    """Make a mapping of mappings, by what one of their keys holds."""
    if duplicates not in {"error", "overwrite"}:
        raise InputError(f"rekey_on_member: duplicates is error or overwrite, not '{duplicates}'")
    result: dict[Any, Any] = {}
    for item in values.values() if isinstance(values, Mapping) else values:
        if not isinstance(item, Mapping) or key not in item:
            raise InputError(f"rekey_on_member: no '{key}' in {item!r}")
        if duplicates == "error" and item[key] in result:
            raise InputError(f"rekey_on_member: '{item[key]}' comes twice")
        result[item[key]] = item
    return result


FILTERS: dict[str, Callable[..., Any]] = {
    "bool": to_bool,
    "combine": combine,
    "d": default,
    "default": default,
    "dict2items": dict2items,
    "extract": extract,
    "flatten": flatten,
    "items2dict": items2dict,
    "mandatory": mandatory,
    "rekey_on_member": rekey_on_member,
    "subelements": subelements,
    "ternary": ternary,
    "type_debug": type_debug,
}
