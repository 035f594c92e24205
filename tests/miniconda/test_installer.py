"""The lab's installer behaves as the real one where fleetenv relies on it, and says what it is where it does not."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import rattler

from fleetenv.lab.channel import LabChannel
from fleetenv.lab.installer import Installer, build_installer


def run(tmp_path: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment, check=False)


def conda(tmp_path: Path, prefix: Path, *words: str) -> str:
    done = run(tmp_path, prefix / "bin" / "conda", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def prefix(installer: Installer, tmp_path: Path) -> Path:
    prefix = tmp_path / "miniconda3"
    done = run(tmp_path, "sh", installer.path, "-b", "-p", prefix)
    assert done.returncode == 0, done.stderr
    return prefix


def test_an_installation_works_at_its_prefix(prefix: Path, installer: Installer, tmp_path: Path) -> None:
    assert conda(tmp_path, prefix, "--version") == f"conda {installer.conda_version}"
    assert run(tmp_path, prefix / "bin/python", "-c", "import sys; print(sys.prefix)").stdout.strip() == str(prefix)
    assert str(prefix) in run(tmp_path, prefix / "bin/pip", "--version").stdout
    assert (prefix / "conda-meta/history").is_file()


def test_records_are_conda_s_and_their_hashes_are_right(lab: Installer, tmp_path: Path) -> None:
    prefix = tmp_path / "miniconda3"
    assert run(tmp_path, "sh", lab.path, "-b", "-p", prefix).returncode == 0
    names = set()
    for path in (prefix / "conda-meta").glob("*.json"):
        record = rattler.PrefixRecord.from_path(path)
        names.add(record.name.normalized)
        for entry in json.loads(path.read_text())["paths_data"]["paths"]:
            if wanted := entry.get("sha256_in_prefix"):
                assert hashlib.sha256((prefix / entry["_path"]).read_bytes()).hexdigest() == wanted, entry
    assert names >= {"python", "pip", "conda"}


def test_an_existing_prefix_is_refused_without_u(prefix: Path, installer: Installer, tmp_path: Path) -> None:
    done = run(tmp_path, "sh", installer.path, "-b", "-p", prefix)
    assert done.returncode == 1
    assert "use the -u option" in done.stderr
    assert run(tmp_path, "sh", installer.path, "-b", "-u", "-p", prefix).returncode == 0


def test_a_prefix_with_spaces_is_refused(installer: Installer, tmp_path: Path) -> None:
    done = run(tmp_path, "sh", installer.path, "-b", "-p", tmp_path / "mini conda")
    assert done.returncode == 1
    assert "Cannot install into directories with spaces" in done.stderr
    assert not (tmp_path / "mini conda").exists()


def test_h_shows_the_flags(installer: Installer, tmp_path: Path) -> None:
    done = run(tmp_path, "sh", installer.path, "-h")
    assert done.returncode == 2
    assert all(f"\n{flag} " in done.stdout for flag in ("-b", "-f", "-p", "-u"))


def test_another_version_replaces_the_records_of_the_old_one(
    channel: LabChannel, lab: Installer, installers: Path, tmp_path: Path
) -> None:
    newer = build_installer(channel, installers, "24.11.0")
    prefix = tmp_path / "miniconda3"
    for each in (lab, newer):
        assert run(tmp_path, "sh", each.path, "-b", "-u", "-p", prefix).returncode == 0
    assert conda(tmp_path, prefix, "--version") == "conda 24.11.0"
    assert [path.name for path in (prefix / "conda-meta").glob("conda-*.json")] == [
        "conda-24.11.0-fleetenvstandin_0.json"
    ]


def test_the_stand_in_for_conda_says_that_it_is_one(lab: Installer, tmp_path: Path) -> None:
    prefix = tmp_path / "miniconda3"
    assert run(tmp_path, "sh", lab.path, "-b", "-p", prefix).returncode == 0
    assert "fleetenv's stand-in for conda (simulated" in conda(tmp_path, prefix, "info")
    refused = run(tmp_path, prefix / "bin/conda", "install", "numpy")
    assert refused.returncode == 2
    assert "invalid choice: 'install'" in refused.stderr


async def test_conda_lists_and_runs_environments(lab: Installer, channel: LabChannel, tmp_path: Path) -> None:
    prefix, env = tmp_path / "miniconda3", tmp_path / "miniconda3/envs/nlp"
    assert run(tmp_path, "sh", lab.path, "-b", "-p", prefix).returncode == 0
    records = await rattler.solve([channel.url], ["python", "fleet-tensor"], gateway=rattler.Gateway())
    await rattler.install(records, env, cache_dir=tmp_path / "pkgs", show_progress=False)
    (env / "conda-meta/history").touch()
    assert json.loads(conda(tmp_path, prefix, "env", "list", "--json"))["envs"] == [str(prefix), str(env)]
    listed = {
        each["name"]: each["version"] for each in json.loads(conda(tmp_path, prefix, "list", "-n", "nlp", "--json"))
    }
    assert listed["fleet-tensor"] == "2.0"
    assert conda(tmp_path, prefix, "run", "-n", "nlp", "python", "-c", "import sys; print(sys.prefix)") == str(env)


def test_the_same_version_gives_the_same_bytes(channel: LabChannel, lab: Installer, tmp_path: Path) -> None:
    assert build_installer(channel, tmp_path, lab.conda_version).sha256 == lab.sha256
    assert Installer.read(lab.path) == lab
