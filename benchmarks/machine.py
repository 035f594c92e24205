"""On what was measured: the machine, and the versions of all that takes part."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import fleetenv
from benchmarks import peers


def describe() -> dict[str, str]:
    """Return the machine's properties."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "CPU": f"{len(os.sched_getaffinity(0))} cores, {cpu[1] if cpu else platform.machine()}",
        "memory": f"{gibibytes:.0f} GiB",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    """Return versions by name."""
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.partition(",")[0]
    own = {"fleetenv": fleetenv.__version__, "asyncssh": importlib.metadata.version("asyncssh")}
    pinned = {name: peers.version(name) for name in ("pyinfra", "ansible-core", "mitogen")}
    return {**own, **pinned, "Python": platform.python_version(), "OpenSSH": ssh.removeprefix("OpenSSH_")}
