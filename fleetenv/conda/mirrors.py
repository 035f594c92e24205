"""Where packages are really downloaded from: what a machine's `.condarc` files and the named mirrors say.

Used on the controller for solving, and by the builder on each host for downloading; locks know none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleetenv.conda.channels import OFFICIAL_ALIAS, OFFICIAL_PKGS, ChannelConfig, find_mirror
from fleetenv.errors import InputError

_MERGED = ("custom_channels", "custom_multichannels")


def condarc_channels(prefix: Path | None = None) -> ChannelConfig:
    """Read how this machine resolves channels, from its `.condarc` files as conda reads them, the weakest first.

    Raises:
        InputError: one of them cannot be read.
    """
    places = [Path("/etc/conda"), *([prefix] if prefix else []), Path.home() / ".conda", Path.home()]
    settings: dict[str, Any] = {}
    for place in places:
        for name in ("condarc", ".condarc"):
            found = _read(place / name)
            for key in _MERGED:
                if isinstance(found.get(key), dict) and isinstance(settings.get(key), dict):
                    found[key] = {**settings[key], **found[key]}
            settings |= found
    return ChannelConfig.from_condarc(settings)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    import yaml  # here, because a builder that is told of mirrors does without

    try:
        document = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise InputError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    return document if isinstance(document, dict) else {}


def route(config: ChannelConfig, channels: Iterable[str]) -> dict[str, str]:
    """Return where a configuration downloads canonical channels from: only those that it has elsewhere."""
    bases = {f"{url.rstrip('/')}/": f"{config.mirrored(url.rstrip('/'))}/" for url in channels}
    return {canonical: here for canonical, here in bases.items() if canonical != here}


def mirror_route(mirror: str) -> dict[str, str]:
    """Return where a mirror, a preset's name or a URL, has the official channels.

    Raises:
        InputError: there is no such mirror.
    """
    site = find_mirror(mirror)
    bases = {f"{OFFICIAL_PKGS}/": f"{site.pkgs}/", f"{OFFICIAL_ALIAS}/": f"{site.cloud}/"}
    return {canonical: here for canonical, here in bases.items() if canonical != here}


def sources(url: str, routes: Sequence[Mapping[str, str]]) -> list[str]:
    """Return where a file of a canonical URL can be had, in the order of the routes; without any, at that URL."""
    found = []
    for each in routes or [{}]:
        base = next((canonical for canonical in each if url.startswith(canonical)), "")
        found.append(each[base] + url.removeprefix(base) if base else url)
    return list(dict.fromkeys(found))
