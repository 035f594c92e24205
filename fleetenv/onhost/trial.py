"""The commands with which a spec tries its environment before it becomes current."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .report import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .request import Request

_LINES = 3  # of what a failing command said last
_MOST = 2000  # characters of those

# What `conda activate` does: packages' scripts are run, then the command.
_ACTIVE = """\
for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do if [ -f "$script" ]; then . "$script"; fi; done
"""


def run(request: Request, generation: Path) -> None:
    """Run a request's commands with a generation active, in an empty folder, one after the other.

    Each may take `verify_timeout`. All that it started ends with it.

    Raises:
        Failure: one fails, or takes too long; with its last lines.
    """
    progress = Progress(1)
    shell = shutil.which("bash") or "/bin/sh"  # packages' scripts are written for bash
    environment = {
        **os.environ,
        **(request.variables or {}),
        "CONDA_PREFIX": str(generation),
        "CONDA_DEFAULT_ENV": request.name,
        "CONDA_SHLVL": "1",
        "PATH": f"{generation / 'bin'}:{os.environ.get('PATH', os.defpath)}",
    }
    for command in request.verify:
        progress.doing(f"verify: {command}")
        with tempfile.TemporaryDirectory(prefix="fleetenv-verify-") as folder, tempfile.TemporaryFile() as output:
            process = None
            try:
                with _undisturbed():
                    process = subprocess.Popen(
                        [shell, "-c", _ACTIVE + command], cwd=folder, env=environment, start_new_session=True,
                        stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    )  # fmt: skip
                status = process.wait(request.verify_timeout)
                fault = f"ended with exit status {status}" if status >= 0 else f"was ended by signal {-status}"
            except subprocess.TimeoutExpired:
                status, fault = 1, f"took longer than {request.verify_timeout:g} s"
            finally:
                if process:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)  # also what it left running
                    process.wait()
            if status:
                said = _last_lines(output.fileno())
                raise Failure(f"verify: '{command}' {fault}{f': {said}' if said else ''}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the signal that ends this process wait until what is being started is known, to be ended with it."""
    came: list[int] = []
    handler = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        if came:
            signal.raise_signal(signal.SIGTERM)


def _last_lines(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, _MOST * 4, max(size - _MOST * 4, 0)).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LINES:])[-_MOST:]
