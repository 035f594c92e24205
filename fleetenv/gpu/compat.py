"""Which CUDA a driver supports, and which driver a CUDA needs, on Linux.

Source: NVIDIA CUDA Toolkit Release Notes, "CUDA Toolkit and Corresponding Driver Versions" (each toolkit's general
release; its first such driver), https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ . The rows of 13.1 and 13.2
are the drivers that NVIDIA's own installers of those toolkits carry.
"""

from __future__ import annotations

from fleetenv.gpu.version import Version, parse_version

TOOLKIT_DRIVERS: dict[str, str] = {
    "8.0": "367.48",
    "9.0": "384.81",
    "9.1": "390.46",
    "9.2": "396.26",
    "10.0": "410.48",
    "10.1": "418.39",
    "10.2": "440.33",
    "11.0": "450.36.06",
    "11.1": "455.23",
    "11.2": "460.27.03",
    "11.3": "465.19.01",
    "11.4": "470.42.01",
    "11.5": "495.29.05",
    "11.6": "510.39.01",
    "11.7": "515.43.04",
    "11.8": "520.61.05",
    "12.0": "525.60.13",
    "12.1": "530.30.02",
    "12.2": "535.54.03",
    "12.3": "545.23.06",
    "12.4": "550.54.14",
    "12.5": "555.42.02",
    "12.6": "560.28.03",
    "12.8": "570.26",
    "12.9": "575.51.03",
    "13.0": "580.65.06",
    "13.1": "590.44.01",
    "13.2": "595.45.04",
}
"""The oldest driver that supports a toolkit entirely; what nvidia-smi calls 'CUDA Version' follows it."""

_TABLE: tuple[tuple[Version, Version, str], ...] = tuple(
    (parse_version(driver), parse_version(cuda), cuda) for cuda, driver in TOOLKIT_DRIVERS.items()
)


def max_cuda(driver: str) -> str | None:
    """Return the highest CUDA that a driver supports (`470.82.01` gives `11.4`), or None for one older than the table.

    A driver newer than the table gives the table's highest: it supports that one at least. Prefer what nvidia-smi
    itself says where it is known.

    Raises:
        ValueError: `driver` is not dotted numbers.
    """
    version = parse_version(driver)
    return next((cuda for oldest, _, cuda in reversed(_TABLE) if version >= oldest), None)


def min_driver(cuda: str) -> str | None:
    """Return the oldest driver that supports a CUDA entirely (`12.4` and `12.4.1` give `550.54.14`).

    None when the table ends before that CUDA. A CUDA between two rows (`12.7`) has the driver of the next one.

    Raises:
        ValueError: `cuda` is not dotted numbers.
    """
    wanted = _major_minor(cuda)
    return next((TOOLKIT_DRIVERS[text] for _, row, text in _TABLE if row >= wanted), None)


def _major_minor(cuda: str) -> Version:
    version = parse_version(cuda)
    return (*version, 0)[:2]
