"""Every code that a finding may have, as docs/findings.md explains them."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct

from fleetenv.drift.finding import Against
from fleetenv.gpu.problem import DRIVER_CODES, HEALTH_CODES
from fleetenv.severity import Severity

GPU = "gpu-"
"""What the codes of docs/gpu.md begin with as findings: `gpu-mismatch`. Their severity is that of the problem."""


class Code(Struct, frozen=True):
    """What one code means. `milder` is the severity where the thing is a user's own, in a home, or is explained."""

    against: Against
    severity: Severity
    meaning: str
    milder: Severity | None = None


_PLAYBOOK, _FLEET, _TIME, _CARE, _REACH = Against
_ERROR, _WARNING, _NOTE = Severity

CODES: dict[str, Code] = {
    "unreachable": Code(_REACH, _ERROR, "the host could not be looked at, or not to the end"),
    "not-surveyed": Code(_REACH, _WARNING, "the host did not tell all of what it has, or not in a form that is one"),
    "failed": Code(_PLAYBOOK, _ERROR, "a task cannot do what it says here"),
    "drift": Code(_PLAYBOOK, _WARNING, "`apply` would change something"),
    "outlier": Code(_FLEET, _NOTE, "most hosts of its group have another value"),
    "changed": Code(_TIME, _WARNING, "it was otherwise when `--since` says", _NOTE),
    "not-compared": Code(_TIME, _NOTE, "`--since` finds no earlier look at it in the history"),
    "unfinished-miniconda": Code(_CARE, _ERROR, "an installation of Miniconda that is not whole", _NOTE),
    "other-miniconda": Code(_CARE, _NOTE, "a Miniconda that the playbook does not speak of"),
    "world-writable": Code(_CARE, _WARNING, "everybody may exchange programs in a folder of Miniconda's", _NOTE),
    "leftover": Code(_CARE, _WARNING, "a build that was cut off, or a lock that nobody holds any more"),
    "disk-full": Code(_CARE, _ERROR, "a disk on which nothing can be installed, or soon cannot"),
    "disk-filling": Code(_CARE, _WARNING, "a disk with less room than one large environment takes"),
    "base-packages": Code(_CARE, _WARNING, "packages in base that the installer did not bring"),
    "base-pip": Code(_CARE, _WARNING, "pip has installed packages into base"),
    "extra-environment": Code(_CARE, _WARNING, "an environment made by hand in the playbook's Miniconda"),
    "other-environment": Code(_CARE, _NOTE, "an environment that fleetenv built and no task of this playbook names"),
    "environment-elsewhere": Code(_CARE, _NOTE, "an environment outside of any Miniconda, registered with conda"),
    "dangling-environment": Code(_CARE, _WARNING, "an environment that is a link to nothing"),
    "unreadable-records": Code(_CARE, _WARNING, "records in conda-meta that cannot be read"),
    "pip-over-conda": Code(_CARE, _WARNING, "pip has replaced files of a package that conda installed"),
    "files-changed": Code(_CARE, _WARNING, "files are not what their packages brought"),
    "files-missing": Code(_CARE, _WARNING, "files that packages brought are gone"),
    "files-added": Code(_CARE, _WARNING, "files or packages that came after the build"),
    "files-unchecked": Code(_CARE, _NOTE, "there was no time left to look at its files: a minute for all of a host"),
    "wrong-owner": Code(_CARE, _WARNING, "files of another user than the environment's: `sudo pip install`"),
    "orphan-virtualenv": Code(_CARE, _WARNING, "a virtualenv whose interpreter is gone", _NOTE),
    "stale-kernel": Code(_CARE, _WARNING, "a Jupyter kernel whose program is gone", _NOTE),
    "condarc-unreadable": Code(_CARE, _WARNING, "a .condarc that is no YAML mapping", _NOTE),
    "condarc-conflict": Code(_CARE, _WARNING, "a .condarc that contradicts Miniconda's own", _NOTE),
    "waiver-expired": Code(_CARE, _NOTE, "a waiver whose last day is past: what it hid counts again"),
}


def every_code() -> list[str]:
    """Return all codes, those of GPUs, too."""
    return [*CODES, *(f"{GPU}{code}" for code in (*DRIVER_CODES, *HEALTH_CODES))]


def is_known(pattern: str) -> bool:
    """Whether a pattern (`gpu-*`) is of any code."""
    return any(fnmatchcase(code, pattern) for code in every_code())
