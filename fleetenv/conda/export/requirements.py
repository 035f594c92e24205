"""The pip section as a `requirements.txt` with hashes: pip takes exactly these files, or none."""

from __future__ import annotations

from fleetenv.conda.export import Locked
from fleetenv.conda.lock import PipPackage


def render(locked: Locked) -> str:
    """Return the file; without a pip section it has comments only."""
    lines = [f"# The pip section of {locked.title}. Written by 'fleetenv export': do not edit."]
    if locked.platform.pip:
        lines.append("# python -m pip install --no-deps --require-hashes -r FILE")
    else:
        lines.append("# It has no pip section.")
    return "".join(f"{line}\n" for line in [*lines, *hashed(locked)])


def hashed(locked: Locked) -> list[str]:
    """Return the list without comments."""
    files = [f"{requirement(locked, each)} --hash=sha256:{each.sha256}" for each in locked.platform.pip]
    return [*locked.pip_options, *files] if files else []


def requirement(locked: Locked, package: PipPackage) -> str:
    """Name one package as pip does: by version, or by URL where the spec names a file."""
    direct = any(each.name == package.name and each.direct_url for each in locked.spec.pip)
    return f"{package.name} @ {package.url}" if direct else f"{package.name}=={package.version}"
