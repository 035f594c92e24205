"""Specs: what an `environment.yml` says, read into a frozen value whose every part knows where it was written.

The format is conda's own, https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html ,
so that a spec works with conda, too. What cannot be locked soundly is refused with the reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import reduce
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from fleetenv.conda.requirement import (
    PipOption,
    Requirement,
    conda_requirement,
    normalized,
    pip_option,
    pip_requirement,
)
from fleetenv.conda.settings import Block, Settings, read_block, strings
from fleetenv.errors import InputError, Location, nearest
from fleetenv.source import SourceList, SourceMap, Value, shown
from fleetenv.source_yaml import read_yaml

__all__ = ["PipOption", "Requirement", "Settings", "Spec", "normalized", "read_spec"]

_KEYS = ("name", "channels", "dependencies", "variables", "prefix", "fleetenv")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Spec(Struct, frozen=True):
    """An `environment.yml`, together with those that it extends."""

    path: Path
    name: str
    channels: tuple[str, ...]  # as written; `nodefaults` left out
    conda: tuple[Requirement, ...]
    pip: tuple[Requirement, ...]
    pip_options: tuple[PipOption, ...]
    variables: Mapping[str, str]
    location: Location
    settings: Settings = Settings()
    name_at: Location | None = None  # None: it is the file's name
    channels_at: Mapping[str, Location] = {}
    prefix_at: Location | None = None  # a prefix is ignored, as conda does when there is a name

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides which packages are locked: not of comments, order of packages, or variables."""
        meaning: dict[str, object] = {
            "channels": self.channels,
            "conda": sorted(str(each) for each in self.conda),
            "pip": sorted(str(each) for each in self.pip),
            "pip_options": [(each.option, each.value) for each in self.pip_options],
        }
        said = self.settings
        if said.platforms or said.cuda or said.glibc:
            each = sorted((name, one.cuda, one.glibc) for name, one in said.baselines.items())
            meaning["baselines"] = (said.platforms, said.cuda, said.glibc, each)
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def read_spec(path: Path) -> Spec:
    """Read a spec, and the files that it extends.

    Raises:
        InputError: a file cannot be read, or says something that has no meaning here, with file, line and column.
    """
    lineage: dict[Path, Spec] = {}
    document = _collect(path, (), lineage)
    keys_at = document.keys_at
    _check_name(document.get("name", path.stem), document.values_at.get("name", document.location))
    spec = reduce(_laid_over, lineage.values())
    if not spec.channels:
        raise InputError(
            "no channels: which packages this means would depend on each machine's .condarc",
            location=keys_at.get("channels", spec.location),
            hint="add 'channels: [conda-forge]'",
        )
    if not spec.conda:
        location = keys_at.get("dependencies", spec.location)
        raise InputError("no packages: 'dependencies' must be a list of them", location=location)
    if spec.pip and not any(each.name == "python" for each in spec.conda):
        raise InputError(
            "a pip section needs a Python to install into",
            location=spec.pip[0].location,
            hint="add python to the dependencies, for example 'python=3.11'",
        )
    return spec


def _collect(path: Path, above: tuple[Path, ...], lineage: dict[Path, Spec]) -> SourceMap:
    """Read a file and all that it extends, each once, those that others extend first."""
    document = _document(path)
    block = read_block(document)
    above = (*above, path.resolve())
    for text, location in block.extends:
        base = path.parent / text
        if base.resolve() in above:
            circle = [*above[above.index(base.resolve()) :], base]
            names = " -> ".join(each.name for each in circle)
            raise InputError(f"'{text}' extends itself: {names}", location=location, hint="take one of these out")
        if not base.is_file():
            hint = f"looked for {shown(base)}, beside this file"
            raise InputError(f"there is no file '{text}' to extend", location=location, hint=hint)
        if base.resolve() not in lineage:
            _collect(base, above, lineage)
    lineage[path.resolve()] = _part(path, document, block)
    return document


def _laid_over(weak: Spec, strong: Spec) -> Spec:
    """Extend `weak` by `strong`, the later one: it wins for each package, option and variable, and has its own name."""
    said = {(each.option, each.value) for each in strong.pip_options}
    index = any(option == "--index-url" for option, _ in said)
    options = [
        each
        for each in weak.pip_options
        if (each.option, each.value) not in said and not (index and each.option == "--index-url")
    ]
    return replace(
        strong,
        channels=tuple(dict.fromkeys(strong.channels + weak.channels)),
        channels_at={**weak.channels_at, **strong.channels_at},
        conda=_packages(weak.conda, strong.conda),
        pip=_packages(weak.pip, strong.pip),
        pip_options=(*strong.pip_options, *options),
        variables={**weak.variables, **strong.variables},
        settings=weak.settings.under(strong.settings),
        prefix_at=strong.prefix_at or weak.prefix_at,
    )


def _packages(weak: tuple[Requirement, ...], strong: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
    names = {each.name for each in strong}
    return (*(each for each in weak if each.name not in names), *strong)


def _document(path: Path) -> SourceMap:
    document = read_yaml(path)
    if not isinstance(document, SourceMap):
        hint = "it has 'name:', 'channels:', 'dependencies:'"
        raise InputError("not an environment.yml", location=Location(shown(path), 1, 1), hint=hint)
    for key, location in document.keys_at.items():
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"an environment.yml has {', '.join(_KEYS)}"
            raise InputError(f"unknown key '{key}'", location=location, hint=hint)
    return document


def _part(path: Path, document: SourceMap, block: Block) -> Spec:
    """Read one file, which need not be whole."""
    channels = {name: location for name, location in strings(document, "channels") if name != "nodefaults"}
    conda, pip, options = _dependencies(document, allow_vcs=block.allow_vcs)
    return Spec(
        path=path,
        name=str(document.get("name", path.stem)),
        channels=tuple(channels),
        conda=conda,
        pip=pip,
        pip_options=options,
        variables=_variables(document),
        location=document.location,
        settings=block.settings,
        name_at=document.values_at.get("name"),
        channels_at=channels,
        prefix_at=document.keys_at.get("prefix"),
    )


def _check_name(name: Value, location: Location) -> None:
    if not isinstance(name, str) or not _NAME.match(name) or name in ("base", "root"):
        raise InputError(
            f"'{name}' cannot be the name of an environment",
            location=location,
            hint="use letters, digits, '_', '-' and '.'; 'base' is Miniconda's own",
        )


def _dependencies(
    document: SourceMap, *, allow_vcs: bool
) -> tuple[tuple[Requirement, ...], tuple[Requirement, ...], tuple[PipOption, ...]]:
    items = document.get("dependencies")
    if items is not None and not isinstance(items, SourceList):
        raise InputError("'dependencies' must be a list of packages", location=document.keys_at["dependencies"])
    conda: list[Requirement] = []
    pip: list[Requirement] = []
    options: list[PipOption] = []
    for item, location in zip(items, items.items_at, strict=True) if items else ():
        if isinstance(item, SourceMap):
            for key, at in item.keys_at.items():
                if key != "pip":
                    raise InputError(f"unknown section '{key}' in 'dependencies'", location=at, hint="only 'pip:' is")
            for text, at in strings(item, "pip"):
                if text.startswith("-"):
                    options.append(pip_option(text, at))
                else:
                    pip.append(pip_requirement(text, at, allow_vcs=allow_vcs))
        else:
            conda.append(conda_requirement(item, location))
    return tuple(conda), tuple(pip), tuple(options)


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
