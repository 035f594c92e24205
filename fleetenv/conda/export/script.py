"""The shell lines that build an environment with micromamba and pip: what images and CI jobs have in common."""

from __future__ import annotations

from collections.abc import Sequence

from fleetenv.conda.export import Locked
from fleetenv.conda.export.requirements import commits, hashed
from fleetenv.remote import sh

MICROMAMBA = "2.3.2"
"""The version that builds. Old ones pass over sha256 silently: https://github.com/mamba-org/mamba/pull/3866 ."""

END = "END-OF-LIST"


def create(prefix: str, packages: str) -> str:
    """Return the command that builds the conda part. Both are words of sh as they stand, quoted where need be."""
    return f"micromamba create --yes --quiet --prefix {prefix} --file {packages}"


def install_pip(locked: Locked, prefix: str, requirements: str) -> list[str]:
    """Return the commands that add the pip section; without pip in it Python runs the one that its library brings."""
    wishes = [f"--require-hashes --requirement {requirements}"] if hashed(locked) else []
    wishes += [sh(commit) for commit in commits(locked)]
    pip = f"{prefix}/bin/python -m pip"
    if not locked.has_pip:
        pip = f'PYTHONPATH="$(echo {prefix}/lib/python3*/ensurepip/_bundled/pip-*.whl)" {pip}'
    return [f"{pip} install --no-deps --disable-pip-version-check {wish}" for wish in wishes]


def written(lines: Sequence[str], path: str) -> list[str]:
    """Return the commands that write a file; `path` is a word of sh as it stands."""
    return [f"cat >{path} <<'{END}'", *lines, END]
