"""One run of a command, measured: wall time, CPU time, and, where asked, peak memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_REAPER = Path(__file__).with_name("reaper.py")
_INTERVAL = 0.02  # seconds between two looks at memory
_PATIENCE = 1800.0  # seconds
_ROLLUP = re.compile(r"^(Rss|Pss_Anon|Anonymous): +(\d+) kB$", re.MULTILINE)
_SHARE = 0.2  # of one core that looking may take


@dataclass(frozen=True, slots=True)
class Run:
    """What a command's run took."""

    status: int
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time of the command and all its descendants, daemons too."""
    printed: str
    """Standard output and standard error."""
    memory: int | None = None
    """Most bytes that it and its descendants had at a time, by samples."""


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    watch_memory: bool = False,
    patience: float = _PATIENCE,
) -> Run:
    """Run a command in a folder, and wait for it.

    Args:
        command: Its words.
        folder: Where it runs.
        environment: All that is in its environment.
        watch_memory: Whether to sample its memory, which costs time: for runs whose time does not count.
        patience: Seconds after which it is killed.
    """
    with tempfile.TemporaryDirectory(prefix="run") as temporary:
        report, output = Path(temporary, "report"), Path(temporary, "output")
        words = [sys.executable, "-I", str(_REAPER), str(report), str(output), str(patience), *command]
        process = subprocess.Popen(words, cwd=folder, env=dict(environment))
        memory = None
        try:
            if watch_memory:
                memory = _peak_memory(process)
        finally:
            process.wait()
        if process.returncode != 0:
            raise RuntimeError(f"{words[0]} {_REAPER.name} ended with {process.returncode}")
        measured = json.loads(report.read_text())
        printed = output.read_text(errors="replace")
    return Run(measured["status"], measured["wall"], measured["cpu"], printed, memory)


def _peak_memory(process: subprocess.Popen[bytes]) -> int:
    """Sample the memory of a process' descendants until it ends, and return the most of all samples."""
    ended = threading.Event()

    def wait() -> None:
        process.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    peak, pause = 0, _INTERVAL
    while not ended.wait(pause):
        begun = time.perf_counter()
        peak = max(peak, _memory(_descendants(process.pid)))
        pause = max(_INTERVAL, (time.perf_counter() - begun) / _SHARE)
    return peak


def _descendants(ancestor: int) -> list[int]:
    children = defaultdict(list)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text()
            except OSError:  # it has ended
                continue
            parent = int(stat.rpartition(")")[2].split()[1])  # a program's name may hold anything
            children[parent].append(int(entry.name))
    found = list(children[ancestor])
    for process in found:  # grows as it goes
        found += children[process]
    return found


def _memory(processes: Iterable[int]) -> int:
    """Return what some processes have in memory, in bytes.

    Their own pages (those that a fork shares count once), and the files mapped by the one that has mapped the most. The
    sum of PSS would depend on what else on this machine runs the same Python, the sum of RSS count all forks in full.
    """
    own = files = 0
    for process in processes:
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        kibibytes = {name: int(size) for name, size in _ROLLUP.findall(rollup)}
        if kibibytes:  # it has not begun to end
            own += kibibytes["Pss_Anon"] * 1024
            files = max(files, (kibibytes["Rss"] - kibibytes["Anonymous"]) * 1024)
    return own + files
