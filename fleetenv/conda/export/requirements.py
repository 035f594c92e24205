"""The pip section as a `requirements.txt` with hashes: pip takes exactly these files, or none.

A commit of a git repository has its own hash in its URL; pip takes no other for it, and so refuses it in a file with
hashes. Commits are installed by a command of their own.
"""

from __future__ import annotations

from fleetenv.conda.export import Locked
from fleetenv.conda.lock import PipPackage
from fleetenv.remote import sh

_INSTALL = "-m pip install --no-deps --disable-pip-version-check"


def render(locked: Locked) -> str:
    """Return the file; without a pip section it has comments only."""
    lines = [f"# The pip section of {locked.title}. Written by 'fleetenv export': do not edit."]
    if locked.platform.pip:
        lines.append(f"# python {_INSTALL} --require-hashes -r FILE")
        lines += [f"# python {_INSTALL} {sh(commit)}" for commit in commits(locked)]
    else:
        lines.append("# It has no pip section.")
    return "".join(f"{line}\n" for line in [*lines, *hashed(locked)])


def hashed(locked: Locked) -> list[str]:
    """Return the list without comments and commits."""
    files = [f"{requirement(locked, each)} --hash=sha256:{each.sha256}" for each in locked.platform.pip if each.sha256]
    return [*locked.pip_options, *files] if files else []


def commits(locked: Locked) -> list[str]:
    """Return the requirements that are commits of git repositories."""
    return [requirement(locked, each) for each in locked.platform.pip if not each.sha256]


def requirement(locked: Locked, package: PipPackage) -> str:
    """Name one package as pip does: by version, or by URL where the spec names a file or a commit."""
    direct = any(each.name == package.name and each.direct_url for each in locked.spec.pip)
    return f"{package.name} @ {package.url}" if direct else f"{package.name}=={package.version}"
