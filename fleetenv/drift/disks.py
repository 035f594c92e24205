"""Findings about disks that are full, or nearly: the next build would fail there, and so may jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fleetenv.drift.about import About
from fleetenv.drift.finding import Finding
from fleetenv.onhost.census_disks import Disk

_GIB = 1 << 30
_LEAST = (
    ("disk-full", 100, _GIB, 10_000),  # less than a 100th is free, and less than so many bytes, or inodes
    ("disk-filling", 20, 5 * _GIB, 100_000),  # what an environment with PyTorch and CUDA takes
)
_MOST = 1 << 64  # bytes, or inodes: more is a lie
_MOST_PATHS = 3


def disk_findings(about: About, disks: Mapping[str, Disk], prefixes: Collection[str]) -> Iterator[Finding]:
    """Yield disks with little room left, of bytes or of inodes; `prefixes` are the Minicondas that can be cleaned."""
    for mount, disk in disks.items():
        for code, part, least, least_inodes in _LEAST:
            if _is_short(disk.free, disk.size, part, least):
                left = f"{disk.free / _GIB:,.1f} of {disk.size / _GIB:,.1f} GiB are free"
                look = f"{about.there('du', '-xh', '-d2', mount)} | sort -h"
            elif _is_short(disk.inodes_free, disk.inodes, part, least_inodes):
                left = f"{disk.inodes_free:,} of {disk.inodes:,} inodes are free: so many more files can be made"
                look = f"{about.there('du', '-x', '--inodes', '-d2', mount)} | sort -n"
            else:
                continue
            cleaned = [each for each in prefixes if each in disk.holds]
            clean = [about.commands.on(about.host, "clean", "--prefix", each, "--check") for each in cleaned]
            yield about.finding(code, mount, f"{left}; here is {_some(disk.holds)}", "; ".join([*clean, look]))
            break


def _is_short(free: int, size: int, part: int, least: int) -> bool:
    return 0 <= free < least and free * part < size < _MOST


def _some(paths: list[str]) -> str:
    more = ", ..." if len(paths) > _MOST_PATHS else ""
    return ", ".join(paths[:_MOST_PATHS]) + more
