from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel
from fleetenv.lab.installer import build_installer

from .machine import Machine, Project, install


@pytest.fixture(scope="session")
def miniconda(lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Miniconda as the lab's installer leaves it, to be installed for each host: it cannot be moved."""
    return build_installer(lab_channel, tmp_path_factory.mktemp("installer")).path


@pytest.fixture(scope="module")
def shared_machine(miniconda: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """One host for all tests of a file; each test uses environments of its own names or leaves none."""
    return install(miniconda, tmp_path_factory.mktemp("host"))


@pytest.fixture
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """A host with Miniconda and no environments; its package cache may be warm."""
    yield shared_machine
    shutil.rmtree(shared_machine.prefix / "envs", ignore_errors=True)


@pytest.fixture
def project(lab_channel: LabChannel, tmp_path: Path) -> Project:
    return Project(tmp_path, lab_channel)
