"""The stand-in for conda that the peers of the main job's benchmark work with: it says that it is one, and works."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.conda import packages
from fleetenv.lab.channel import LabChannel


@pytest.fixture(scope="module")
def miniconda(lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    installer = packages.standin_installer(lab_channel, folder)
    subprocess.run(["sh", installer.path, "-b", "-p", folder / "miniconda3"], check=True, capture_output=True)
    return folder / "miniconda3"


def conda(miniconda: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(miniconda.parent)}
    return subprocess.run([miniconda / "bin/conda", *words], capture_output=True, text=True, env=environment)


def write_spec(folder: Path, channel: LabChannel, *dependencies: str) -> str:
    path = folder / "spec.yml"
    path.write_text(json.dumps({"name": "nlp", "channels": [channel.url], "dependencies": ["python", *dependencies]}))
    return str(path)


def names(miniconda: Path) -> set[str]:
    return {each["name"] for each in json.loads(conda(miniconda, "list", "--json", "-n", "nlp").stdout)}


def test_it_says_what_it_is(miniconda: Path) -> None:
    assert "simulated" in conda(miniconda, "env", "create", "--help").stdout


def test_an_environment_is_created_compiled_changed_and_pruned(
    miniconda: Path, lab_channel: LabChannel, tmp_path: Path
) -> None:
    spec = write_spec(tmp_path, lab_channel, "fleet-text =1.0")
    created = conda(miniconda, "env", "create", "--quiet", "--file", spec)
    assert created.returncode == 0, created.stderr
    assert names(miniconda) == {"python", "fleet-text", "fleet-tensor"}
    environment = miniconda / "envs/nlp"
    assert list(environment.glob("lib/python3*/site-packages/fleet_text/__pycache__/*.pyc"))
    subprocess.run([environment / "bin/python", "-c", "import fleet_text"], check=True)

    again = conda(miniconda, "env", "create", "--quiet", "--file", spec)
    assert again.returncode == 1
    assert "prefix already exists" in again.stderr

    spec = write_spec(tmp_path, lab_channel, "fleet-libc")
    assert conda(miniconda, "env", "update", "--quiet", "--file", spec).returncode == 0
    assert names(miniconda) == {"python", "fleet-text", "fleet-tensor", "fleet-libc"}
    assert conda(miniconda, "env", "update", "--quiet", "--prune", "--file", spec).returncode == 0
    assert names(miniconda) == {"python", "fleet-libc"}
