"""py-rattler for hosts of another architecture: fetched by the controller, for those that cannot get it themselves."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetenv.conda.builder import fetch_runtime, rattler_version, runtime

OTHER = "aarch64"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    if runtime(OTHER, zstd=False):
        pytest.skip(f"this machine is {OTHER}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    fetch_runtime.cache_clear()
    yield
    fetch_runtime.cache_clear()


@pytest.fixture
def index(tmp_path: Path) -> str:
    """A package index that has py-rattler for the other architecture, as small as can be."""
    name = f"py_rattler-{rattler_version()}-cp310-abi3-manylinux_2_17_{OTHER}.manylinux2014_{OTHER}.whl"
    folder = tmp_path / "simple" / "py-rattler"
    folder.mkdir(parents=True)
    info = f"py_rattler-{rattler_version()}.dist-info"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("rattler/__init__.py", "made = 'for another architecture'\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: py-rattler\nVersion: {rattler_version()}\n")
        wheel.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp310-abi3-manylinux_2_17_{OTHER}\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{name}">{name}</a>')
    return (tmp_path / "simple").as_uri()


def test_it_is_fetched_once_and_packed_as_the_controller_s_own(index: str, tmp_path: Path) -> None:
    assert runtime(OTHER, zstd=False) is None
    assert fetch_runtime(OTHER, index) is None
    packed = runtime(OTHER, zstd=False)
    assert packed is not None
    assert OTHER in packed.name
    with tarfile.open(packed.path) as archive:
        assert archive.getnames() == [
            "rattler/__init__.py",
            f"rattler/__pycache__/__init__.{sys.implementation.cache_tag}.pyc",
        ]
    fetch_runtime.cache_clear()
    assert fetch_runtime(OTHER, "http://127.0.0.1:9/simple") is None  # a later run has it
    assert sorted(path.name for path in (tmp_path / "cache" / "fleetenv").iterdir() if path.is_dir()) == [
        f"py-rattler-{rattler_version()}-{OTHER}"
    ]


def test_an_index_without_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "simple").mkdir()
    why = fetch_runtime(OTHER, (tmp_path / "simple").as_uri())
    assert why is not None
    assert "py-rattler" in why
    assert "\n" not in why
    assert runtime(OTHER, zstd=False) is None
