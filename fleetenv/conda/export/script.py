"""The shell lines that build an environment with micromamba and pip: what images and CI jobs have in common."""

from __future__ import annotations

from collections.abc import Sequence

from fleetenv.conda.export import Locked

MICROMAMBA = "2.0.5"
"""The version that builds; the oldest one known to check each file's sha256."""

END = "END-OF-LIST"


def create(prefix: str, packages: str) -> str:
    """Return the command that builds the conda part. Both are words of sh as they stand, quoted where need be."""
    return f"micromamba create --yes --quiet --prefix {prefix} --file {packages}"


def install_pip(locked: Locked, prefix: str, requirements: str) -> list[str]:
    """Return the commands that add the pip section; an environment without pip borrows one."""
    install = f"install --no-deps --require-hashes --disable-pip-version-check --requirement {requirements}"
    if locked.has_pip:
        return [f"{prefix}/bin/python -I -m pip {install}"]
    return [
        f"{prefix}/bin/python -I -m venv {prefix}-pip",
        f"{prefix}-pip/bin/python -I -m pip --python {prefix}/bin/python {install}",
        f"rm -rf {prefix}-pip",
    ]


def written(lines: Sequence[str], path: str) -> list[str]:
    """Return the commands that write a file; `path` is a word of sh as it stands."""
    return [f"cat >{path} <<'{END}'", *lines, END]
