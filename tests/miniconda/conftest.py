from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel, build_channel
from fleetenv.lab.installer import Installer, build_installer, installer_for_tests


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> LabChannel:
    return build_channel(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def installers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("installers")


@pytest.fixture(scope="session")
def lab(channel: LabChannel, installers: Path) -> Installer:
    """The lab's installer, whatever FLEETENV_TEST_MINICONDA says."""
    return build_installer(channel, installers)


@pytest.fixture(scope="session")
def installer(channel: LabChannel, installers: Path) -> Installer:
    return installer_for_tests(channel, installers)
