"""What the main job installs: the lab's channel with real packages beside its own, and a Miniconda-shaped installer."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

from benchmarks import peers
from benchmarks.conda.distributions import packed
from fleetenv.lab.channel import LabChannel, build_channel
from fleetenv.lab.installer import DEFAULT_VERSION, Installer, build_installer, standin
from fleetenv.lab.package import File

FOLDER = peers.FOLDER.parent / "main-job"
SCIENCE = (
    *("numpy", "matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "packaging", "pillow", "pyparsing"),
    *("python-dateutil", "six"),
)
"""Taken from the peers' environment, which has matplotlib for the plot."""


def channel() -> LabChannel:
    """Build the lab's channel with numpy, matplotlib and what they need."""
    built = build_channel(FOLDER / "channel")
    if not list(built.path.glob("*/matplotlib-*")):
        built.add(*packed(SCIENCE, _site_packages(peers.FOLDER), built.subdir))
    return built


def installer(channel: LabChannel) -> Installer:
    """Return the installer that FLEETENV_TEST_MINICONDA names, else one with a stand-in for conda that can install."""
    real = os.environ.get("FLEETENV_TEST_MINICONDA")
    return Installer.read(Path(real).resolve()) if real else standin_installer(channel, FOLDER / "installer")


def standin_installer(channel: LabChannel, folder: Path) -> Installer:
    """Build the installer with the stand-in for conda that can install."""
    looking = standin()
    program = File(Path(__file__).with_name("standin.py").read_bytes())
    conda = replace(
        looking,
        files={**looking.files, "site-packages/benchmark_conda.py": program},
        entry_points=("conda = benchmark_conda:main",),
        summary="A stand-in for conda (simulated: py-rattler solves and installs)",
    )
    here = Path(str(distribution("py-rattler").locate_file("")))
    # zstandard: Miniconda has it, too
    needs = packed(("py-rattler", "pyyaml", "zstandard"), here, channel.subdir)
    return build_installer(channel, folder, DEFAULT_VERSION, (conda, *needs))


def _site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python3*/site-packages")
    return found
