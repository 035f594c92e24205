"""Reading and changing ELF files."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.conda import elf

PYTHON = Path(os.path.realpath(sys.executable)).read_bytes()


def test_a_program_says_what_it_needs() -> None:
    assert any(name.startswith("libc.so") for name in elf.read_dynamic(PYTHON).needed)


def test_a_program_without_its_sections_runs_and_is_smaller(tmp_path: Path) -> None:
    true = Path(os.path.realpath("/bin/true")).read_bytes()
    stripped = elf.without_sections(true)
    assert len(stripped) < len(true)
    (tmp_path / "true").write_bytes(stripped)
    (tmp_path / "true").chmod(0o755)
    assert subprocess.run([tmp_path / "true"], check=False).returncode == 0


def test_a_longer_library_path_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        elf.with_runpath(PYTHON, "x" * 1000)


@given(st.integers(0, 4096), st.binary(max_size=64), st.integers(0, 4096))
def test_a_damaged_file_is_refused_or_read(length: int, patch: bytes, at: int) -> None:
    damaged = bytearray(PYTHON[: length + 64])
    damaged[at : at + len(patch)] = patch
    with contextlib.suppress(ValueError):
        elf.read_dynamic(bytes(damaged))
