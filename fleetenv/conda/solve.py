"""Solving a spec's conda part for a target, on the controller, with py-rattler's solver."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from fleetenv.conda.lock import CondaPackage, Target
from fleetenv.conda.repodata import ChannelsUnreadable, gateway, records, run, unreadable
from fleetenv.conda.settings import MACHINES
from fleetenv.conda.sources import Sources
from fleetenv.conda.spec import Requirement, Spec
from fleetenv.errors import InputError, Location

if TYPE_CHECKING:
    from rattler import Gateway, GenericVirtualPackage, MatchSpec, RepoDataRecord

DEFAULT_PLATFORM = "linux-64"
DEFAULT_GLIBC = "2.28"  # Debian 10, RHEL 8, Ubuntu 20.04 and all after them
DEFAULT_LINUX = "4.18"  # RHEL 8's kernel, the oldest of those


def target(platform: str, *, glibc: str = DEFAULT_GLIBC, cuda: str | None = None) -> Target:
    """Describe what every host of a platform offers at least.

    Raises:
        InputError: the platform is not one that hosts can have, or a version is none.
    """
    if platform not in MACHINES:
        raise InputError(f"unknown platform '{platform}'", hint=f"it is one of {', '.join(MACHINES)}")
    for what, version in (("glibc", glibc), ("cuda", cuda)):
        if version is not None and not re.fullmatch(r"\d+(\.\d+)*", version):
            raise InputError(f"'{version}' is not a version of {what}", hint="write it like 12.4")
    virtual = ["__unix=0", f"__linux={DEFAULT_LINUX}", f"__glibc={glibc}", f"__archspec=1={MACHINES[platform]}"]
    return Target(platform, tuple(virtual + ([f"__cuda={cuda}"] if cuda else [])))


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a present lock stays as long as it fits the spec, and its channel still has it."""

    packages: Mapping[str, Collection[CondaPackage]] = field(default_factory=dict)  # of each platform
    update: frozenset[str] = frozenset()  # names of packages that are to be the newest that fit, whatever that moves


def solve(
    spec: Spec, targets: Sequence[Target], sources: Sources, kept: Kept | None = None
) -> dict[Target, list[RepoDataRecord]]:
    """Solve the conda part of a spec for each target.

    Raises:
        ChannelsUnreadable: a channel cannot be read.
        InputError: no set of packages meets the spec (with the solver's reason, at the dependency that it names), or a
            dependency is not written as conda understands it.
    """
    return run(_solve(spec, targets, sources, kept or Kept()))


async def _solve(
    spec: Spec, targets: Sequence[Target], sources: Sources, kept: Kept
) -> dict[Target, list[RepoDataRecord]]:
    from rattler import Channel
    from rattler import solve as rattler_solve
    from rattler.exceptions import GatewayError, SolverError

    repodata = gateway(sources)
    wanted = [_match_spec(each, sources) for each in spec.conda]
    solved = {}
    for each in targets:
        once = partial(
            rattler_solve,
            sources=[Channel(url) for url in sources.channels],
            specs=wanted,
            gateway=repodata,
            platforms=[each.platform, "noarch"],  # type: ignore[list-item]  # a str of py-rattler's Literal
            virtual_packages=[_virtual_package(text) for text in each.virtual_packages],
        )
        try:
            # What stays would hold back what needs it in another version: so first the newest is looked for.
            newest = [record for record in await once() if record.name.normalized in kept.update] if kept.update else []
            solved[each] = await once(
                locked_packages=await _still_there(
                    kept.packages.get(each.platform, ()), each.platform, sources, repodata
                ),
                constraints=[f"{record.name.normalized} =={record.version}" for record in newest],
            )
        except SolverError as error:
            raise _unsolvable(spec, each, str(error)) from error
        except GatewayError as error:
            raise _at(spec, unreadable(sources, error)) from error
        except ChannelsUnreadable as error:
            raise _at(spec, error) from error
    return solved


async def _still_there(
    packages: Collection[CondaPackage], platform: str, sources: Sources, repodata: Gateway
) -> list[RepoDataRecord]:
    """Find locked packages in the channels; one that was withdrawn, or is another file by now, is not found."""
    if not packages:
        return []
    locked = {(each.url, each.sha256) for each in packages}
    offered = await records(sources, platform, sorted({each.name for each in packages}), repodata)
    return [
        each for of_channel in offered for each in of_channel if each.sha256 and (each.url, each.sha256.hex()) in locked
    ]


def _at(spec: Spec, error: ChannelsUnreadable) -> ChannelsUnreadable:
    return ChannelsUnreadable(error.message, location=spec.location, hint=error.hint)


def _match_spec(requirement: Requirement, sources: Sources) -> MatchSpec:
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    channel = f"{sources.named[requirement.channel]}::" if requirement.channel else ""
    try:
        return MatchSpec(f"{channel}{requirement.text}")  # as text the solver would refuse name=version=build
    except InvalidMatchSpecError as error:
        raise InputError(
            f"'{requirement}' is not written as conda understands it: {error}", location=requirement.location
        ) from error


def _unsolvable(spec: Spec, target: Target, reason: str) -> InputError:
    reason = reason.strip().rstrip(".").removeprefix("Cannot solve the request because of: ")
    named = [each for each in spec.conda if re.search(rf"(?<![\w.-]){re.escape(each.name)}(?![\w-])", reason)]
    first = min(named, key=lambda each: reason.index(each.name), default=None)
    location: Location = first.location if first else spec.location
    hint = None
    if re.search(r"__cuda[^,]*, for which no candidates", reason):
        hint = "say which CUDA every host's driver supports: --cuda 12.4"
    elif re.search(r"__glibc[^,]*, for which no candidates", reason):
        hint = "say which glibc every host has: --glibc 2.31"
    return InputError(f"cannot be solved for {target.platform}: {reason}", location=location, hint=hint)


def _virtual_package(text: str) -> GenericVirtualPackage:
    from rattler import BuildString, GenericVirtualPackage, PackageName, Version

    name, version, build = (*text.split("="), "0")[:3]
    return GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
