"""Multiplies on the one GPU that this process may see, and tells whether the product is right, and how fast it came.

Runs in a process of its own, started by the environment's Python (3.7 or newer), so that nothing that a framework or a
GPU does harms more than this one trial.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING

from .cuda_driver import Driver
from .frameworks import FRAMEWORKS, CpuBuild

if TYPE_CHECKING:
    from collections.abc import Callable

    from .frameworks import Trial

_BUSY = re.compile("out of memory|OutOfMemory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|busy or unavailable|DEVICE_UNAVAILABLE")
_LONGEST = 600  # characters of what is told


def main(framework: str, size: int, repeats: int, seconds: int, device: str = "gpu") -> None:
    """Try one framework, write what came of it to standard output as JSON, and end this process.

    Args:
        framework: The name that is imported; `driver`: no framework.
        size: Rows and columns of the matrices.
        repeats: How often the time is taken.
        seconds: After these this process ends by itself, should nobody else end it.
        device: `gpu`; `cpu` is for tests of this program.
    """
    signal.alarm(seconds)
    answer = os.dup(1)
    os.dup2(2, 1)  # what frameworks print is not the answer
    told = {"framework": framework, **_tried(framework, size, repeats, device)}
    os.write(answer, json.dumps(told).encode("ascii"))
    os._exit(0)  # a framework's own end may hang


def _tried(framework: str, size: int, repeats: int, device: str) -> dict[str, str | float]:
    trial = None
    try:
        trial = FRAMEWORKS.get(framework, Driver)()
        trial.prepare(size, device)
        told = _measured(trial, size, repeats)
    except CpuBuild as error:
        told = {"state": "cpu-build", "text": str(error)}
    except Exception as error:  # whatever a framework raises is what the user wants to know
        text = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
        told = {"state": "busy" if _BUSY.search(text) else "failed", "text": text}
    if trial is not None:
        told["version"], told["device"] = trial.version[:_LONGEST], trial.device[:_LONGEST]
    return told


def _measured(trial: Trial, size: int, repeats: int) -> dict[str, str | float]:
    trial.multiply()  # compiles, and fills caches
    right = trial.is_right()
    times = sorted(_timed(trial.multiply) for _ in range(repeats))
    if not right or not trial.is_right():
        return {"state": "failed", "text": "the product is wrong: the CPU has another one"}
    median = times[len(times) // 2]
    return {"state": "ok", "seconds": median, "gflops": 2.0 * size**3 / median / 1e9}


def _timed(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
