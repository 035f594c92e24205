from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel


@pytest.fixture(scope="session")
def channel(lab_channel: LabChannel) -> LabChannel:
    return lab_channel


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pkgs")
