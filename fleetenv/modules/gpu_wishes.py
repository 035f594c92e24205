"""What a `gpu_driver` task asks of a host, which of it is not so, and what to say then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from fleetenv.gpu.compat import max_cuda, min_driver
from fleetenv.gpu.model import is_model
from fleetenv.gpu.problem import Problem
from fleetenv.gpu.version import parse_version, parse_wish
from fleetenv.modules.gpu_state import WORKING, GpuState, by_subject, gpus_of
from fleetenv.severity import Severity
from fleetenv.state import Diff

_NO_GPU = frozenset({"no-gpu", "passed-through"})
_SHOWN = 3


class Fail(StrEnum):
    """The mildest problem that fails a task."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


class HealthRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which health problems fail a task."""

    fail: Fail = Fail.ERROR
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = {}

    def judged(self, found: GpuState) -> tuple[Problem, ...]:
        """Return all problems that are not ignored, with the severities that these rules give them, the worst first."""
        problems = found.found_problems if isinstance(found.found_problems, tuple) else ()
        known = (replace(each, severity=self._severity(each)) for each in problems if not self._ignores(each.code))
        return tuple(sorted(known, key=lambda problem: problem.severity.rank))

    def failing(self, found: GpuState) -> tuple[Problem, ...]:
        """Return those problems that fail the task."""
        if self.fail is Fail.NEVER:
            return ()
        worst = Severity(self.fail).rank
        return tuple(problem for problem in self.judged(found) if problem.severity.rank <= worst)

    def _ignores(self, code: str) -> bool:
        return code in self.ignore or _kind(code) in self.ignore

    def _severity(self, problem: Problem) -> Severity:
        return self.severity.get(problem.code) or self.severity.get(_kind(problem.code)) or problem.severity


def _kind(code: str) -> str:
    """`xid-79` is an `xid-N`."""
    kind = code.partition("-")[0]
    return f"{kind}-N" if kind in ("xid", "sxid") else code


class Wishes(Struct, frozen=True, kw_only=True):
    """The arguments of a task, checked."""

    min_version: str | None
    version: str | None
    cuda: str | None
    flavour: str | None
    count: int | None
    model: str | None
    required: bool
    health: HealthRules | None

    def unmet(self, found: GpuState) -> GpuState:
        """Return what is asked for and not so."""
        if not self.required and found.condition in _NO_GPU:
            return GpuState()
        return GpuState(
            condition=UNSET if found.condition == WORKING else WORKING,
            driver=self._driver(found),
            cuda=self._cuda(found),
            flavour=UNSET if self.flavour in (None, found.flavour) else self.flavour,
            count=UNSET if self.count in (None, found.count) else self.count,
            models=self._models(found),
            problems=self._problems(found),
        )

    def reasons(self, diff: Diff[GpuState]) -> list[str]:
        """Return a sentence for each thing that is not so: what is wrong, and what would mend it."""
        assert diff.found is not None
        found, wanted = diff.found, diff.wanted or GpuState()
        works = found.condition == WORKING
        reasons = []
        if diff.touches("condition"):
            reasons.append(str(found.explanation))
        if diff.touches("driver") and found.driver:
            reasons.append(self._wrong_driver(str(found.driver)))
        if diff.touches("cuda") and (works or found.cuda):
            reasons.append(self._wrong_cuda(found))
        if diff.touches("flavour") and (works or found.flavour):
            reasons.append(self._wrong_flavour(found))
        if diff.touches("count") and (works or found.count):
            reasons.append(_wrong_count(wanted, found))
        if diff.touches("models") and found.count:
            reasons.append(self._wrong_models(found))
        if diff.touches("problems"):
            reasons += _ailments((self.health or HealthRules()).failing(found))
        return reasons

    def _driver(self, found: GpuState) -> str | UnsetType:
        have = found.driver if isinstance(found.driver, str) else None
        if self.version and not (have and all(clause.takes(have) for clause in parse_wish(self.version))):
            return self.version
        if self.min_version and not (have and parse_version(have) >= parse_version(self.min_version)):
            return f">= {self.min_version}"
        return UNSET

    def _cuda(self, found: GpuState) -> str | UnsetType:
        have = found.cuda if isinstance(found.cuda, str) else None
        if self.cuda is None or (have and parse_version(have) >= parse_version(self.cuda)):
            return UNSET
        return f">= {self.cuda}"

    def _models(self, found: GpuState) -> Mapping[str, int | str] | UnsetType:
        models = found.models if isinstance(found.models, Mapping) else {}
        if self.model is None:
            return UNSET
        right = {name: count for name, count in models.items() if is_model(self.model, name)}
        if right:
            return UNSET if len(right) == len(models) else right
        return {self.model: self.count or "any"}

    def _problems(self, found: GpuState) -> Mapping[str, Mapping[str, str]] | UnsetType:
        failing = self.health.failing(found) if self.health else ()
        if not failing:
            return UNSET
        bad = by_subject(failing)
        seen = found.problems if isinstance(found.problems, Mapping) else {}
        return {
            subject: {code: text for code, text in codes.items() if code not in bad.get(subject, {})}
            for subject, codes in seen.items()
        }

    def _wrong_driver(self, driver: str) -> str:
        if self.version and not all(clause.takes(driver) for clause in parse_wish(self.version)):
            return f"driver {driver} is not the wanted {self.version}; install {self.version} and reboot"
        cuda = max_cuda(driver)
        up_to = f" (it supports CUDA up to {cuda})" if cuda else ""
        return f"driver {driver} is older than {self.min_version}{up_to}; upgrade it and reboot"

    def _wrong_cuda(self, found: GpuState) -> str:
        needed = min_driver(self.cuda or "")
        upgrade = f"upgrade it to {needed} or newer" if needed else "upgrade it"
        have = f"supports CUDA {found.cuda}" if found.cuda else "does not say which CUDA it supports"
        return f"driver {found.driver} {have}, CUDA {self.cuda} is wanted; {upgrade} and reboot"

    def _wrong_flavour(self, found: GpuState) -> str:
        if found.flavour:
            return (
                f"the {found.flavour} kernel module runs, the {self.flavour} one is wanted; install "
                f"{'nvidia-open' if self.flavour == 'open' else 'the proprietary driver'} and reboot"
            )
        return f"whether the {self.flavour} kernel module runs is not told; see /proc/driver/nvidia/version"

    def _wrong_models(self, found: GpuState) -> str:
        wrong = [
            f"GPU {gpu.index} is {gpu.model}" for gpu in gpus_of(found) if not is_model(self.model or "", gpu.model)
        ]
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        shown = ", ".join(wrong[:_SHOWN])
        return f"not every GPU is {self.model}: {shown}{more}; correct the host's group, or its hardware"


def _wrong_count(wanted: GpuState, found: GpuState) -> str:
    if isinstance(found.count, int) and isinstance(wanted.count, int) and found.count < wanted.count:
        return (
            f"{found.count} of {wanted.count} GPUs are there; look for 'Xid 79' and NVRM lines in 'dmesg', "
            "and for the missing GPU in 'lspci -d 10de:'"
        )
    return f"{found.count} GPUs are there, the task says {wanted.count}; correct 'count'"


def _ailments(problems: tuple[Problem, ...]) -> Iterator[str]:
    """Say the same of several GPUs once."""
    gpus: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        names = gpus.setdefault((problem.text, problem.advice), [])
        names += [] if problem.gpu is None else [str(problem.gpu)]
    for (text, advice), names in list(gpus.items())[:_SHOWN]:
        who = f"GPU {names[0]} " if len(names) == 1 else f"GPUs {', '.join(names)}: " if names else ""
        yield f"{who}{text}; {advice}"
    if len(gpus) > _SHOWN:
        yield f"and {len(gpus) - _SHOWN} more problems ('fleetenv gpu' shows all)"
