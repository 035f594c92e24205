"""What the NVIDIA driver's Xid numbers mean, how bad each is, and what to do about it.

Sources: names, meanings and actions follow NVIDIA's Xid catalog (in our own words),
https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html , and for those that it calls unused nowadays (56
to 59, 61, 81, 122 to 125) `nverror.h` of NVIDIA's open-gpu-kernel-modules. An error is what needs a reset or more; a
note is what a program makes, or what the catalog says to ignore. SXids are those of NVSwitches; whether one is fatal it
says itself: https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/
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
_DRIVER = "if it happens again, upgrade the driver and report it to NVIDIA (nvidia-bug-report.sh)"
_LINK = "reset all GPUs of the host, see 'nvidia-smi nvlink -e'; if it happens again, the GPU or its board is bad"
_REPLACE = "drain the host and replace the GPU (RMA)"
_WHEN_FREE = "reset the GPU when it is free ('nvidia-smi -r')"
_FIRMWARE = "watch it; if it happens again, ask the machine's vendor"
_OTHERS = "nothing by itself: see the other Xids of this GPU"
_POWER = "look at the site's power and cooling; GPUs are replaced if power swings are not acceptable"


class Xid(NamedTuple):
    """One number of the catalog."""

    name: str
    meaning: str
    severity: Severity
    advice: str


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE


def _engine(name: str, meaning: str, codes: tuple[int, ...]) -> dict[int, Xid]:
    """Exceptions of engines of one kind: programs make them."""
    kinds = enumerate(codes)
    return {code: Xid(f"ROBUST_CHANNEL_{name}{number}_ERROR", meaning, _N, _JOB) for number, code in kinds}


XIDS: Mapping[int, Xid] = {
    **_engine("CE", "copy engine exception", (39, 40, 41, 70, 71, 72, 75, 76, 77, 85, *range(126, 136))),
    **_engine("NVDEC", "video decoder exception", (68, 83, 84, 88, 89, 96, 97, 98)),
    **_engine("NVENC", "video encoder exception", (47, 65, 73, 142)),
    **_engine("NVJPG", "JPEG engine exception", (82, *range(99, 106))),
    **_engine("OFA", "optical flow engine exception", (86, 139)),
    8: Xid("ROBUST_CHANNEL_FIFO_ERROR_IDLE_TIMEOUT", "the GPU stopped processing", _W, _JOB),
    11: Xid("ROBUST_CHANNEL_GR_ERROR_MISSING_HW", "invalid or corrupted push buffer", _N, _JOB),
    13: Xid("ROBUST_CHANNEL_GR_EXCEPTION", "graphics engine exception: a program went out of bounds", _N, _JOB),
    25: Xid("ROBUST_CHANNEL_GR_ILLEGAL_NOTIFY", "invalid or illegal push buffer", _N, _JOB),
    31: Xid("ROBUST_CHANNEL_FIFO_ERROR_MMU_ERR_FLT", "memory page fault: a program used a wrong address", _N, _JOB),
    32: Xid("ROBUST_CHANNEL_PBDMA_ERROR", "invalid or corrupted push buffer, perhaps by the PCIe link", _W, _JOB),
    37: Xid("ROBUST_CHANNEL_FECS_ERR_UNIMP_FIRMWARE_METHOD", "driver firmware error", _N, _JOB),
    38: Xid("ROBUST_CHANNEL_FECS_ERR_WATCHDOG_TIMEOUT", "driver firmware error", _W, _DRIVER),
    42: Xid("ROBUST_CHANNEL_VIC_ERROR", "video engine exception", _N, _JOB),
    43: Xid("ROBUST_CHANNEL_RESETCHANNEL_VERIF_ERROR", "the GPU stopped a program after its error", _N, _JOB),
    44: Xid("ROBUST_CHANNEL_GR_FAULT_DURING_CTXSW", "fault during a context switch", _N, _JOB),
    45: Xid("ROBUST_CHANNEL_PREEMPTIVE_REMOVAL", "a program was removed: it ended, or an error before", _N, _JOB),
    46: Xid("ROBUST_CHANNEL_GPU_TIMEOUT_ERROR", "the GPU stopped processing", _E, _RESET),
    48: Xid("ROBUST_CHANNEL_GPU_ECC_DBE", "uncorrectable memory error (double bit ECC)", _E, _RESET),
    54: Xid("SILENT_RUNNING_PWR_REDUCED_CLOCKING", "auxiliary power is not connected", _E, "check its power cables"),
    56: Xid("DISPLAY_CHANNEL_EXCEPTION", "display engine error", _W, _DRIVER),
    57: Xid("FB_LINK_TRAINING_FAILURE_ERROR", "the video memory could not be set up", _E, _BUS),
    58: Xid("FB_MEMORY_ERROR", "unstable video memory", _E, _REPLACE),
    59: Xid("PMU_ERROR", "internal microcontroller error", _W, _DRIVER),
    60: Xid("ROBUST_CHANNEL_SEC2_ERROR", "video processor exception", _N, _JOB),
    61: Xid("PMU_BREAKPOINT", "internal microcontroller warning", _W, _RESET),
    62: Xid("PMU_HALT_ERROR", "internal microcontroller halted", _E, _RESET),
    63: Xid("INFOROM_DRAM_RETIREMENT_EVENT", "a bad memory row or page was noted, to be taken out", _N, _WHEN_FREE),
    64: Xid("INFOROM_DRAM_RETIREMENT_FAILURE", "a bad memory row or page could not be noted", _E, _RESET),
    66: Xid("ROBUST_CHANNEL_FECS_ERR_REG_ACCESS_VIOLATION", "illegal access by the driver", _W, _DRIVER),
    67: Xid("ROBUST_CHANNEL_FECS_ERR_VERIF_VIOLATION", "illegal access by the driver", _W, _DRIVER),
    69: Xid("ROBUST_CHANNEL_GR_CLASS_ERROR", "graphics engine class error: a wrong command", _N, _JOB),
    74: Xid("NVLINK_ERROR", "NVLink error", _E, _LINK),
    78: Xid(
        "VGPU_START_ERROR", "a virtual GPU could not be started", _W, "let the versions of host and guest driver fit"
    ),
    79: Xid("ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS", "the GPU has fallen off the bus", _E, _BUS),
    80: Xid("PBDMA_PUSHBUFFER_CRC_MISMATCH", "corrupted data was sent to the GPU", _W, _JOB),
    81: Xid("ROBUST_CHANNEL_VGA_SUBSYSTEM_ERROR", "VGA subsystem error", _W, _DRIVER),
    92: Xid("EXCESSIVE_SBE_INTERRUPTS", "very many corrected memory errors", _W, "watch it; run 'dcgmi diag -r 3'"),
    93: Xid("INFOROM_ERASE_LIMIT_EXCEEDED", "the GPU's InfoROM may not be written so often", _N, _FIRMWARE),
    94: Xid("ROBUST_CHANNEL_CONTAINED_ERROR", "uncorrectable memory error; only its own job was hit", _W, _WHEN_FREE),
    95: Xid("ROBUST_CHANNEL_UNCONTAINED_ERROR", "uncorrectable memory error; all jobs of the GPU were hit", _E, _RESET),
    106: Xid("SMBPBI_TEST_MESSAGE", "a test message", _N, _OTHERS),
    107: Xid("SMBPBI_TEST_MESSAGE_SILENT", "a test message", _N, _OTHERS),
    109: Xid("ROBUST_CHANNEL_CTXSW_TIMEOUT_ERROR", "context switch timeout", _E, _RESET),
    110: Xid("SEC_FAULT_ERROR", "security fault", _E, _BUS),
    119: Xid("GSP_RPC_TIMEOUT", "the GPU's system processor (GSP) does not answer", _E, _RESET),
    120: Xid("GSP_ERROR", "error in the GPU's system processor (GSP)", _E, _RESET),
    121: Xid("C2C_ERROR", "corrected errors of the link between CPU and GPU", _N, _WHEN_FREE),
    122: Xid("SPI_PMU_RPC_READ_FAIL", "the GPU's flash could not be read", _W, _FIRMWARE),
    123: Xid("SPI_PMU_RPC_WRITE_FAIL", "the GPU's flash could not be written", _W, _FIRMWARE),
    124: Xid("SPI_PMU_RPC_ERASE_FAIL", "the GPU's flash could not be erased", _W, _FIRMWARE),
    125: Xid("INFOROM_FS_ERROR", "the GPU's InfoROM is damaged", _W, _FIRMWARE),
    136: Xid("ALI_TRAINING_FAIL", "an NVLink could not be set up", _E, _LINK),
    137: Xid("NVLINK_PRIV_ERR", "a job used memory of another GPU that it may not", _N, _JOB),
    140: Xid("UNRECOVERABLE_ECC_ERROR_ESCAPE", "unrecovered memory error", _E, _RESET),
    141: Xid("ROBUST_CHANNEL_FAST_PATH_ERROR", "CUDA fast path error", _N, _JOB),
    143: Xid("GPU_INIT_ERROR", "the GPU could not be initialised", _E, _RESET),
    144: Xid("NVLINK_SAW_ERROR", "NVLink error (SAW)", _E, _LINK),
    145: Xid("NVLINK_RLW_ERROR", "NVLink error (RLW)", _E, _LINK),
    146: Xid("NVLINK_TLW_ERROR", "NVLink error (TLW)", _E, _LINK),
    147: Xid("NVLINK_TREX_ERROR", "NVLink error (TREX)", _E, _LINK),
    148: Xid("NVLINK_NVLPW_CTRL_ERROR", "NVLink error (NVLPW_CTRL)", _E, _LINK),
    149: Xid("NVLINK_NETIR_ERROR", "NVLink error (NETIR)", _E, _LINK),
    150: Xid("NVLINK_MSE_ERROR", "NVLink error (MSE)", _E, _LINK),
    151: Xid(
        "ROBUST_CHANNEL_KEY_ROTATION_ERROR", "key rotation failed", _W, "restart the confidential virtual machine"
    ),
    152: Xid("ROBUST_CHANNEL_DLA_SMMU_ERROR", "deep learning accelerator: memory fault", _N, _JOB),
    153: Xid("ROBUST_CHANNEL_DLA_TIMEOUT", "deep learning accelerator: timeout", _N, _JOB),
    154: Xid("GPU_RECOVERY_ACTION_CHANGED", "the driver asks for another recovery", _W, "do what the line says"),
    155: Xid("NVLINK_SW_DEFINED_ERROR", "an NVLink went down", _W, _LINK),
    156: Xid("RESOURCE_RETIREMENT_EVENT", "a part of the GPU is taken out at its next reset", _W, _WHEN_FREE),
    157: Xid("RESOURCE_RETIREMENT_FAILURE", "no spare part of the GPU is left for a bad one", _W, _REPLACE),
    158: Xid("GPU_FATAL_TIMEOUT", "fatal timeout", _E, _RESET),
    159: Xid("ROBUST_CHANNEL_CHI_NON_DATA_ERROR", "error of the link between CPU and GPU", _W, _OTHERS),
    160: Xid("CHANNEL_RETIREMENT_EVENT", "a memory channel is to be taken out", _N, _WHEN_FREE),
    161: Xid("CHANNEL_RETIREMENT_FAILURE", "a memory channel could not be taken out", _W, _REPLACE),
    162: Xid("PSHC_REENGAGED", "power smoothing works again", _N, _POWER),
    163: Xid("PSHC_DISENGAGED", "power smoothing was switched off, by heat or a timeout", _N, _POWER),
    164: Xid("PSHC_LOW_LIFETIME", "power smoothing is nearly worn out", _W, _POWER),
    165: Xid("PSHC_ZERO_LIFETIME", "power smoothing is worn out", _W, _POWER),
    166: Xid("NVLINK_SECURE_CRYPTO_ERR", "traffic on an NVLink before it was encrypted", _W, _LINK),
    167: Xid("PCIE_FATAL_TIMEOUT", "fatal timeout of the PCIe link", _E, _BUS),
    168: Xid(
        "REDUCED_GPU_MEMORY_CAPACITY", "errors in protected memory", _W, "switch ECC on (gpu_settings), and reset it"
    ),
    169: Xid("SEC2_HALT_ERROR", "internal microcontroller halted", _E, _RESET),
    170: Xid("NVLINK_SECURE_OTHER", "interrupt of an encrypted NVLink", _W, _LINK),
    171: Xid("UNCORRECTABLE_DRAM_ERROR", "the error of an Xid 48 was in DRAM", _N, _OTHERS),
    172: Xid("UNCORRECTABLE_SRAM_ERROR", "the error of an Xid 48 was in SRAM", _N, _OTHERS),
}

_UNKNOWN = Xid("", "an error that fleetenv does not know", _W, "see NVIDIA's Xid catalog")


def xid(code: int) -> Xid:
    """Return what a number means; one that is not in the table is a warning."""
    return XIDS.get(code, _UNKNOWN)
