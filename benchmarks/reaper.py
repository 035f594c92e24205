"""Run one command; write its wall time and the CPU time of all that it started, daemons too, as JSON to a file.

usage: python reaper.py REPORT OUTPUT SECONDS COMMAND...

It is a process of its own that adopts what outlives the command (ssh's ControlPersist masters, say), ends that after
the clock has stopped, and waits for it, so that the kernel adds its times up.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_PATIENCE = 3.0  # seconds that a daemon has to end by itself


def main() -> None:
    """Run it."""
    report, output, seconds, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    with Path(output).open("wb") as file:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        timer = threading.Timer(float(seconds), process.kill)  # waiting with a timeout looks every 50 ms only
        timer.start()
        status = process.wait()
        wall = time.perf_counter() - begun
        timer.cancel()
    _end_daemons()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(report).write_text(json.dumps({"status": status, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime}))


def _end_daemons() -> None:
    """Ask the children that are left to end, and theirs, which become ours; kill those that do not."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    deadline = time.monotonic() + _PATIENCE
    asked: set[int] = set()
    while children := _children():
        left = deadline - time.monotonic()
        for child in children if left < 0 else children - asked:
            os.kill(child, signal.SIGKILL if left < 0 else signal.SIGTERM)
        asked |= children
        signal.sigtimedwait({signal.SIGCHLD}, max(left, 0.1))
        _reap()


def _children() -> set[int]:
    _reap()
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
