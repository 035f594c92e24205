"""Resolving a spec's pip section for a target, on the controller, with uv.

What conda provides must stay conda's: pip would silently overwrite it. Requirements that it does not meet are an error
now, not a broken environment later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fleetenv.conda.distributions import provided
from fleetenv.conda.lock import PipPackage, Target
from fleetenv.conda.repodata import run
from fleetenv.conda.resolution import MACHINES, Limits, PipIndex, Unresolved, answer, chosen
from fleetenv.conda.sources import Sources
from fleetenv.conda.spec import Spec, normalized
from fleetenv.errors import InputError, Location

if TYPE_CHECKING:
    from rattler import RepoDataRecord


class IndexUnreachable(InputError):
    """A package index does not answer."""


def resolve(
    spec: Spec,
    target: Target,
    records: Sequence[RepoDataRecord],
    sources: Sources,
    index: PipIndex,
    keep: Iterable[PipPackage] = (),
) -> tuple[PipPackage, ...]:
    """Resolve the pip section of a spec against the conda packages that are already chosen.

    Args:
        spec: The spec; nothing is done when it has no pip section.
        target: The platform.
        records: The conda packages.
        sources: Where to look into conda packages.
        index: Where to find the section's packages.
        keep: Locked packages whose versions stay as long as they fit.

    Raises:
        IndexUnreachable: no index answers.
        InputError: the section cannot be resolved, at the requirement that uv names.
    """
    if not spec.pip:
        return ()
    python = _python(spec, records)
    limits = Limits(run(provided(records, sources, index.cache)), {each.name: each.version for each in keep})
    found = _compile(spec, target, python, [each.text for each in spec.pip], index, limits)
    of_conda = {each.name for each in limits.provided}
    return tuple(each for each in found if each.name not in of_conda)


def newest(
    spec: Spec, target: Target, records: Sequence[RepoDataRecord], index: PipIndex, names: Iterable[str]
) -> dict[str, str]:
    """Return the newest version of each package that suits a target and its Python, whatever the spec says.

    Raises:
        IndexUnreachable: no index answers.
        InputError: an index does not have one of them.
    """
    wishes = sorted(names)
    if not wishes:
        return {}
    found = _compile(spec, target, _python(spec, records), wishes, index, Limits(dependencies=False))
    return {each.name: each.version for each in found}


def _python(spec: Spec, records: Sequence[RepoDataRecord]) -> str:
    version = next((str(record.version) for record in records if record.name.normalized == "python"), None)
    if version is None:
        raise InputError("a pip section needs a Python to install into", location=spec.pip[0].location)
    return version


def _compile(
    spec: Spec, target: Target, python: str, wishes: Sequence[str], index: PipIndex, limits: Limits
) -> list[PipPackage]:
    if target.platform not in MACHINES:
        raise InputError(f"a pip section cannot be locked for {target.platform}", location=spec.pip[0].location)
    options = [each for each in spec.pip_options if not (index.url and each.option == "--index-url")]
    lines = [*(f"{each.option} {each.value}" for each in options), *wishes]
    try:
        packages = answer(lines, target, python, index, limits)
    except Unresolved as error:
        raise _unresolvable(spec, target, error) from error
    return [package for each in packages if (package := _locked(each, spec))]


def _locked(package: Mapping[str, Any], spec: Spec) -> PipPackage | None:
    try:
        return chosen(package)
    except Unresolved as error:
        raise InputError(error.reason, location=_where(spec, str(package["name"]))) from error


def _unresolvable(spec: Spec, target: Target, error: Unresolved) -> InputError:
    if error.unreachable:
        return IndexUnreachable(f"a package index does not answer: {error.reason}", location=spec.pip[0].location)
    named = [
        each
        for each in spec.pip
        if re.search(rf"(?<![\w.-]){re.escape(each.name)}(?![\w-])", error.reason, re.IGNORECASE)
    ]
    location = named[0].location if named else spec.pip[0].location
    return InputError(f"the pip section cannot be resolved for {target.platform}: {error.reason}", location=location)


def _where(spec: Spec, name: str) -> Location:
    return next((each.location for each in spec.pip if each.name == normalized(name)), spec.pip[0].location)
