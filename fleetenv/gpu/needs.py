"""What an environment needs of CUDA, as its locked packages say it: in versions, build strings, names, requirements.

Read are conda's `__cuda`, the packages whose version is CUDA's own (`cuda-version`, `cudatoolkit`, `pytorch-cuda`,
`nvidia-cuda-runtime-cu12`), builds (`cuda126_py311h..._300`, `py3.10_cuda11.7_cudnn8.5.0_0`), local versions of wheels
(`2.4.1+cu124`), and names (`cupy-cuda12x`, `jax-cuda12-plugin`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from fleetenv.gpu.version import parse_version

OF_CONDA = frozenset(
    {"cuda-version", "cudatoolkit", "pytorch-cuda", "cuda-cudart", "cuda-runtime", "cuda-toolkit", "cuda-nvrtc", "cuda"}
)
"""conda packages whose version is that of the CUDA toolkit."""

OF_PIP = re.compile(r"(?:nvidia-cuda-(?:runtime|nvrtc)|cuda-toolkit)(?:-cu\d+)?", re.ASCII)
"""pip packages whose version is that of the CUDA toolkit. NVRTC counts: it makes PTX of its own version."""

_BUILD = re.compile(r"(?:^|_)cuda_?(\d{1,3})(?:\.(\d{1,2}))?(?!\d)", re.ASCII)
_LOCAL = re.compile(r"cu(?:da)?(\d{1,3})(?!\d)", re.ASCII)  # after the `+`: cu124, pt21cu121, cuda12.cudnn89
_NAME = re.compile(r"-cu(?:da)?(\d{2,3})x?(?=-|$)", re.ASCII)
_ROCM = re.compile(r"\+rocm(\d+(?:\.\d+)*)", re.ASCII)
_CPU_BUILD = re.compile(r"(?:^|_)cpu(?:_|py|$)", re.ASCII)
_GPU_NAME = re.compile(r"[a-z0-9-]+-gpu", re.ASCII)
_VERSION = re.compile(r"\d{1,3}(?:\.\d{1,3})?", re.ASCII)


class CondaRecord(Protocol):
    """What is asked of a locked conda package."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def build(self) -> str: ...  # noqa: D102
    @property
    def depends(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def constrains(self) -> Sequence[str]: ...  # noqa: D102


class Wheel(Protocol):
    """What is asked of a locked package of pip."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102


class Reason(msgspec.Struct, frozen=True):
    """Why an environment needs CUDA: which package says so, and by what."""

    package: str  # pytorch
    says: str  # 'version 12.4', 'build cuda126_py311h...', 'name cupy-cuda12x'
    cuda: str | None  # 12.4; 12: any of that major version; None: a GPU, and it does not say which CUDA


class Virtual(msgspec.Struct, frozen=True):
    """What a conda package wants of `__cuda`, the highest CUDA that the driver supports."""

    package: str
    spec: str  # >=12.4
    required: bool  # False: only where there is a driver at all (conda's run_constrained)


class Needs(msgspec.Struct, frozen=True):
    """What an environment needs of CUDA."""

    cuda: str | None = None  # the newest toolkit that a package is made for: 12.4, or 12
    reasons: tuple[Reason, ...] = ()  # the newest CUDA first
    virtual: tuple[Virtual, ...] = ()
    rocm: str | None = None  # packages are made for AMD's GPUs, with this ROCm

    @property
    def cpu_only(self) -> bool:
        """Whether nothing in it uses a GPU."""
        return not (self.reasons or self.rocm or any(each.required for each in self.virtual))


def needs(conda: Iterable[CondaRecord], pip: Iterable[Wheel]) -> Needs:
    """Return what an environment needs, from its locked packages for one platform."""
    records, wheels = list(conda), list(pip)
    reasons = [reason for record in records for reason in _of_record(record)]
    reasons += [reason for wheel in wheels for reason in _of_wheel(wheel)]
    reasons.sort(key=lambda reason: order(reason.cuda), reverse=True)
    virtual = [each for record in records for each in _virtual(record)]
    rocm = next((match[1] for wheel in wheels if (match := _ROCM.search(wheel.version))), None)
    newest = next((reason.cuda for reason in reasons), None)
    return Needs(newest, tuple(dict.fromkeys(reasons)), tuple(dict.fromkeys(virtual)), rocm)


def floor(spec: str) -> str | None:
    """Return the lowest version that a spec of conda lets pass, where it says so plainly: `>=12.4,<13` gives `12.4`."""
    for part in spec.partition(" ")[0].split(","):
        text = part.lstrip(">=").removesuffix(".*")
        if not part.startswith(("<", "!", "~")) and "|" not in part and _VERSION.match(text):
            return ".".join(text.split(".")[:2])
    return None


def _of_record(record: CondaRecord) -> Iterator[Reason]:
    if record.name in OF_CONDA and (version := _two_parts(record.version)):
        yield Reason(record.name, f"version {record.version}", version)
    elif match := _BUILD.search(record.build):
        version = f"{match[1]}.{match[2]}" if match[2] else _digits(match[1])
        if version:
            yield Reason(record.name, f"build {record.build}", version)
    elif _GPU_NAME.fullmatch(record.name) and not _CPU_BUILD.search(record.build):
        yield Reason(record.name, f"name {record.name}", None)


def _of_wheel(wheel: Wheel) -> Iterator[Reason]:
    public, _, local = wheel.version.partition("+")
    of_local = _LOCAL.search(local)
    version = _two_parts(public) if OF_PIP.fullmatch(wheel.name) else _digits(of_local[1]) if of_local else None
    if version:
        yield Reason(wheel.name, f"version {wheel.version}", version)
    elif (match := _NAME.search(wheel.name)) and (version := _digits(match[1])):
        yield Reason(wheel.name, f"name {wheel.name}", version)
    elif _GPU_NAME.fullmatch(wheel.name) and "cpu" not in local:
        yield Reason(wheel.name, f"name {wheel.name}", None)


def _virtual(record: CondaRecord) -> Iterator[Virtual]:
    for texts, required in ((record.depends, True), (record.constrains, False)):
        for text in texts:
            name, _, spec = text.partition(" ")
            if name == "__cuda":
                yield Virtual(record.name, spec.strip() or "*", required)


def _digits(text: str) -> str | None:
    """Read CUDA's version written without a dot: `124` is 12.4, `92` is 9.2, `12` any 12."""
    if len(text) == 1:
        return None
    if len(text) == 2 and int(text) < 50:
        return text
    return f"{text[:-1]}.{text[-1]}"


def _two_parts(version: str) -> str | None:
    match = _VERSION.match(version)
    return match[0] if match else None


def order(cuda: str | None) -> tuple[int, ...]:
    """Return what CUDA versions are sorted by; none comes first, then `12`, then `12.0`."""
    return parse_version(cuda) if cuda else ()
