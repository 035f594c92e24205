"""A problem of a host's GPUs, and the list of all that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from fleetenv.severity import Severity


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: a stable `code`, what was seen (of the GPU with that index), and what mends it."""

    code: str
    severity: Severity
    text: str
    advice: str
    gpu: int | None = None

    def __str__(self) -> str:
        return f"{self.subject}{self.text}; {self.advice}"

    @property
    def subject(self) -> str:
        """`GPU 3 `, or nothing when it is not about one GPU."""
        return "" if self.gpu is None else f"GPU {self.gpu} "


class Code(NamedTuple):
    """How bad a problem is unless a playbook says otherwise, and what it means."""

    severity: Severity
    meaning: str


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

DRIVER_CODES: Mapping[str, Code] = {
    "no-gpu": Code(_E, "no GPU on the PCI bus"),
    "passed-through": Code(_E, "all GPUs are given to virtual machines (vfio-pci)"),
    "no-driver": Code(_E, "there are GPUs and no driver for the running kernel"),
    "nouveau": Code(_E, "nouveau has the GPUs, and it cannot run CUDA"),
    "not-loaded": Code(_E, "the driver is installed, its kernel module is not loaded"),
    "mismatch": Code(_E, "the loaded kernel module and the libraries differ: upgraded without a reboot"),
    "no-smi": Code(_E, "the driver runs, and there is no nvidia-smi (amd-smi)"),
    "no-library": Code(_E, "the driver runs, and libnvidia-ml.so is not there"),
    "lost": Code(_E, "a GPU has fallen off the bus: the driver has it, nvidia-smi cannot reach it"),
    "no-devices": Code(_E, "the driver runs and finds no GPU"),
    "hung": Code(_E, "nvidia-smi does not answer: a GPU or its driver hangs"),
    "failed": Code(_E, "nvidia-smi fails in another way, or writes what cannot be read"),
}
"""Why GPUs cannot be used at all, or not all of them: these fail a `gpu_driver` task."""

HEALTH_CODES: Mapping[str, Code] = {
    "recovery": Code(_E, "the driver asks for a reset or a reboot"),
    "ecc-uncorrected": Code(_E, "uncorrected memory errors since the driver was loaded"),
    "ecc-uncorrected-past": Code(_N, "uncorrected memory errors in the GPU's life, none since the driver was loaded"),
    "sram-threshold": Code(_E, "so many SRAM errors that NVIDIA replaces the GPU"),
    "remapping-pending": Code(_W, "a bad memory row is taken out of use at the next reset"),
    "remapping-failed": Code(_E, "a bad memory row could not be taken out of use"),
    "spare-rows": Code(_W, "a memory bank has no spare rows left"),
    "retirement-pending": Code(_W, "a bad memory page is taken out of use at the next reset"),
    "retired-pages": Code(_W, "60 memory pages or more are out of use; 64 are the most"),
    "repair-pending": Code(_W, "a memory channel or processing cluster is repaired at the next reset"),
    "unrepairable": Code(_E, "the memory can no longer be repaired"),
    "slowdown": Code(_W, "clocks are held down by heat or power"),
    "hot": Code(_W, "a temperature has reached its limit"),
    "fabric": Code(_E, "the GPU has not joined its NVLink fabric"),
    "fabric-unhealthy": Code(_W, "the GPU's NVLink fabric is degraded"),
    "fabric-manager": Code(_E, "a machine with NVSwitches, and Fabric Manager does not run"),
    "fabric-manager-version": Code(_E, "Fabric Manager is not of the driver's version"),
    "nvlink-down": Code(_W, "some NVLinks are down while others are up"),
    "nvlink-errors": Code(_W, "NVLinks had to recover from errors"),
    "link-width": Code(_N, "fewer PCIe lanes than the GPU has"),
    "link-generation": Code(_N, "a slower PCIe generation than the GPU has"),
    "pcie-replays": Code(_W, "so many PCIe replays that their counter rolled over"),
    "xid-N": Code(_W, "an Xid in the kernel log; its own severity is in the table of Xids"),
    "sxid-N": Code(_W, "an SXid (of an NVSwitch) in the kernel log; an error where it calls itself fatal"),
    "dcgm": Code(_E, "DCGM's quick diagnosis fails"),
    "dcgm-warning": Code(_W, "DCGM's quick diagnosis warns"),
    "dcgm-silent": Code(_N, "DCGM's quick diagnosis was asked for, and told nothing"),
    "mixed-models": Code(_W, "different models in one host"),
    "mixed-vbios": Code(_N, "GPUs of one model with different VBIOS versions"),
    "reboot-pending": Code(_W, "another driver is on disk than runs"),
    "mig-empty": Code(_W, "MIG is on and there is no instance, so no job can use the GPU"),
    "mig-pending": Code(_N, "MIG is switched at the next reset"),
    "ecc-pending": Code(_N, "ECC is switched at the next reset"),
    "compute-prohibited": Code(_W, "the compute mode lets no job use the GPU"),
    "persistence-off": Code(_N, "without persistence mode each job waits for the driver to start"),
    "power-limit": Code(_N, "the power limit is below its default"),
    "kernel-log": Code(_N, "the kernel log may not be read by this user"),
    "unread": Code(_N, "nvidia-smi tells of things that this fleetenv does not know"),
}
"""What may be wrong with GPUs that can be used."""


def code_of(name: str) -> Code | None:
    """Return what a code means: `xid-79` is an `xid-N`; None for none of ours."""
    kind, dash, number = name.partition("-")
    if dash and kind in ("xid", "sxid") and (number == "N" or (number.isascii() and number.isdigit())):
        name = f"{kind}-N"
    return DRIVER_CODES.get(name) or HEALTH_CODES.get(name)


def health(code: str, text: str, advice: str, *, gpu: int | None = None, severity: Severity | None = None) -> Problem:
    """Build a problem of health, of its code's own severity unless told otherwise."""
    known = code_of(code)
    assert known is not None
    return Problem(code=code, severity=severity or known.severity, text=text, advice=advice, gpu=gpu)
