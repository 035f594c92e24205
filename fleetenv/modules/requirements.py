"""Whether a host can have an environment: what a lock has for its platform, and needs of its driver and C library."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from fleetenv.conda.environment import EnvironmentState
from fleetenv.conda.lock import CondaPackage, PlatformLock
from fleetenv.conda.plan import Plan
from fleetenv.conda.virtual import PLATFORMS, Unmet, unmet, virtual_packages
from fleetenv.errors import TaskFailed
from fleetenv.gpu.compat import max_cuda, min_driver


def platform_lock(plan: Plan | None, found: EnvironmentState, environment: str) -> PlatformLock:
    """Return what a lock has for a host's platform.

    Raises:
        TaskFailed: it has nothing for that.
    """
    assert plan
    assert plan.lock
    platforms = plan.lock.platforms
    platform = PLATFORMS.get(str(found.machine), str(found.machine))
    if platform not in platforms:
        have = " ".join(f"--platform {each}" for each in (*platforms, platform))
        command = f"run 'fleetenv lock {plan.spec.path} {have}'"
        raise TaskFailed(f"this host is {platform}; the lock of {environment} has no packages for that: {command}")
    return platforms[platform]


def require(packages: Sequence[CondaPackage], found: EnvironmentState, environment: str) -> None:
    """See that a host offers what the packages of an environment need.

    Raises:
        TaskFailed: it does not; with what would help.
    """
    driver = found.driver if isinstance(found.driver, str) else None
    cuda = found.cuda if isinstance(found.cuda, str) else max_cuda(driver) if driver else None
    offered = virtual_packages(str(found.machine), str(found.kernel), str(found.libc), cuda)
    lacking = [
        _refusal(each, driver, environment)
        for each in unmet(packages, offered)
        if each.name != "__cuda" or found.driver is not UNSET  # not looked for: this generation is already there
    ]
    if lacking:
        raise TaskFailed("; ".join(dict.fromkeys(lacking)))


def _refusal(lack: Unmet, driver: str | None, environment: str) -> str:
    wanted = f"{environment} needs {lack.name} {lack.wanted} ({lack.package})"
    if lack.name != "__cuda":
        what = lack.name.removeprefix("__")
        return f"{what} is {lack.offered}; {wanted}" if lack.offered else f"this host has no {what}; {wanted}"
    if driver is None:
        return f"this host has no working NVIDIA driver; {wanted}"
    at_least = lack.wanted.partition(",")[0].removeprefix(">=")
    newer = min_driver(at_least) if lack.wanted.startswith(">=") and lack.offered else None
    hint = f": install driver {newer} or newer" if newer else ""
    return f"driver {driver} supports CUDA {lack.offered}; {wanted}{hint}"
