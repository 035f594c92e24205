"""Where the packages of a spec come from: its channels by their canonical URLs, and from where each is downloaded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleetenv.conda.cache import cache_folder
from fleetenv.conda.channels import without_credentials
from fleetenv.conda.mirrors import condarc_channels, mirror_route, route
from fleetenv.conda.spec import Spec
from fleetenv.errors import InputError, Location

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SECRET = re.compile(r"(?<=//)[^/@\s]+(?=@)|(?<=/t/)[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the packages of a solve come from."""

    channels: tuple[str, ...]  # canonical URLs, the one of highest priority first
    named: Mapping[str, str] = field(default_factory=dict)  # as in `channel::package` -> its canonical URL
    mirrors: Mapping[str, Sequence[str]] = field(default_factory=dict)  # canonical URL -> where to download it from
    cache: Path = field(default_factory=lambda: cache_folder() / "repodata")
    offline: bool = False  # use what the cache has, however old


def sources(spec: Spec, mirror: str | None = None, *, offline: bool = False) -> Sources:
    """Find where the packages of a spec come from, seen from this machine.

    A channel may hold variables (`https://conda.example.com/t/${TOKEN}/lab`), as it may for conda: passwords and
    tokens are used for downloading, and are no part of its canonical URL.

    Args:
        spec: The spec.
        mirror: A preset's name or a URL; otherwise what this machine's `.condarc` says.
        offline: Whether only the cache is to be used.

    Raises:
        InputError: a channel's variable is not set, a `.condarc` cannot be read, or there is no such mirror.
    """
    config = condarc_channels()
    written = {channel: _filled(channel, spec.channels_at.get(channel, spec.location)) for channel in spec.channels}
    written |= {each.channel: _filled(each.channel, each.location) for each in spec.conda if each.channel}
    canonical = {channel: config.expand(filled) for channel, filled in written.items()}
    channels = list(dict.fromkeys(url for channel in spec.channels for url in canonical[channel]))
    named = {each.channel: canonical[each.channel][0] for each in spec.conda if each.channel}
    channels = list(dict.fromkeys([*channels, *named.values()]))
    own = {f"{canonical[channel][0]}/": f"{url.rstrip('/')}/" for channel, url in written.items() if _secret(url)}
    routes = {**own, **(mirror_route(mirror) if mirror else route(config, channels))}
    return Sources(tuple(channels), named, {url: [here] for url, here in routes.items()}, offline=offline)


def without_secrets(text: str) -> str:
    """Return a message without the passwords and tokens of the URLs in it."""
    return _SECRET.sub("***", text)


def _secret(url: str) -> bool:
    return "://" in url and without_credentials(url) != url.rstrip("/")


def _filled(channel: str, location: Location) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            hint = "set it on this machine, for this command"
            raise InputError(f"the channel's variable {name} is not set", location=location, hint=hint)
        return os.environ[name]

    return _VARIABLE.sub(value, channel)
