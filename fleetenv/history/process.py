"""Which process entered a run, so that a later one can tell whether it is still at work.

A text of machine, process number and when the process started, in ticks since boot (field 22 of proc(5)'s `stat`): a
number that another process got later, or after a reboot, is not taken for it.
"""

from __future__ import annotations

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> str:
    """Return what names this process."""
    return f"{_machine()}/{_boot()}/{os.getpid()}/{_ticks(os.getpid())}"


def is_of_this_machine(process: str) -> bool:
    """Whether it was a process of this machine, be it of an earlier boot."""
    return process.partition("/")[0] == _machine()


def is_alive(process: str) -> bool:
    """Whether a process of this machine still lives."""
    _, boot, number, ticks = process.split("/")
    return boot == _boot() and number.isdigit() and _ticks(int(number)) == ticks != ""


def _machine() -> str:
    return os.uname().nodename.replace("/", "")


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _ticks(number: int) -> str:
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(") ")[2].split(" ")
    return "" if fields[0] in "ZX" else fields[19]  # dead, and only not yet waited for
