"""The `fleetenv:` block of an environment.yml: what conda has no words for.

conda drops a key that it does not know, with the remark `EnvironmentSectionNotValid: ... will be ignored` (its
`conda.env.env.validate_keys`, and CEP 24 leaves such keys to others), so a spec with this block works with conda, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from fleetenv.errors import InputError, Location, nearest
from fleetenv.source import SourceList, SourceMap, Value

MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64", "linux-ppc64le": "ppc64le"}
"""The platforms that hosts can have, and what `uname -m` says on them."""

_KEYS = ("extends", "platforms", "cuda", "glibc", "freeze", "owner", "group", "mode", "verify", "allow_vcs")
_VERSION = re.compile(r"\d+(\.\d+)*")
_ACCOUNT = re.compile(r"[^\s:/-][^\n:/]*")
_MODE = re.compile(r"0?([0-7]{3,4})")


class Baseline(Struct, frozen=True):
    """What every host of one platform offers at least; None: as for all platforms."""

    cuda: str | None = None
    glibc: str | None = None


class Settings(Struct, frozen=True):
    """What a spec says beside its packages; None and empty: nothing was said."""

    platforms: tuple[str, ...] = ()  # linux-64, linux-aarch64
    cuda: str | None = None  # that every host's driver supports at least; `none`: no driver is expected
    glibc: str | None = None  # that every host has at least
    baselines: Mapping[str, Baseline] = {}  # of platforms for which something else is said
    freeze: bool | None = None  # whether conda is to refuse changes by hand (CEP 22)
    owner: str | None = None
    group: str | None = None
    mode: str | None = None  # octal, of the environment's folder: 2775
    verify: tuple[str, ...] = ()  # shell commands that must succeed in a new generation before it becomes current

    def under(self, stronger: Settings) -> Settings:
        """Return these settings with those of a file that extends this one laid over them; all checks count."""
        return Settings(
            platforms=stronger.platforms or self.platforms,
            cuda=stronger.cuda or self.cuda,
            glibc=stronger.glibc or self.glibc,
            baselines={**self.baselines, **stronger.baselines},
            freeze=self.freeze if stronger.freeze is None else stronger.freeze,
            owner=stronger.owner or self.owner,
            group=stronger.group or self.group,
            mode=stronger.mode or self.mode,
            verify=tuple(dict.fromkeys(self.verify + stronger.verify)),
        )


class Block(Struct, frozen=True):
    """The block of one file."""

    extends: Sequence[tuple[str, Location]] = ()
    allow_vcs: bool = False
    settings: Settings = Settings()


def read_block(document: SourceMap) -> Block:
    """Read the `fleetenv:` block of an environment.yml; one without it has an empty one.

    Raises:
        InputError: the block says something that has no meaning, with file, line and column.
    """
    block = document.get("fleetenv")
    if block is None:
        return Block()
    if not isinstance(block, SourceMap):
        hint = f"it has {', '.join(_KEYS)}"
        raise InputError("'fleetenv' must be a mapping", location=document.values_at["fleetenv"], hint=hint)
    for key, location in block.keys_at.items():
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"it has {', '.join(_KEYS)}"
            raise InputError(f"unknown key '{key}' in 'fleetenv'", location=location, hint=hint)
    return Block(
        extends=strings(block, "extends"),
        allow_vcs=_flag(block, "allow_vcs") is True,
        settings=Settings(
            platforms=_platforms(block),
            cuda=_version(block, "cuda"),
            glibc=_version(block, "glibc"),
            baselines=_baselines(block),
            freeze=_flag(block, "freeze"),
            owner=_account(block, "owner"),
            group=_account(block, "group"),
            mode=_mode(block),
            verify=tuple(text for text, _ in strings(block, "verify")),
        ),
    )


def strings(mapping: SourceMap, key: str) -> list[tuple[str, Location]]:
    """Read a list of texts, each with its place; one that is not there is empty.

    Raises:
        InputError: it is something else.
    """
    value = mapping.get(key)
    if value is None:
        return []
    if not isinstance(value, SourceList):
        raise InputError(f"'{key}' must be a list", location=mapping.values_at[key])
    for item, location in zip(value, value.items_at, strict=True):
        if not isinstance(item, str):
            raise InputError(f"an item of '{key}' must be text", location=location)
    return [(str(item), location) for item, location in zip(value, value.items_at, strict=True)]


def _platforms(block: SourceMap) -> tuple[str, ...]:
    written = block.get("platforms")
    named = list(written.keys_at.items()) if isinstance(written, SourceMap) else strings(block, "platforms")
    for name, location in named:
        if name not in MACHINES:
            hint = nearest(name, MACHINES) or f"it is one of {', '.join(MACHINES)}"
            raise InputError(f"unknown platform '{name}'", location=location, hint=hint)
    return tuple(dict.fromkeys(name for name, _ in named))


def _baselines(block: SourceMap) -> dict[str, Baseline]:
    """Read `platforms: {linux-64: {cuda: "12.4"}, linux-aarch64: {}}`."""
    written = block.get("platforms")
    if not isinstance(written, SourceMap):
        return {}
    baselines = {}
    for name, value in written.items():
        if value is None:
            continue
        if not isinstance(value, SourceMap) or not value.keys() <= {"cuda", "glibc"}:
            raise InputError(f"'{name}' may have 'cuda' and 'glibc'", location=written.values_at[name])
        baselines[name] = Baseline(_version(value, "cuda"), _version(value, "glibc"))
    return baselines


def _version(block: SourceMap, key: str) -> str | None:
    value: Value = block.get(key)
    if value is None:
        return None
    if isinstance(value, float):
        hint = f'write {key}: "{value}", in quotes: YAML takes 2.30 for the number 2.3'
        raise InputError(f"'{key}' must be text", location=block.values_at[key], hint=hint)
    text = str(value)
    if isinstance(value, bool) or not (_VERSION.fullmatch(text) or (key == "cuda" and text == "none")):
        example = "12.4" if key == "cuda" else "2.28"
        raise InputError(
            f"'{text}' is not a version of {key}", location=block.values_at[key], hint=f'as in "{example}"'
        )
    return text


def _flag(block: SourceMap, key: str) -> bool | None:
    value = block.get(key)
    if value is not None and not isinstance(value, bool):
        raise InputError(f"'{key}' must be true or false", location=block.values_at[key])
    return value


def _account(block: SourceMap, key: str) -> str | None:
    value = block.get(key)
    if value is None:
        return None
    text = str(value)
    if isinstance(value, (bool, float, list, dict)) or not _ACCOUNT.fullmatch(text):
        raise InputError(f"'{key}' must be a name or a number", location=block.values_at[key])
    return text


def _mode(block: SourceMap) -> str | None:
    value = block.get("mode")
    if value is None:
        return None
    match = _MODE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        hint = 'write it in quotes, as in "2775": YAML takes 0755 for the number 493'
        raise InputError("'mode' must be octal digits", location=block.values_at["mode"], hint=hint)
    return match[1]
