"""conda's explicit list: one URL a line, with its hash (CEP 23); nothing is solved.

conda reads sha256 since 24.9.0 (https://github.com/conda/conda/pull/14048), micromamba since 2025
(https://github.com/mamba-org/mamba/pull/3866). The pip section has no place in it.
"""

from __future__ import annotations

from collections.abc import Callable

from fleetenv.conda.export import Locked, in_order
from fleetenv.conda.lock import CondaPackage


def render(locked: Locked) -> str:
    """Return the list, each package after those that it depends on."""
    return commented(locked, "conda 24.9 or micromamba 2.3, or newer", urls(locked))


def urls(locked: Locked, hash_of: Callable[[CondaPackage], str] = lambda package: package.sha256) -> list[str]:
    """Return the list without comments; `hash_of` is what stands after each `#`."""
    return ["@EXPLICIT", *(f"{each.url}#{hash_of(each)}" for each in in_order(locked.platform.conda))]


def commented(locked: Locked, tools: str, listed: list[str]) -> str:
    """Return a list with comments above it that say what it is, and which tools read it."""
    lines = [
        f"# {locked.title}. Written by 'fleetenv export': do not edit.",
        f"# {tools}: conda create --name NAME --file FILE",
    ]
    if locked.platform.pip:
        lines.append("# The pip section is not in here: fleetenv export --to requirements")
    return "".join(f"{line}\n" for line in [*lines, f"# platform: {locked.platform.platform}", *listed])
