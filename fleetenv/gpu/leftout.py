"""What nvidia-smi's XML tells and fleetenv leaves out on purpose, each with the reason.

All else is read; a document with an element that is neither is said to have it unread (`GpuHost.unread`), so that the
fields of a new driver are noticed.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetenv.gpu.values import Path

LEFT_OUT: Mapping[str, str] = {
    "timestamp": "when it was asked is known",
    "gpu/pci/pci_bus": "a part of the bus id",
    "gpu/pci/pci_device": "a part of the bus id",
    "gpu/pci/pci_domain": "a part of the bus id",
    "gpu/pci/pci_bus_id": "the bus id, which the attribute 'id' has, too",
    "gpu/pci/tx_util": "the traffic of one instant",
    "gpu/pci/rx_util": "the traffic of one instant",
    "gpu/encoder_stats/*": "video sessions of one instant",
    "gpu/fbc_stats/*": "screen captures of one instant",
    "gpu/voltage/*": "the voltage of one instant; no limit is told to compare it with",
    "gpu/inforom_bbx_flush/*": "when a black box recorder was last written",
    "gpu/supported_clocks/*": "a list of hundreds of clocks, the same for each GPU of a model",
    "gpu/accounted_processes/*": "processes of the past: the accounting of jobs is not health",
    "gpu/retired_pages/multiple_single_bit_retirement/retired_pagelist/*": "addresses; their count is read",
    "gpu/retired_pages/double_bit_retirement/retired_pagelist/*": "addresses; their count is read",
    "gpu/retired_pages/multiple_single_bit_retirement/retired_pagelist": "addresses; their count is read",
    "gpu/retired_pages/double_bit_retirement/retired_pagelist": "addresses; their count is read",
    "gpu/retired_pages/pending_blacklist": "an older name of pending_retirement, which is there, too",
    "gpu/gpu_power_readings/power_state": "the performance state, which has an element of its own",
    "gpu/power_readings/power_state": "the performance state, which has an element of its own",
    "gpu/module_power_readings/power_state": "the performance state, which has an element of its own",
    "gpu/mig_devices": "the word None; devices are elements below it",
    "gpu/mig_devices/mig_device/bar1_memory_usage/*": "a window into the device's memory, which is read",
    "gpu/mig_devices/mig_device/fb_memory_usage/free": "total less used",
    "gpu/mig_devices/mig_device/fb_memory_usage/reserved": "a part of used",
    "gpu/remapped_rows": "N/A; where rows can be remapped there are elements below it",
    "gpu/remapped_rows/row_remapper_histogram": "N/A, as above",
    "gpu/processes": "N/A, or that they may not be seen; processes are elements below it",
    "gpu/accounted_processes": "N/A, as above",
    "gpu/supported_clocks": "N/A, as above",
    "gpu/power_smoothing": "N/A, as above",
    "gpu/power_smoothing/*": "how fast the power may rise and fall in a whole data hall: its operator's own settings",
}
"""Path below `<nvidia_smi_log>` -> reason; `/*` at its end means everything below."""


def is_left_out(path: Path) -> bool:
    """Whether an element is left out on purpose."""
    if "/".join(path) in LEFT_OUT:
        return True
    return any("/".join((*path[:length], "*")) in LEFT_OUT for length in range(1, len(path)))
