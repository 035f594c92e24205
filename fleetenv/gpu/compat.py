"""Which CUDA a driver supports, and which driver a CUDA needs, on Linux.

Sources, all NVIDIA's:

- CUDA Toolkit Release Notes (13.2), table 3, "CUDA Toolkit and Corresponding Driver Versions": the rows up to 13.2,
  each toolkit's general release, its first such driver; table 2, "Minimum Required Driver Version for CUDA Minor
  Version Compatibility". https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/
- The release notes of 13.3 for its row. 13.4 no longer comes with a driver: its row is the driver that
  cuda-compat-13-4 is made of.
- CUDA Compatibility (of driver branch 615): "Minor Version Compatibility", and the table of packages and branches in
  "Forward Compatibility". https://docs.nvidia.com/deploy/cuda-compatibility/
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
    "13.3": "610.43.02",
    "13.4": "615.31",
}
"""The oldest driver that supports a toolkit entirely; what nvidia-smi calls 'CUDA Version' follows it."""

FAMILY_DRIVERS: dict[int, str] = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
"""The oldest driver that runs every toolkit of a major version, with less than all its features (table 2)."""

COMPAT_BASES = (535, 570, 580, 590, 595, 610)
"""Driver branches on which packages `cuda-compat-*` of newer branches work; other branches have come to their end."""

_FIRST_COMPAT: Version = (12, 3)

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


def family_driver(cuda: str) -> str | None:
    """Return the oldest driver that runs a CUDA by minor-version compatibility (`12.4` gives `525.60.13`).

    Before CUDA 11 there is no such compatibility: then it is the same as [`min_driver`][]'s. None for a major version
    that the tables do not have.

    Raises:
        ValueError: `cuda` is not dotted numbers.
    """
    entirely, family = min_driver(cuda), FAMILY_DRIVERS.get(parse_version(cuda)[0])
    if entirely is None or family is None:
        return family or entirely
    return min(entirely, family, key=parse_version)  # 11.0 came out before the driver that runs all of 11


def compat_package(cuda: str, driver: str) -> str | None:
    """Return the forward compatibility package that runs a CUDA on an older driver (`cuda-compat-13-0`), if any.

    It is for data centre GPUs only, and holds the user-space part of the newer driver.

    Raises:
        ValueError: one of them is not dotted numbers.
    """
    wanted, base = _major_minor(cuda), parse_version(driver)[0]
    if base not in COMPAT_BASES:
        return None
    made_of, row = next(((made, row) for made, row, _ in _TABLE if row >= max(wanted, _FIRST_COMPAT)), ((0,), (0, 0)))
    return f"cuda-compat-{row[0]}-{row[1]}" if made_of[0] > base else None


def _major_minor(cuda: str) -> Version:
    version = parse_version(cuda)
    return (*version, 0)[:2]
