"""Specs: what an `environment.yml` says, read into a frozen value whose every part knows where it was written.

The format is conda's own, https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html ,
so that a spec works with conda, too. What cannot be locked soundly is refused with the reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetenv.errors import InputError, Location, nearest
from fleetenv.source import SourceList, SourceMap, Value, read_yaml

_KEYS = ("name", "channels", "dependencies", "variables", "prefix")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_CONDA_NAME = re.compile(r"(?:(?P<channel>\S+?)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?=[\s=<>!~\[]|\Z)")
_PIP_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?=[\[\s(;@=<>!~]|\Z)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_VCS = re.compile(r"\b(?:git|hg|svn|bzr)\+|\Agit://")
_PIP_OPTIONS = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One wished package, of conda (`numpy=1.26`, perhaps of one `channel`) or of pip (`wandb[media]>=0.17`)."""

    text: str  # without the channel
    name: str  # as its kind of package compares names
    location: Location
    channel: str | None = None

    def __str__(self) -> str:
        return f"{self.channel}::{self.text}" if self.channel else self.text

    @property
    def direct_url(self) -> bool:
        """Whether this names a file (`name @ https://...`) and not a package of an index."""
        return "@" in self.text.partition(";")[0]


@dataclass(frozen=True, slots=True)
class PipOption:
    """An option in the pip section that says where packages come from: `--extra-index-url URL` and its like."""

    option: str
    value: str
    location: Location


@dataclass(frozen=True, slots=True)
class Spec:
    """An `environment.yml`."""

    path: Path
    name: str
    channels: tuple[str, ...]  # as written; `nodefaults` left out
    conda: tuple[Requirement, ...]
    pip: tuple[Requirement, ...]
    pip_options: tuple[PipOption, ...]
    variables: Mapping[str, str]
    location: Location

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides which packages are locked: not of comments, order of packages, or variables."""
        meaning = {
            "channels": self.channels,
            "conda": sorted(str(each) for each in self.conda),
            "pip": sorted(str(each) for each in self.pip),
            "pip_options": [(each.option, each.value) for each in self.pip_options],
        }
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def read_spec(path: Path) -> Spec:
    """Read a spec.

    Raises:
        InputError: the file cannot be read, or says something that has no meaning here, with file, line and column.
    """
    document = read_yaml(path)
    start = Location(str(path), 1, 1)
    if not isinstance(document, SourceMap):
        raise InputError("not an environment.yml", location=start, hint="it has 'name:', 'channels:', 'dependencies:'")
    for key, location in document.keys_at.items():
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"an environment.yml has {', '.join(_KEYS)}"
            raise InputError(f"unknown key '{key}'", location=location, hint=hint)
    conda, pip, options = _dependencies(document)
    return Spec(
        path=path,
        name=_name(document, path),
        channels=_channels(document),
        conda=conda,
        pip=pip,
        pip_options=options,
        variables=_variables(document),
        location=document.location,
    )


def _name(document: SourceMap, path: Path) -> str:
    name = document.get("name", path.stem)
    location = document.values_at.get("name", document.location)
    if not isinstance(name, str) or not _NAME.match(name) or name in ("base", "root"):
        raise InputError(
            f"'{name}' cannot be the name of an environment",
            location=location,
            hint="use letters, digits, '_', '-' and '.'; 'base' is Miniconda's own",
        )
    return str(name)


def _strings(document: SourceMap, key: str) -> list[tuple[str, Location]]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, SourceList):
        raise InputError(f"'{key}' must be a list", location=document.values_at[key])
    for item, location in zip(value, value.items_at, strict=True):
        if not isinstance(item, str):
            raise InputError(f"an item of '{key}' must be text", location=location)
    return [(str(item), location) for item, location in zip(value, value.items_at, strict=True)]


def _channels(document: SourceMap) -> tuple[str, ...]:
    channels = [name for name, _ in _strings(document, "channels")]
    if not channels:
        raise InputError(
            "no channels: which packages this means would depend on each machine's .condarc",
            location=document.keys_at.get("channels", document.location),
            hint="add 'channels: [conda-forge]'",
        )
    return tuple(channel for channel in channels if channel != "nodefaults")


def _dependencies(
    document: SourceMap,
) -> tuple[tuple[Requirement, ...], tuple[Requirement, ...], tuple[PipOption, ...]]:
    items = document.get("dependencies")
    if not isinstance(items, SourceList) or not items:
        location = document.keys_at.get("dependencies", document.location)
        raise InputError("'dependencies' must be a list of packages", location=location)
    conda: list[Requirement] = []
    pip: list[Requirement] = []
    options: list[PipOption] = []
    for item, location in zip(items, items.items_at, strict=True):
        if isinstance(item, SourceMap):
            for key, at in item.keys_at.items():
                if key != "pip":
                    raise InputError(f"unknown section '{key}' in 'dependencies'", location=at, hint="only 'pip:' is")
            for text, at in _strings(item, "pip"):
                if text.startswith("-"):
                    options.append(_pip_option(text, at))
                else:
                    pip.append(_pip(text, at))
        else:
            conda.append(_conda(item, location))
    if pip and not any(each.name == "python" for each in conda):
        raise InputError(
            "a pip section needs a Python to install into",
            location=pip[0].location,
            hint="add python to the dependencies, for example 'python=3.11'",
        )
    return tuple(conda), tuple(pip), tuple(options)


def _conda(item: Value, location: Location) -> Requirement:
    text = " ".join(item.split()) if isinstance(item, str) else ""
    match = _CONDA_NAME.match(text)
    if not match:
        raise InputError(
            f"'{item}' is not a conda package", location=location, hint="write 'name', 'name=1.2' or 'channel::name'"
        )
    return Requirement(text[match.start("name") :], match["name"].lower(), location, match["channel"])


def _pip(text: str, location: Location) -> Requirement:
    text = " ".join(text.split())
    if _VCS.search(text):
        raise InputError(
            f"'{text}' is a version control URL: it has no hash, so two hosts might not get the same",
            location=location,
            hint="name a released version, or the URL of a wheel as 'name @ https://...'",
        )
    match = _PIP_NAME.match(text)
    if not match or text.startswith((".", "/", "file:")) or "/" in text.partition("@")[0]:
        raise InputError(
            f"'{text}' is not a requirement that can be locked",
            location=location,
            hint="write 'name', 'name==1.2' or 'name @ https://.../name-1.2-py3-none-any.whl'",
        )
    return Requirement(text, normalized(match[1]), location)


def _pip_option(text: str, location: Location) -> PipOption:
    option, _, value = text.replace("=", " ", 1).partition(" ") if text.startswith("--") else text.partition(" ")
    known = _PIP_OPTIONS.get(option)
    if known is None or not value.strip():
        hint = "list the packages themselves" if option in ("-r", "-e", "-c", "--requirement", "--editable") else None
        raise InputError(
            f"the pip option '{text}' cannot be locked",
            location=location,
            hint=hint or nearest(option, _PIP_OPTIONS) or f"these can: {', '.join(_PIP_OPTIONS)}",
        )
    return PipOption(known, value.strip(), location)


def _variables(document: SourceMap) -> Mapping[str, str]:
    variables = document.get("variables")
    if variables is None:
        return {}
    if not isinstance(variables, SourceMap):
        raise InputError("'variables' must map names to values", location=document.values_at["variables"])
    result: dict[str, str] = {}
    for name, value in variables.items():
        if not _VARIABLE.match(name):
            raise InputError(f"'{name}' cannot be the name of a variable", location=variables.keys_at[name])
        if isinstance(value, (dict, list)) or value is None:
            raise InputError(f"the variable '{name}' must be text", location=variables.values_at[name])
        result[name] = str(value)
    return result


def normalized(name: str) -> str:
    """Return a Python distribution's name as PEP 503 compares names: `Foo.Bar_baz` becomes `foo-bar-baz`."""
    return re.sub(r"[-_.]+", "-", name).lower()
