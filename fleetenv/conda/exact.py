"""Exact conda packages in a spec's own words: `channel::name=version=build`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import yaml

from fleetenv.conda.channels import OFFICIAL_ALIAS, OFFICIAL_PKGS
from fleetenv.conda.lock import CondaPackage
from fleetenv.source import Value


def channel_of(url: str) -> str:
    """Return the channel of a package, from its canonical URL, as a spec names it: conda-forge, pkgs/main, a URL."""
    base = "/".join(url.split("/")[:-2])  # without SUBDIR/FILE
    for site in (OFFICIAL_ALIAS, OFFICIAL_PKGS.removesuffix("/pkgs")):
        if base.startswith(f"{site}/"):
            return base.removeprefix(f"{site}/")
    return base


def channels_of(packages: Sequence[CondaPackage]) -> list[str]:
    """Return the channels of packages, the one with most of them first."""
    counted = Counter(channel_of(each.url) for each in packages)
    return sorted(counted, key=lambda channel: (-counted[channel], channel))


def exact_specs(packages: Sequence[CondaPackage]) -> list[str]:
    """Name packages with version and build; with their channel, too, where they come from several."""
    several = len(channels_of(packages)) > 1
    return [
        f"{f'{channel_of(each.url)}::' if several else ''}{each.name}={each.version}={each.build}" for each in packages
    ]


def spec_text(document: dict[str, Value], heading: Sequence[str]) -> str:
    """Write an environment.yml, with comments above it."""
    comments = "".join(f"# {' '.join(line.split())}\n" for line in heading)
    return comments + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
