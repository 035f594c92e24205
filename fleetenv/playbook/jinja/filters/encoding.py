"""Filters that write and read JSON, YAML, base64, hashes and UUIDs."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import yaml

from fleetenv.errors import InputError
from fleetenv.source import SourceText

_ANSIBLE = uuid.UUID("361e6d51-faec-444a-9079-341386da8e2e")  # the namespace of Ansible's to_uuid, so that ids agree


def to_json(value: Any, **options: Any) -> str:
    """Write JSON on one line."""
    for ignored in ("vault_to_text", "preprocess_unsafe", "profile"):
        options.pop(ignored, None)
    return json.dumps(value, default=_jsonable, **options)


def to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True, **options: Any) -> str:
    """Write JSON on many lines."""
    options.pop("separators", None)
    return to_json(value, indent=indent, sort_keys=sort_keys, separators=(",", ": "), **options)


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise InputError(f"to_json cannot write a {type(value).__name__}")


_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the C one folds lines as Ansible's does


class _Dumper(_SafeDumper):  # type: ignore[misc]  # chosen at run time
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(SourceText, lambda dumper, text: dumper.represent_str(str(text)))
_Dumper.add_representer(tuple, lambda dumper, items: dumper.represent_list(list(items)))


def to_yaml(value: Any, default_flow_style: bool | None = None, **options: Any) -> str:
    """Write YAML, inner containers in flow style."""
    try:
        written: str = yaml.dump(
            value, Dumper=_Dumper, allow_unicode=True, default_flow_style=default_flow_style, **options
        )
    except yaml.YAMLError as error:
        raise InputError(f"to_yaml: {' '.join(map(str, error.args))}") from error
    return written


def to_nice_yaml(value: Any, indent: int = 4, default_flow_style: bool | None = False, **options: Any) -> str:
    """Write YAML on many lines."""
    return to_yaml(value, indent=indent, default_flow_style=default_flow_style, **options)


def from_json(text: str, **options: Any) -> Any:
    """Read JSON. What it says is data: it is never rendered."""
    options.pop("profile", None)
    try:
        return json.loads(text, **options)
    except ValueError as error:
        raise InputError(f"from_json: not valid JSON: {error}") from error


def from_yaml(text: Any) -> Any:
    """Read one YAML document. What it says is data: it is never rendered."""
    try:
        return yaml.safe_load(text) if isinstance(text, str) else text
    except yaml.YAMLError as error:
        raise InputError(f"from_yaml: not valid YAML: {error}") from error


def from_yaml_all(text: Any) -> Any:
    """Read several YAML documents."""
    try:
        return list(yaml.safe_load_all(text)) if isinstance(text, str) else text or []
    except yaml.YAMLError as error:
        raise InputError(f"from_yaml_all: not valid YAML: {error}") from error


def b64encode(text: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    """Write base64."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return encode(str(text).encode(encoding)).decode("ascii")


def b64decode(text: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    """Read base64; bytes that are not text become U+FFFD."""
    decode = base64.urlsafe_b64decode if urlsafe else base64.b64decode
    return decode(str(text).encode("ascii")).decode(encoding, "replace")


def digest(text: Any, hashtype: str = "sha1") -> str:
    """Hash text."""
    try:
        return hashlib.new(hashtype, str(text).encode()).hexdigest()
    except ValueError as error:
        raise InputError(f"hash: there is no '{hashtype}'", hint="sha256 is the usual one") from error


def md5(text: Any) -> str:
    """Hash text with MD5."""
    return digest(text, "md5")


def to_uuid(text: Any, namespace: Any = _ANSIBLE) -> str:
    """Make a UUID of text: always the same of the same."""
    try:
        space = namespace if isinstance(namespace, uuid.UUID) else uuid.UUID(str(namespace))
    except ValueError as error:
        raise InputError(f"to_uuid: '{namespace}' is not a UUID") from error
    return str(uuid.uuid5(space, str(text)))


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": b64decode,
    "b64encode": b64encode,
    "checksum": digest,
    "from_json": from_json,
    "from_yaml": from_yaml,
    "from_yaml_all": from_yaml_all,
    "hash": digest,
    "md5": md5,
    "sha1": digest,
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "to_nice_yaml": to_nice_yaml,
    "to_uuid": to_uuid,
    "to_yaml": to_yaml,
}
