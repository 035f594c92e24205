"""What the NVIDIA driver's Xid numbers mean, how bad each is, and what to do about it.

Sources: names are those of `nverror.h` in NVIDIA's open-gpu-kernel-modules; meanings and actions follow NVIDIA's Xid
catalog, https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html , in our own words. SXids are those of
NVSwitches: https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/ ; whether one is fatal it says itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fleetenv.severity import Severity

_JOB = "look at the job that ran there; the same on another GPU is its own fault, only here is this GPU's"
_RESET = (
    "drain the host and reset the GPU ('nvidia-smi -r'), or reboot; run 'dcgmi diag -r 3' before it takes jobs again"
)
_BUS = "drain and power-cycle the host; if it happens again, reseat the GPU and check its power, then replace it"
_DRIVER = "drain and reboot; if it happens again, upgrade the driver and report it to NVIDIA (nvidia-bug-report.sh)"
_LINK = "reset all GPUs of the host, see 'nvidia-smi nvlink -e'; if it happens again, the GPU or its board is bad"
_REPLACE = "drain the host and replace the GPU (RMA)"
_WHEN_FREE = "reset the GPU when it is free ('nvidia-smi -r')"
_FIRMWARE = "watch it; if it happens again, ask the machine's vendor"


class Xid(NamedTuple):
    """One number of the catalog."""

    name: str
    meaning: str
    severity: Severity
    advice: str


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

XIDS: Mapping[int, Xid] = {
    8: Xid("ROBUST_CHANNEL_FIFO_ERROR_IDLE_TIMEOUT", "the GPU stopped processing", _W, _JOB),
    13: Xid("ROBUST_CHANNEL_GR_EXCEPTION", "graphics engine exception: a program went out of bounds", _N, _JOB),
    31: Xid("ROBUST_CHANNEL_FIFO_ERROR_MMU_ERR_FLT", "memory page fault: a program used a wrong address", _N, _JOB),
    32: Xid("ROBUST_CHANNEL_PBDMA_ERROR", "invalid or corrupted push buffer", _W, _JOB),
    38: Xid("FECS_ERR_WATCHDOG_TIMEOUT", "driver firmware error", _E, _DRIVER),
    39: Xid("ROBUST_CHANNEL_CE0_ERROR", "copy engine exception", _N, _JOB),
    40: Xid("ROBUST_CHANNEL_CE1_ERROR", "copy engine exception", _N, _JOB),
    41: Xid("ROBUST_CHANNEL_CE2_ERROR", "copy engine exception", _N, _JOB),
    42: Xid("ROBUST_CHANNEL_VIC_ERROR", "video engine exception", _N, _JOB),
    43: Xid("ROBUST_CHANNEL_RESETCHANNEL_VERIF_ERROR", "the GPU stopped a program after its error", _N, _JOB),
    44: Xid("ROBUST_CHANNEL_GR_FAULT_DURING_CTXSW", "fault during a context switch", _W, _JOB),
    45: Xid("ROBUST_CHANNEL_PREEMPTIVE_REMOVAL", "a program was removed: it ended, or an error before", _N, _JOB),
    46: Xid("GPU_TIMEOUT_ERROR", "the GPU stopped processing", _E, _RESET),
    47: Xid("ROBUST_CHANNEL_NVENC0_ERROR", "video encoder exception", _N, _JOB),
    48: Xid("ROBUST_CHANNEL_GPU_ECC_DBE", "uncorrectable memory error (double bit ECC)", _E, _RESET),
    54: Xid("HARDWARE_WATCHDOG", "auxiliary power is not connected to the GPU", _E, "check the GPU's power cables"),
    56: Xid("DISP_ERROR", "display engine error", _W, _DRIVER),
    57: Xid("FB_LINK_TRAINING_FAILURE", "the video memory could not be set up", _E, _BUS),
    58: Xid("FB_MEMORY_ERROR", "unstable video memory", _E, _REPLACE),
    59: Xid("PMU_ERROR", "internal microcontroller error", _W, _DRIVER),
    60: Xid("ROBUST_CHANNEL_SEC2_ERROR", "security engine exception", _W, _DRIVER),
    61: Xid("PMU_BREAKPOINT", "internal microcontroller warning", _W, _RESET),
    62: Xid("PMU_HALT_ERROR", "internal microcontroller halted", _E, _RESET),
    63: Xid("INFOROM_DRAM_RETIREMENT_EVENT", "a bad memory row or page is to be taken out of use", _W, _WHEN_FREE),
    64: Xid("INFOROM_DRAM_RETIREMENT_FAILURE", "a bad memory row or page could not be taken out of use", _E, _REPLACE),
    65: Xid("ROBUST_CHANNEL_NVENC1_ERROR", "video encoder exception", _N, _JOB),
    66: Xid("FECS_ERR_REG_ACCESS_VIOLATION", "the driver used a register that it may not", _W, _DRIVER),
    67: Xid("FECS_ERR_VERIF_VIOLATION", "the driver used a register that it may not", _W, _DRIVER),
    68: Xid("ROBUST_CHANNEL_NVDEC0_ERROR", "video decoder exception", _N, _JOB),
    69: Xid("ROBUST_CHANNEL_GR_CLASS_ERROR", "graphics engine class error: a wrong command", _N, _JOB),
    70: Xid("ROBUST_CHANNEL_CE3_ERROR", "copy engine exception", _N, _JOB),
    71: Xid("ROBUST_CHANNEL_CE4_ERROR", "copy engine exception", _N, _JOB),
    72: Xid("ROBUST_CHANNEL_CE5_ERROR", "copy engine exception", _N, _JOB),
    73: Xid("ROBUST_CHANNEL_NVENC2_ERROR", "video encoder exception", _N, _JOB),
    74: Xid("NVLINK_ERROR", "NVLink error", _E, _LINK),
    75: Xid("ROBUST_CHANNEL_CE6_ERROR", "copy engine exception", _N, _JOB),
    76: Xid("ROBUST_CHANNEL_CE7_ERROR", "copy engine exception", _N, _JOB),
    77: Xid("ROBUST_CHANNEL_CE8_ERROR", "copy engine exception", _N, _JOB),
    78: Xid(
        "VGPU_START_ERROR", "a virtual GPU could not be started", _W, "let the versions of host and guest driver fit"
    ),
    79: Xid("ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS", "the GPU has fallen off the bus", _E, _BUS),
    80: Xid("PBDMA_PUSHBUFFER_CRC_MISMATCH", "corrupted data was sent to the GPU", _E, _BUS),
    81: Xid("ROBUST_CHANNEL_VGA_SUBSYSTEM_ERROR", "VGA subsystem error", _W, _DRIVER),
    82: Xid("ROBUST_CHANNEL_NVJPG0_ERROR", "JPEG engine exception", _N, _JOB),
    83: Xid("ROBUST_CHANNEL_NVDEC1_ERROR", "video decoder exception", _N, _JOB),
    84: Xid("ROBUST_CHANNEL_NVDEC2_ERROR", "video decoder exception", _N, _JOB),
    85: Xid("ROBUST_CHANNEL_CE9_ERROR", "copy engine exception", _N, _JOB),
    86: Xid("ROBUST_CHANNEL_OFA0_ERROR", "optical flow engine exception", _N, _JOB),
    88: Xid("ROBUST_CHANNEL_NVDEC3_ERROR", "video decoder exception", _N, _JOB),
    89: Xid("ROBUST_CHANNEL_NVDEC4_ERROR", "video decoder exception", _N, _JOB),
    92: Xid("EXCESSIVE_SBE_INTERRUPTS", "very many corrected memory errors", _W, "watch it; run 'dcgmi diag -r 3'"),
    93: Xid("INFOROM_ERASE_LIMIT_EXCEEDED", "the GPU's InfoROM is worn out", _W, _FIRMWARE),
    94: Xid("ROBUST_CHANNEL_CONTAINED_ERROR", "uncorrectable memory error; only its own job was hit", _W, _WHEN_FREE),
    95: Xid("ROBUST_CHANNEL_UNCONTAINED_ERROR", "uncorrectable memory error; all jobs of the GPU were hit", _E, _RESET),
    109: Xid("ROBUST_CHANNEL_CTXSW_TIMEOUT_ERROR", "context switch timeout", _W, _RESET),
    110: Xid("SEC_FAULT_ERROR", "security fault", _E, _RESET),
    119: Xid("GSP_RPC_TIMEOUT", "the GPU's system processor (GSP) does not answer", _E, _RESET),
    120: Xid("GSP_ERROR", "error in the GPU's system processor (GSP)", _E, _RESET),
    121: Xid("C2C_ERROR", "corrected error of the link between CPU and GPU", _W, _WHEN_FREE),
    122: Xid("SPI_PMU_RPC_READ_FAIL", "the GPU's flash could not be read", _W, _FIRMWARE),
    123: Xid("SPI_PMU_RPC_WRITE_FAIL", "the GPU's flash could not be written", _W, _FIRMWARE),
    124: Xid("SPI_PMU_RPC_ERASE_FAIL", "the GPU's flash could not be erased", _W, _FIRMWARE),
    125: Xid("INFOROM_FS_ERROR", "the GPU's InfoROM is damaged", _W, _FIRMWARE),
    136: Xid("ALI_TRAINING_FAIL", "an NVLink could not be set up", _E, _LINK),
    137: Xid("NVLINK_FLA_PRIV_ERR", "a job used memory of another GPU that it may not", _N, _JOB),
    139: Xid("ROBUST_CHANNEL_OFA1_ERROR", "optical flow engine exception", _N, _JOB),
    140: Xid("UNRECOVERABLE_ECC_ERROR_ESCAPE", "unrecovered memory error", _E, _RESET),
    141: Xid("ROBUST_CHANNEL_FAST_PATH_ERROR", "error on the GPU's fast path", _W, _RESET),
    143: Xid("GPU_INIT_ERROR", "the GPU could not be initialised", _E, _BUS),
    144: Xid("NVLINK_SAW_ERROR", "NVLink error (SAW)", _E, _LINK),
    145: Xid("NVLINK_RLW_ERROR", "NVLink error (RLW)", _E, _LINK),
    146: Xid("NVLINK_TLW_ERROR", "NVLink error (TLW)", _E, _LINK),
    147: Xid("NVLINK_TREX_ERROR", "NVLink error (TREX)", _E, _LINK),
    148: Xid("NVLINK_NVLPW_CTRL_ERROR", "NVLink error (NVLPW_CTRL)", _E, _LINK),
    149: Xid("NVLINK_NETIR_ERROR", "NVLink error (NETIR)", _E, _LINK),
    150: Xid("NVLINK_MSE_ERROR", "NVLink error (MSE)", _E, _LINK),
    151: Xid("ROBUST_CHANNEL_KEY_ROTATION_ERROR", "key rotation failed (confidential computing)", _W, _RESET),
    154: Xid("GPU_RECOVERY_ACTION_CHANGED", "the driver asks for another recovery", _W, "do what the line says"),
}

_UNKNOWN = Xid("", "an error that fleetenv does not know", _W, "see NVIDIA's Xid catalog")


def xid(code: int) -> Xid:
    """Return what a number means; one that is not in the table is a warning."""
    return XIDS.get(code, _UNKNOWN)
