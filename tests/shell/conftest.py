"""Fixtures of the shell's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openssh import Sshd, start_sshd, stop_sshd


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_sshd(server)
