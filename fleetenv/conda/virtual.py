"""Virtual packages: what a host itself offers (`__cuda`, `__glibc`), and what locked packages need of it.

Names and meaning are conda's: https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-virtual.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from fleetenv.conda.lock import CondaPackage
from fleetenv.conda.settings import MACHINES

PLATFORMS = {machine: platform for platform, machine in MACHINES.items()}
"""What `uname -m` says, and what conda calls it."""

_VERSION = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,5}")


class Unmet(Struct, frozen=True):
    """One thing that locked packages need and a host does not offer."""

    name: str  # __cuda
    wanted: str  # >=12.4
    package: str  # one of those that need it
    offered: str | None  # a version; None: the host does not have it at all


def virtual_packages(machine: str, kernel: str, libc: str, cuda: str | None) -> dict[str, str]:
    """Name what a host offers.

    Args:
        machine: As `uname -m` prints it.
        kernel: As `uname -r` prints it.
        libc: As `getconf GNU_LIBC_VERSION` prints it (`glibc 2.36`); anything else is not glibc.
        cuda: The highest CUDA that its driver supports, if it has one.

    Returns:
        Versions by name.
    """
    offered = {"__unix": "0", "__archspec": "1"}
    version = _VERSION.match(kernel)
    offered["__linux"] = version[0] if version else "0"
    name, _, glibc = libc.strip().partition(" ")
    if name == "glibc" and _VERSION.fullmatch(glibc):
        offered["__glibc"] = glibc
    if cuda is not None and _VERSION.fullmatch(cuda):
        offered["__cuda"] = cuda
    return offered


def mentions(packages: Sequence[CondaPackage], name: str) -> bool:
    """Whether any package says something about a virtual package."""
    texts = (text for package in packages for text in (*package.depends, *package.constrains))
    return any(text.partition(" ")[0] == name for text in texts)


def unmet(packages: Sequence[CondaPackage], offered: Mapping[str, str]) -> tuple[Unmet, ...]:
    """Compare what packages need with what a host offers. The micro-architecture is not judged: it only prefers."""
    result = []
    for package in packages:
        for text, required in [
            *((each, True) for each in package.depends),
            *((each, False) for each in package.constrains),
        ]:
            name, _, spec = text.partition(" ")
            if not name.startswith("__") or name == "__archspec":
                continue
            have = offered.get(name)
            if (required and have is None) or (have is not None and not fits(have, spec)):
                result.append(Unmet(name, spec.strip() or "*", package.name, have))
    return tuple(dict.fromkeys(result))


def fits(version: str, spec: str) -> bool:
    """Whether a version meets conda's version spec (`>=2.17,<3.0.a0`); a build string after it is not looked at."""
    words = spec.split()
    if not words or words[0] == "*":
        return True
    bounds = [_BOUND.fullmatch(each) for each in words[0].split(",")]
    if _VERSION.fullmatch(version) and all(bounds):
        return all(_within(_numbers(version), bound) for bound in bounds if bound)
    from rattler import Version, VersionSpec  # slow to import, and seldom needed

    return VersionSpec(words[0]).matches(Version(version))


_BOUND = re.compile(r"(?P<sign>>=|<)(?P<bound>\d{1,9}(?:\.\d{1,9}){0,5})(?:\.?a0)?")


def _within(version: tuple[int, ...], bound: re.Match[str]) -> bool:
    """Compare numbers with a bound; `a0` stands for what comes before any release, and numbers are releases."""
    return (version >= _numbers(bound["bound"])) is (bound["sign"] == ">=")


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers without zeros at the end, which mean nothing."""
    numbers = [int(each) for each in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
