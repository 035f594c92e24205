"""conda's explicit list: one URL a line, with its hash (CEP 23); nothing is solved.

conda reads sha256 since 24.9.0 (https://github.com/conda/conda/pull/14048), micromamba in 2.x. The pip section has no
place in it.
"""

from __future__ import annotations

from fleetenv.conda.export import Locked, in_order


def render(locked: Locked) -> str:
    """Return the list, each package after those that it depends on."""
    lines = [
        f"# {locked.title}. Written by 'fleetenv export': do not edit.",
        "# conda 24.9 or newer, or micromamba 2: conda create --name NAME --file FILE",
    ]
    if locked.platform.pip:
        lines.append("# The pip section is not in here: fleetenv export --to requirements")
    return "".join(f"{line}\n" for line in [*lines, f"# platform: {locked.platform.platform}", *urls(locked)])


def urls(locked: Locked) -> list[str]:
    """Return the list without comments."""
    return ["@EXPLICIT", *(f"{each.url}#{each.sha256}" for each in in_order(locked.platform.conda))]
