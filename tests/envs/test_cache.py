"""What the controller keeps in its cache, and when it does not go by that."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from fleetenv.conda.cache import file_sha256


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of what is noted of files: an empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/fleetenv/files-1"


def test_a_file_s_hash_is_noted_under_what_tells_that_it_has_changed(notes: Path) -> None:
    installed = Path(os.__file__)
    digest = hashlib.sha256(installed.read_bytes()).hexdigest()
    assert file_sha256(installed) == digest
    (note,) = notes.iterdir()
    assert digest in note.read_text()
    note.write_text('{"sha256": "noted"}')
    assert file_sha256(installed) == "noted"
    note.write_text("{}")
    assert file_sha256(installed) == digest


def test_a_file_changed_a_moment_ago_is_read_however_alike_its_times_are(notes: Path, tmp_path: Path) -> None:
    path = tmp_path / "installer.sh"
    for data in (b"one", b"two"):
        path.write_bytes(data)
        os.utime(path, (1, 1))
        assert file_sha256(path) == hashlib.sha256(data).hexdigest()
    assert not notes.exists()
