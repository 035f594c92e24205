"""A simulated CUDA driver: libcuda.c beside this file as a shared object, and a prefix whose Pythons load it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetenv.remote import sh


def simulated_driver(folder: Path) -> Path:
    """Compile the simulated driver into a folder; the test is skipped where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make the simulated CUDA driver with")
    source = Path(__file__).with_name("libcuda.c")
    subprocess.run([compiler, "-O3", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source], check=True)
    return folder


def simulated_prefix(prefix: Path, driver: Path, faults: Mapping[str, str], *names: str) -> Path:
    """Make a Miniconda prefix with environments that hold this Python only, and see the simulated driver.

    Args:
        prefix: The folder.
        driver: Where the simulated driver is.
        faults: What is wrong with GPUs, by UUID: see libcuda.c.
        names: The environments.
    """
    lines = "\n".join(f"{uuid} {fault}" for uuid, fault in faults.items())
    python = sh("env", f"LD_LIBRARY_PATH={driver}", f"SIMULATED_CUDA_FAULTS={lines}", sys.executable)
    return prefix_with(prefix, base=python, **dict.fromkeys(names, python))


def prefix_with(prefix: Path, **pythons: str) -> Path:
    """Make a Miniconda prefix of nothing but Pythons: for base and each environment the command that is one."""
    for name, command in pythons.items():
        root = prefix if name == "base" else prefix / "envs" / name
        (root / "bin").mkdir(parents=True)
        (root / "conda-meta").mkdir()
        python = root / "bin/python"
        python.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        python.chmod(0o755)
    return prefix
