"""Arguments as tasks write them: checked before any host is touched, and brought to the types of a module's fields.

Ansible's habits are honoured: `yes` and `off` as text are booleans, `a,b` is a list where a list is due, a number is
text where text is due, and an argument without a value is not there.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal, TypeAlias, Union, cast, get_args, get_origin

import msgspec
from msgspec import Struct

from fleetenv.errors import InputError, Location, nearest
from fleetenv.modules.base import Module
from fleetenv.source import SourceList, SourceMap, SourceText, Value

Annotation: TypeAlias = object
"""The annotation of a field: `str`, `tuple[str, ...]`, `Literal[...]`, a union of such."""

TRUE = frozenset({"yes", "on", "true", "y", "t", "1"})
FALSE = frozenset({"no", "off", "false", "n", "f", "0"})


class Argument(Struct, frozen=True):
    """One argument of a module; `default` is `UNSET` or None where leaving it out means something of its own."""

    name: str
    annotation: Annotation
    required: bool
    default: object


@cache
def arguments_of(module: type[Module]) -> Mapping[str, Argument]:
    """Return a module's arguments by name, in the order in which they are written."""
    result: dict[str, Argument] = {}
    for each in msgspec.structs.fields(module):
        default = each.default if each.default_factory is msgspec.NODEFAULT else each.default_factory()
        if each.encode_name != module.others:
            result[each.encode_name] = Argument(each.encode_name, each.type, each.required, default)
    return result


def check(module: type[Module], arguments: SourceMap) -> None:
    """Report what can be known to be wrong before anything is rendered: values that hold templates are let pass.

    Raises:
        InputError: an argument is unknown, missing, written twice under two names, or not of its type.
    """
    known = arguments_of(module)
    names = {written: module.synonyms.get(written, written) for written in arguments}
    _refuse_unknown(module, arguments, known, names)
    missing = [each.name for each in known.values() if each.required and each.name not in names.values()]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        raise InputError(f"'{module.name}' needs the argument {listed}", location=arguments.location)
    plain = True
    for written, name in names.items():
        if holds_template(written) or holds_template(arguments[written]):
            plain = False
        elif name in known and arguments[written] is not None:
            _check_value(known[name], written, arguments[written], arguments.values_at.get(written, arguments.location))
    if plain:
        build(module, arguments, arguments.location)


def build(module: type[Module], arguments: Mapping[str, Value], location: Location | None = None) -> Module:
    """Make the module from rendered arguments; `location` is where the task is, if the arguments do not know theirs.

    Raises:
        InputError: an argument is unknown, missing, or not of its type.
    """
    location = arguments.location if isinstance(arguments, SourceMap) else location
    known = arguments_of(module)
    names = {written: module.synonyms.get(written, written) for written in arguments}
    _refuse_unknown(module, arguments, known, names, location)
    ready: dict[str, Value] = {}
    others: dict[str, Value] = {}
    for written, value in arguments.items():
        name = names[written]
        if name not in known:
            others[written] = value
        elif value is not None or _takes_none(known[name]):
            if name in ready:
                raise InputError(f"'{written}' is another name of '{name}': write one of them", location=location)
            ready[name] = adapt(value, known[name].annotation)
    if module.others:
        ready[module.others] = cast("Value", others)
    try:
        return module.from_arguments(ready)
    except msgspec.ValidationError as error:
        raise _not_valid(module, arguments, known, ready, str(error), location) from error


def adapt(value: Value, annotation: Annotation) -> Value:
    """Bring a value nearer to a type, as Ansible does; what does not fit comes back as it was."""
    members = members_of(annotation)
    if bool in members and str not in members:
        return _as_bool(value)
    if isinstance(value, str):
        wants_list = any(_is_list(each) for each in members) and str not in members
        return [part.strip() for part in value.split(",") if part.strip()] if wants_list else value
    if isinstance(value, bool | int | float):
        if str in members and type(value) not in members:
            return str(value)
        if any(_is_list(each) for each in members) and type(value) not in members:
            return [str(value)]
    if isinstance(value, list):
        inner = next((get_args(each)[0] for each in members if _is_list(each)), object)
        return [adapt(item, inner) for item in value]
    if isinstance(value, dict):
        inner = next((get_args(each)[1] for each in members if get_origin(each) in (dict, Mapping)), object)
        return {key: adapt(item, inner) for key, item in value.items()}
    return value


def members_of(annotation: Annotation) -> tuple[Annotation, ...]:
    """Return the types of a union, without those that stand for 'nothing'; any other type is its only member."""
    if get_origin(annotation) is Annotated:
        return members_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inside = (member for each in get_args(annotation) for member in members_of(each))
        return tuple(each for each in inside if each not in (msgspec.UnsetType, types.NoneType))
    return (annotation,)


def describe(annotation: Annotation) -> str:
    """Name a type in words: 'text', 'a number', 'one of present, absent', ..."""
    return " or ".join(dict.fromkeys(_describe_one(each) for each in members_of(annotation)))


def holds_template(value: Value) -> bool:
    """Whether a value has a template in it, at any depth."""
    if isinstance(value, SourceText):
        return any(mark in value for mark in ("{{", "{%", "{#"))
    if isinstance(value, list):
        return any(holds_template(each) for each in value)
    if isinstance(value, dict):
        return any(holds_template(each) for each in value.values())
    return False


def _describe_one(annotation: Annotation) -> str:
    plain = {str: "text", int: "a whole number", float: "a number", bool: "yes or no"}
    if isinstance(annotation, type) and annotation in plain:
        return plain[annotation]
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(each) for each in get_args(annotation))
    if _is_list(annotation):
        return "a list"
    if get_origin(annotation) in (dict, Mapping):
        return "a mapping"
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return "a mapping with " + ", ".join(annotation.__struct_fields__)
    return "any value"


def _is_list(annotation: Annotation) -> bool:
    return get_origin(annotation) in (tuple, list)


def _as_bool(value: Value) -> Value:
    text = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    return True if text in TRUE else False if text in FALSE else value


def _takes_none(argument: Argument) -> bool:
    return argument.required and argument.annotation is object


def _refuse_unknown(
    module: type[Module],
    arguments: Mapping[str, Value],
    known: Mapping[str, Argument],
    names: Mapping[str, str],
    location: Location | None = None,
) -> None:
    for written, name in names.items():
        if name not in known and not module.others:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            at = arguments.keys_at.get(written, arguments.location) if isinstance(arguments, SourceMap) else location
            hint = nearest(written, [*known, *module.synonyms]) or takes
            raise InputError(f"'{module.name}' has no argument '{written}'", location=at, hint=hint)


def _check_value(argument: Argument, written: str, value: Value, location: Location) -> None:
    members = members_of(argument.annotation)
    if isinstance(value, bool | float) and str in members and type(value) not in members and bool not in members:
        hint = f"YAML reads it as {str(value).lower()}: quote it"
        raise InputError(f"'{written}' must be text", location=location, hint=hint)
    try:
        msgspec.convert(adapt(value, argument.annotation), argument.annotation, strict=False)
    except msgspec.ValidationError as error:
        raise _ill_typed(argument, written, value, location, str(error)) from error


def _ill_typed(argument: Argument, written: str, value: Value, location: Location | None, reason: str) -> InputError:
    shown = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    hint = None
    for each in members_of(argument.annotation):
        if get_origin(each) is Literal and isinstance(value, str):
            hint = nearest(value, [str(choice) for choice in get_args(each)])
    if isinstance(value, SourceList | SourceMap):
        location = value.location
    limits = re.search(r"Expected `[a-z]+` ([^`]+?)(?: - at .*)?$", reason)  # msgspec's words: `int` <= 100
    wanted = f"{describe(argument.annotation)}{f' {limits[1]}' if limits else ''}"
    return InputError(f"'{written}' must be {wanted}, not {shown}", location=location, hint=hint)


def _not_valid(
    module: type[Module],
    written: Mapping[str, Value],
    known: Mapping[str, Argument],
    ready: Mapping[str, Value],
    reason: str,
    location: Location | None,
) -> InputError:
    """Say which argument msgspec meant, in the words that [`check`][] uses."""
    at = written.values_at if isinstance(written, SourceMap) else {}
    missing = [each.name for each in known.values() if each.required and each.name not in ready]
    if missing:
        return InputError(f"'{module.name}' needs the argument '{missing[0]}'", location=location)
    for name, value in ready.items():
        if name in known:
            try:
                msgspec.convert(value, known[name].annotation, strict=False)
            except msgspec.ValidationError as error:
                return _ill_typed(known[name], name, value, at.get(name, location), str(error))
    named = next((name for name, value in written.items() if f"'{name}'" in reason or f"'{value}'" in reason), "")
    return InputError(f"'{module.name}': {reason}", location=at.get(named, location))
