"""Whether a wish for Python leaves open which minor version it will be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rattler import Version

_ONE = re.compile(r"python(?: +| *==? *)3\.\d+(\.\d+)*(\.\*)?")  # the usual ways to pin it
_MINORS = range(4, 30)
_PATCHES = range(26)


def one_minor(wishes: Sequence[str]) -> bool:
    """Whether at most one minor version of Python 3 meets all of these match specs (`python >=3.11,<3.12`)."""
    if any(_ONE.fullmatch(wish) for wish in wishes):
        return True
    if all(wish == "python" for wish in wishes):
        return False
    from rattler import MatchSpec, VersionSpec  # slow to import, and seldom needed
    from rattler.exceptions import InvalidMatchSpecError

    try:
        texts = [MatchSpec(wish).version for wish in wishes]
    except InvalidMatchSpecError:
        return True  # solving will say what is wrong with it
    wanted = [VersionSpec(str(text)) for text in texts if text is not None]
    minors = {
        minor
        for minor, versions in _versions().items()
        if any(all(spec.matches(version) for spec in wanted) for version in versions)
    }
    return len(minors) <= 1


@cache
def _versions() -> dict[int, list[Version]]:
    from rattler import Version

    return {minor: [Version(f"3.{minor}.{patch}") for patch in _PATCHES] for minor in _MINORS}
