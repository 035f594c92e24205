"""Solving a spec's conda part for a target, on the controller, with py-rattler's solver."""

from __future__ import annotations

import asyncio
import atexit
import re
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fleetenv.conda.lock import Target
from fleetenv.conda.spec import Requirement, Spec
from fleetenv.errors import InputError, Location

if TYPE_CHECKING:
    from rattler import Client, GenericVirtualPackage, RepoDataRecord

T = TypeVar("T")

DEFAULT_PLATFORM = "linux-64"
DEFAULT_GLIBC = "2.28"  # Debian 10, RHEL 8, Ubuntu 20.04 and all after them
DEFAULT_LINUX = "4.18"  # RHEL 8's kernel, the oldest of those

MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64", "linux-ppc64le": "ppc64le"}
"""The platforms that hosts can have, and what `uname -m` says on them."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the packages of a solve come from."""

    channels: tuple[str, ...]  # canonical URLs, the one of highest priority first
    named: Mapping[str, str] = field(default_factory=dict)  # as in `channel::package` -> its canonical URL
    mirrors: Mapping[str, Sequence[str]] = field(default_factory=dict)  # canonical URL -> where to download it from
    cache: Path | None = None  # of repodata; None: py-rattler's own place


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


def solve(spec: Spec, targets: Sequence[Target], sources: Sources) -> dict[Target, list[RepoDataRecord]]:
    """Solve the conda part of a spec for each target.

    Raises:
        InputError: no set of packages meets the spec (with the solver's reason, at the dependency that it names), a
            dependency is not written as conda understands it, or a channel cannot be read.
    """
    return run(_solve(spec, targets, sources))


def run(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine of py-rattler's to its end.

    An error leaves py-rattler's own threads a moment of work with Python objects, and nothing to wait for; without
    that moment the interpreter may crash at its exit (seen with 0.28).
    """
    atexit.unregister(_let_threads_finish)
    atexit.register(_let_threads_finish)
    return asyncio.run(work)


def _let_threads_finish() -> None:
    time.sleep(0.05)


async def _solve(spec: Spec, targets: Sequence[Target], sources: Sources) -> dict[Target, list[RepoDataRecord]]:
    from rattler import Channel, Gateway
    from rattler import solve as rattler_solve
    from rattler.exceptions import GatewayError, SolverError

    gateway = Gateway(cache_dir=sources.cache, client=client(sources.mirrors))
    wanted = [_match_spec(each, sources) for each in spec.conda]
    solved = {}
    for each in targets:
        try:
            solved[each] = await rattler_solve(
                sources=[Channel(url) for url in sources.channels],
                specs=wanted,
                gateway=gateway,
                platforms=[each.platform, "noarch"],  # type: ignore[list-item]  # a str of py-rattler's Literal
                virtual_packages=[_virtual_package(text) for text in each.virtual_packages],
            )
        except SolverError as error:
            raise _unsolvable(spec, each, str(error)) from error
        except GatewayError as error:
            lines = str(error).replace("Caused by: ", "").splitlines()
            what = f"cannot read the channels ({', '.join(sources.channels)}): {lines[0]}: {lines[-1]}"
            hint = "a mirror is named by --mirror, by the task's 'mirrors', or in a .condarc on this machine"
            raise InputError(what, location=spec.location, hint=hint) from error
    return solved


def client(mirrors: Mapping[str, Sequence[str]]) -> Client:
    """Return an HTTP client of py-rattler's that goes to the mirrors instead of the canonical URLs."""
    from rattler.networking import AuthenticationMiddleware, Client, MirrorMiddleware, RetryMiddleware

    # Mirrors come after the retries, so that each try may go to the next mirror.
    return Client(
        [
            RetryMiddleware(3),
            MirrorMiddleware({canonical: list(urls) for canonical, urls in mirrors.items()}),
            AuthenticationMiddleware(),
        ]
    )


def _match_spec(requirement: Requirement, sources: Sources) -> str:
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    try:
        MatchSpec(requirement.text)
    except InvalidMatchSpecError as error:
        raise InputError(
            f"'{requirement}' is not written as conda understands it: {error}", location=requirement.location
        ) from error
    channel = requirement.channel
    return f"{sources.named[channel]}::{requirement.text}" if channel else requirement.text


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
