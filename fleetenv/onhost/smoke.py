"""Tries each GPU of this host with what an environment holds: a process a GPU and framework, each with a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .report import Failure

FRAMEWORKS = ("torch", "tensorflow", "jax", "cupy")
"""What environments are looked through for, by the names that are imported."""

FRAMEWORK_SIZE = 4096
"""Rows and columns for a framework: 137 GFLOP a product, a few ms to a few 100 ms, and 200 MB on the GPU."""

DRIVER_SIZE = 512
"""Rows and columns for the driver alone: the check is plain Python."""

AT_ONCE = 16
"""Processes that run side by side."""

GRACE = 5.0
"""Seconds that a process has to end after it was killed."""

_ISOLATED = ("-I", "-B", "-c")  # without the user's own packages; nothing compiled is written into the environment
_REPEATS = 5
_KEPT = 1 << 16  # bytes of what a process writes
_LONGEST = 600  # characters of a message

_LOADER = """\
import json, sys, types
asked = json.load(sys.stdin)
for name, source in asked["modules"].items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    module.__package__ = name if not source else name.rpartition(".")[0]
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules["fleetenv.onhost.multiply"].main(**asked["arguments"])
"""

_HELD = """\
import importlib.util, json, sys
found = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
print(json.dumps([name for name, spec in found.items() if spec and spec.origin]))  # a mere folder has no origin
"""


@dataclass(frozen=True)
class Trial:
    """What came of one framework on one GPU."""

    framework: str  # torch, tensorflow, jax, cupy; driver: without any
    state: str  # ok, failed, busy (no memory left, or in use by one process alone), cpu-build, hung
    text: str = ""  # why it is not ok
    version: str = ""
    device: str = ""
    seconds: float = 0.0  # of one product, the median
    gflops: float = 0.0


@dataclass(frozen=True)
class Tried:
    """What came of one GPU, or of a part of one."""

    device: str
    trials: list[Trial]


@dataclass(frozen=True)
class Smoke:
    """What came of all that was to be tried on this host."""

    generation: str  # empty: fleetenv has not built this environment
    frameworks: list[str]
    tried: list[Tried] = field(default_factory=list)


def answer(
    prefix: str,
    name: str,
    devices: Sequence[str],
    program: Mapping[str, str],
    seconds: int,
    size: int = FRAMEWORK_SIZE,
    kind: str = "gpu",
) -> Smoke:
    """Try GPUs with an environment.

    Args:
        prefix: The Miniconda prefix.
        name: The environment; `base` is Miniconda's own.
        devices: What to try: UUIDs of GPUs or of parts of them, or indexes, as CUDA_VISIBLE_DEVICES takes them.
        program: The modules that each process runs, by name: their sources, in the order in which they are made.
        seconds: How long each process may take.
        size: Rows and columns of the matrices that frameworks multiply.
        kind: `gpu`; `cpu` is for tests of this program.

    Raises:
        Failure: there is no such environment.
    """
    root = Path(prefix) if name == "base" else Path(prefix, "envs", name)
    if not (root / "conda-meta").is_dir():
        raise Failure(f"there is no environment '{name}' in {prefix}")
    root = root.resolve()  # whatever it is switched to meanwhile
    host = _Host(root, program, seconds, size, kind)
    held = host.held()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = list(pool.map(lambda each: Tried(each, host.tried(each, held)), devices))
    return Smoke(root.name if root.parent.parent.name == ".fleetenv" else "", held, tried)


class _Host:
    """An environment of this host, and how its GPUs are tried."""

    def __init__(self, root: Path, program: Mapping[str, str], seconds: int, size: int, kind: str) -> None:
        self.python = str(root / "bin/python") if (root / "bin/python").exists() else sys.executable
        self.environment = {
            **os.environ,
            **_variables(root),
            "PATH": f"{root / 'bin'}:{os.environ.get('PATH', '')}",
            "CONDA_PREFIX": str(root),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_CACHE_DISABLE": "1",  # what is compiled for the test is not kept in anyone's home
            "CUPY_CACHE_IN_MEMORY": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # TensorFlow and JAX would take nearly all memory
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        self.program = program
        self.seconds = seconds
        self.size = size
        self.kind = kind

    def held(self) -> list[str]:
        """Return the frameworks that the environment holds."""
        process = _Process([self.python, *_ISOLATED, _HELD, *FRAMEWORKS], self.environment, b"", self.seconds)
        with suppress(ValueError):
            said = json.loads(process.output)
            return [name for name in FRAMEWORKS if isinstance(said, list) and name in said]
        raise Failure(f"the environment's Python does not work: {process.last_words}")

    def tried(self, device: str, held: Sequence[str]) -> list[Trial]:
        """Try each framework until the device hangs; the driver alone where none is made for GPUs."""
        trials: list[Trial] = []
        for framework in held:
            trials.append(self._trial(device, framework, self.size))
            if trials[-1].state == "hung":
                break
        if all(trial.state == "cpu-build" for trial in trials):
            trials.append(self._trial(device, "driver", DRIVER_SIZE))
        return trials

    def _trial(self, device: str, framework: str, size: int) -> Trial:
        arguments = {
            "framework": framework, "size": size, "repeats": _REPEATS, "device": self.kind,
            "seconds": self.seconds + 1,
        }  # fmt: skip
        asked = json.dumps({"modules": self.program, "arguments": arguments}).encode("ascii")
        environment = {**self.environment, "CUDA_VISIBLE_DEVICES": device}
        process = _Process([self.python, *_ISOLATED, _LOADER], environment, asked, self.seconds)
        if process.late:
            return Trial(framework, "hung", process.last_words)
        try:
            told = json.loads(process.output)
            return Trial(**{**told, "framework": framework})
        except (TypeError, ValueError):
            return Trial(framework, "failed", process.last_words)


class _Process:
    """A process that was run to its end, or given up. What it wrote is bounded."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], given: bytes, seconds: float) -> None:
        self.late = False  # it did not end in time
        self.output = b""
        self._seconds = seconds
        self._status: int | None = None  # None: it did not even end when it was killed
        self._errors = b""
        process = subprocess.Popen(
            command, env=dict(environment), cwd="/", start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        threads = [
            threading.Thread(target=_write, args=(process.stdin, given), daemon=True),
            threading.Thread(target=self._read_output, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(process.stderr,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            self._status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.late = True
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # a process that waits for hardware cannot be killed
                self._status = process.wait(GRACE)
        for thread in threads[1:]:
            thread.join(GRACE)

    @property
    def last_words(self) -> str:
        """Return how it ended, with the last line that it wrote to standard error, in so many words."""
        if self.late:
            killed = ", nor when it was killed" if self._status is None else ""
            return f"it did not end within {self._seconds:g} s{killed}"
        lines = [line.strip() for line in self._errors.decode("utf-8", "replace").splitlines() if line.strip()]
        how = f"exit status {self._status}"
        if self._status is not None and self._status < 0:
            how = f"ended by signal {-self._status} ({signal.strsignal(-self._status)})"
        return f"{how}: {lines[-1]}"[:_LONGEST] if lines else how

    def _read_output(self, pipe: IO[bytes]) -> None:
        while more := pipe.read1(_KEPT):  # type: ignore[attr-defined]  # a pipe of subprocess is a BufferedReader
            self.output = (self.output + more)[:_KEPT]

    def _read_errors(self, pipe: IO[bytes]) -> None:
        while more := pipe.read1(_KEPT):  # type: ignore[attr-defined]  # as above
            self._errors = (self._errors + more)[-_KEPT:]


def _write(pipe: IO[bytes], given: bytes) -> None:
    with suppress(BrokenPipeError), pipe:
        pipe.write(given)


def _variables(root: Path) -> dict[str, str]:
    """Return the variables that activation would set: those of the spec, which `conda env config vars` shows."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        said = json.loads((root / "conda-meta/state").read_text(encoding="utf-8"))["env_vars"]
        return {str(name): str(value) for name, value in said.items()}
    return {}
