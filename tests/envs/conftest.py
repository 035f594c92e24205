from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel
from fleetenv.lab.installer import Installer

from .machine import Machine, Project, install


@pytest.fixture(scope="session")
def miniconda(standin_installer: Installer) -> Path:
    """A Miniconda as the lab's installer leaves it, to be installed for each host: it cannot be moved."""
    return standin_installer.path


@pytest.fixture(scope="session")
def installed(miniconda: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, Path]:
    """A host with Miniconda, and a copy of the folder in which it is, to be put back into its place."""
    place = tmp_path_factory.mktemp("host")
    machine = install(miniconda, place / "now")
    subprocess.run(["cp", "-a", place / "now", place / "before"], check=True)
    return machine, place


@pytest.fixture(scope="module")
def shared_machine(installed: tuple[Machine, Path]) -> Machine:
    """One host, fresh for each file's tests; each test uses environments of its own names or leaves none."""
    machine, place = installed
    subprocess.run(["rm", "-rf", place / "now"], check=True)
    subprocess.run(["cp", "-a", place / "before", place / "now"], check=True)
    return replace(machine, said=[], notes=[])


@pytest.fixture
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """A host with Miniconda and no environments; its package cache may be warm."""
    yield shared_machine
    shutil.rmtree(shared_machine.prefix / "envs", ignore_errors=True)


@pytest.fixture
def project(lab_channel: LabChannel, tmp_path: Path) -> Project:
    return Project(tmp_path, lab_channel)
