from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel, build_channel


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> LabChannel:
    return build_channel(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pkgs")
