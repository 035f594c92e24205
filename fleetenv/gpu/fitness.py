"""Whether a host can run an environment, and which driver it would need: what the lock wants against what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec

from fleetenv.gpu.architecture import Architecture, architecture_of, is_data_centre
from fleetenv.gpu.compat import compat_package, family_driver, max_cuda, min_driver
from fleetenv.gpu.diagnosis import driver_problem
from fleetenv.gpu.needs import Needs, floor
from fleetenv.gpu.states import GpuHost, Vendor
from fleetenv.gpu.version import parse_version

Fits: TypeAlias = Callable[[str, str], bool]
"""Whether a version meets a spec of conda: [`fleetenv.conda.virtual.fits`][], which this part must not know."""


class Fitness(StrEnum):
    """How well a host can run an environment."""

    RUNS = "runs"
    CPU_ONLY = "cpu-only"  # it uses no GPU: it runs anywhere
    MINOR = "minor-version"  # runs by minor-version compatibility, without the newest toolkit's features
    NEW_GPU = "new-gpu"  # the GPU is newer than the toolkit: only what brings PTX runs
    NEEDS_DRIVER = "needs-driver"
    OLD_GPU = "old-gpu"  # its toolkit has dropped the GPU, or no driver has both
    NO_GPU = "no-gpu"
    NOT_LOCKED = "not-locked"  # the lock has no packages for the host's platform

    @property
    def runs(self) -> bool:
        """Whether the environment can run at all."""
        return self in (Fitness.RUNS, Fitness.CPU_ONLY, Fitness.MINOR, Fitness.NEW_GPU)


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one host can run one environment."""

    fitness: Fitness
    text: str = ""  # why, and what may miss
    driver: str | None = None  # the oldest driver with which it would run; None: it does, or none would help
    full_driver: str | None = None  # the oldest driver that supports all of its toolkit; None: the present one does
    compat: str | None = None  # the package that would do instead of a new driver
    gpus: tuple[int, ...] = ()  # indexes of GPUs on which it cannot, or may not, run, where it can on others


NOT_LOCKED = Fit(fitness=Fitness.NOT_LOCKED, text="its lock has no packages for this platform")


def fit(needs: Needs, host: GpuHost, fits: Fits) -> Fit:
    """Judge whether a host can run an environment.

    Args:
        needs: What its locked packages want.
        host: What the host's probe saw.
        fits: What compares a version with a spec of conda.
    """
    if host.vendor is Vendor.AMD:
        return _on_amd(needs)
    cuda = _cuda_of(host)
    if cuda is None:
        return _without_driver(needs, host)
    refused = _refused(needs, cuda, fits)
    if needs.cpu_only and not refused:
        return Fit(fitness=Fitness.CPU_ONLY)
    if needs.rocm and not needs.reasons:
        return Fit(fitness=Fitness.NO_GPU, text=f"is made for AMD GPUs (ROCm {needs.rocm}), and these are NVIDIA's")
    dropped = _where(host, lambda each: _has_dropped(needs.cuda, each))
    if len(dropped) == len(host.gpus):
        return Fit(fitness=Fitness.OLD_GPU, text=_no_longer(needs, dropped))
    able = msgspec.structs.replace(host, gpus=tuple(gpu for gpu in host.gpus if gpu.index not in dropped))
    judged = _with_new_gpus(needs, able, _with_last_branch(able, _by_driver(needs, able, cuda, refused)))
    return _but(judged, _no_longer(needs, dropped), dropped) if dropped else judged


def driver_for_all(fits: Iterable[Fit]) -> tuple[str | None, str | None]:
    """Return the oldest driver that runs all environments, and the oldest that supports them entirely.

    None: the present driver does.
    """
    each = list(fits)
    at_least = [one.driver for one in each if one.driver]
    entirely = [driver for one in each if (driver := one.full_driver or one.driver)]
    return max(at_least, key=parse_version, default=None), max(entirely, key=parse_version, default=None)


def _cuda_of(host: GpuHost) -> str | None:
    """Return the highest CUDA that a host's working driver supports."""
    if not host.gpus:
        return None
    return host.cuda or (max_cuda(host.driver.version) if host.driver else None)


def _on_amd(needs: Needs) -> Fit:
    if needs.cpu_only:
        return Fit(fitness=Fitness.CPU_ONLY)
    if needs.rocm and not needs.reasons:
        return Fit(fitness=Fitness.RUNS, text=f"made for ROCm {needs.rocm}, which is not compared with the driver")
    return Fit(fitness=Fitness.NO_GPU, text="is made for NVIDIA's GPUs, and these are AMD's")


def _without_driver(needs: Needs, host: GpuHost) -> Fit:
    if needs.cpu_only:
        return Fit(fitness=Fitness.CPU_ONLY)
    problem = driver_problem(host)
    if problem is None or problem.code in ("no-gpu", "passed-through"):
        return Fit(fitness=Fitness.NO_GPU, text="this host has no GPU" if problem is None else problem.text)
    wanted = needs.cuda or _highest(floor(each.spec) for each in needs.virtual)
    return Fit(
        fitness=Fitness.NEEDS_DRIVER,
        text=f"no NVIDIA driver works here: {problem.text}",
        driver=_upgrade(host, family_driver(wanted)) if wanted else None,
        full_driver=_upgrade(host, min_driver(wanted)) if wanted else None,
    )


def _refused(needs: Needs, cuda: str, fits: Fits) -> list[str]:
    """Return the specs of `__cuda` for which conda, and the module conda_env, refuse to install here."""
    return [each.spec for each in needs.virtual if not fits(cuda, each.spec)]


def _by_driver(needs: Needs, host: GpuHost, cuda: str, refused: list[str]) -> Fit:
    """Judge by the driver alone."""
    entirely = min_driver(needs.cuda) if needs.cuda and _is_older(cuda, needs.cuda) else None
    oldest = family_driver(needs.cuda) if needs.cuda else None
    if refused:
        lowest = _highest(floor(spec) for spec in refused)
        packages = ", ".join(sorted({each.package for each in needs.virtual if each.spec in refused}))
        return Fit(
            fitness=Fitness.NEEDS_DRIVER,
            text=f"its driver supports CUDA {cuda}, conda wants __cuda {', '.join(sorted(set(refused)))} ({packages})",
            driver=_upgrade(host, _highest([min_driver(lowest) if lowest else None, oldest])),
            full_driver=entirely,
        )
    if needs.cuda is None or not _is_older(cuda, needs.cuda):
        return Fit(fitness=Fitness.RUNS)
    package = compat_package(needs.cuda, host.driver.version) if host.driver else None
    compat = package if all(map(is_data_centre, host.gpus)) else None
    if oldest and _upgrade(host, oldest) is None:
        return Fit(
            fitness=Fitness.MINOR,
            text=f"CUDA {needs.cuda} on a driver for {cuda}, by minor-version compatibility: what compiles PTX at run "
            f"time (JIT) or needs features of {needs.cuda}'s driver fails",
            full_driver=entirely,
            compat=compat,
        )
    text = f"its driver supports CUDA {cuda}, and the environment has CUDA {needs.cuda}"
    return Fit(fitness=Fitness.NEEDS_DRIVER, text=text, driver=oldest, full_driver=entirely, compat=compat)


def _with_last_branch(host: GpuHost, judged: Fit) -> Fit:
    """Take back the advice to install drivers that no longer know these GPUs."""
    known = [each.last_branch for each in map(architecture_of, host.gpus) if each and each.last_branch]
    if not known:
        return judged
    last = min(known)
    if judged.driver is not None and parse_version(judged.driver)[0] > last:
        return Fit(fitness=Fitness.OLD_GPU, text=f"{judged.text}; {last} is the last branch for these GPUs")
    if judged.full_driver is not None and parse_version(judged.full_driver)[0] > last:
        return msgspec.structs.replace(judged, full_driver=None)
    return judged


def _with_new_gpus(needs: Needs, host: GpuHost, judged: Fit) -> Fit:
    """Tell of GPUs that are newer than the toolkit."""
    newer = _where(host, lambda each: _is_older(needs.cuda, each.first_cuda))
    if not newer or not judged.fitness.runs:
        return judged
    names = ", ".join(sorted({f"{each.name} (CUDA {each.first_cuda})" for each in newer.values()}))
    text = (
        f"CUDA {needs.cuda} is older than {names}: only packages that bring PTX run there, "
        "others say 'no kernel image is available'"
    )
    if len(newer) == len(host.gpus):
        return msgspec.structs.replace(judged, fitness=Fitness.NEW_GPU, text=text)
    return _but(judged, text, newer)


def _but(judged: Fit, text: str, gpus: Iterable[int]) -> Fit:
    """Add what keeps some of the GPUs out."""
    texts = [judged.text] if judged.text else []
    return msgspec.structs.replace(judged, text="; ".join([*texts, text]), gpus=(*judged.gpus, *gpus))


def _no_longer(needs: Needs, dropped: Mapping[int, Architecture]) -> str:
    return f"CUDA {needs.cuda} no longer supports {', '.join(sorted({each.name for each in dropped.values()}))}"


def _where(host: GpuHost, matches: Callable[[Architecture], bool]) -> dict[int, Architecture]:
    """Return the GPUs whose architecture is known and matches, by their indexes."""
    known = {gpu.index: architecture_of(gpu) for gpu in host.gpus}
    return {index: each for index, each in known.items() if each and matches(each)}


def _upgrade(host: GpuHost, driver: str | None) -> str | None:
    """Return a driver where it is newer than the one that runs."""
    if driver and host.driver and parse_version(host.driver.version) >= parse_version(driver):
        return None
    return driver


def _has_dropped(cuda: str | None, architecture: Architecture) -> bool:
    return cuda is not None and architecture.last_cuda is not None and parse_version(cuda)[0] > architecture.last_cuda


def _is_older(cuda: str | None, than: str) -> bool:
    """Compare two CUDA versions; of a bare major version (`12`) any will do."""
    if cuda is None:
        return False
    one, other = parse_version(cuda)[:2], parse_version(than)[:2]
    shared = min(len(one), len(other))
    return one[:shared] < other[:shared]


def _highest(versions: Iterable[str | None]) -> str | None:
    return max((each for each in versions if each), key=parse_version, default=None)
