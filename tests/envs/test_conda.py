"""To the real conda these are ordinary environments. Runs when FLEETENV_TEST_MINICONDA names an installer."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from fleetenv.conda.adoption import Wishes, adopt
from fleetenv.conda.export import locked_for, render
from fleetenv.conda.handmade import look
from fleetenv.conda.lock import fresh_lock
from fleetenv.conda.spec import read_spec
from fleetenv.lab.channel import LabChannel
from fleetenv.lab.installer import Installer

from .machine import Machine, Project, install

pytestmark = pytest.mark.skipif(
    not os.environ.get("FLEETENV_TEST_MINICONDA"), reason="FLEETENV_TEST_MINICONDA names no real installer"
)
FROZEN_SINCE = (25, 5)  # conda's changelog, 'Add support for frozen environment markers (CEP 22)'


@pytest.fixture(scope="module")
def real(lab_installer: Installer, lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = install(lab_installer.path, tmp_path_factory.mktemp("real"))
    if list((machine.prefix / "conda-meta").glob("conda-*-fleetenvstandin_0.json")):
        pytest.skip("FLEETENV_TEST_MINICONDA names the lab's installer: its conda is a stand-in")
    # Nothing is asked of the default channels, whose terms of service nobody here has accepted.
    (machine.home / ".condarc").write_text(f"channels: [{lab_channel.url}]\n")
    return machine


@pytest.fixture
def environment(real: Machine, project: Project) -> Path:
    project.lock("fleet-text", "pip", pip=("fleet-plots",), FLEET_MODE="train")
    real.apply(project.task(real))
    return real.prefix / "envs" / "nlp_train"


def conda(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(machine.prefix / "bin" / "conda"), *words]
    return subprocess.run(command, capture_output=True, text=True, env=machine.environment, cwd=machine.home)


def test_conda_lists_exports_and_runs_it(real: Machine, environment: Path) -> None:
    assert str(environment) in json.loads(conda(real, "env", "list", "--json").stdout)["envs"]
    listed = {
        each["name"]: each["version"] for each in json.loads(conda(real, "list", "-n", "nlp_train", "--json").stdout)
    }
    assert listed["fleet-text"] == "1.0"
    assert listed["fleet-plots"] == "1.0"
    assert "fleet-text=1.0=pyh_0" in conda(real, "env", "export", "-n", "nlp_train").stdout
    code = "import fleet_text, os, sys; print(os.environ['FLEET_MODE'], sys.prefix)"
    done = conda(real, "run", "-n", "nlp_train", "python", "-c", code)
    assert done.stdout.split() == ["train", str(environment.resolve())], done.stderr


def test_it_can_be_activated(real: Machine, environment: Path) -> None:
    script = (
        f'eval "$({real.prefix}/bin/conda shell.posix hook)"; conda activate nlp_train; python -c "import fleet_text"'
    )
    done = real.sh(f"{script}; readlink -f $CONDA_PREFIX; echo $FLEET_MODE")
    assert done.text.split() == [str(environment.resolve()), "train"], done.error_text


def test_conda_refuses_to_change_it(real: Machine, environment: Path, lab_installer: Installer) -> None:
    if tuple(int(part) for part in lab_installer.conda_version.split(".")[:2]) < FROZEN_SINCE:
        pytest.skip(f"conda {lab_installer.conda_version} knows no frozen environments")
    done = conda(real, "remove", "-n", "nlp_train", "-y", "fleet-text")
    assert done.returncode != 0
    assert "fleetenv keeps this environment as nlp_train.yml says" in done.stdout + done.stderr


@pytest.mark.parametrize("to", ["explicit", "explicit-md5", "environment.yml"])
def test_it_builds_what_export_writes(to: str, real: Machine, project: Project) -> None:
    path = project.lock("fleet-text", "pip")
    spec = read_spec(path)
    exported = project.folder / ("list.yml" if to == "environment.yml" else "list.txt")
    exported.write_text(render(to, locked_for(spec, fresh_lock(spec), None)))
    name = re.sub(r"\W", "_", to)
    words = ("env", "create", "-q") if to == "environment.yml" else ("create", "-y", "-q")
    done = conda(real, *words, "-n", name, "--file", str(exported))
    assert done.returncode == 0, done.stdout + done.stderr
    listed = json.loads(conda(real, "list", "-n", name, "--json").stdout)
    assert {(each["name"], each["version"], each["build_string"]) for each in listed} == {
        (each.name, each.version, each.build) for each in next(iter(fresh_lock(spec).platforms.values())).conda
    }


def test_what_it_made_is_adopted(real: Machine, project: Project) -> None:
    made = conda(real, "create", "-y", "-q", "-n", "by_conda", "python", "fleet-text=0.9")
    assert made.returncode == 0, made.stdout + made.stderr
    folder = real.prefix / "envs" / "by_conda"
    probe = look(str(folder))
    target = project.folder / "by_conda.yml"
    done = adopt(probe.parse(real.sh(probe.script)), "by_conda", "gpu07", target, Wishes(requested_only=True))
    assert (done.fresh, done.warnings) == (True, ())
    assert [each.name for each in read_spec(target).conda] == ["fleet-text", "python"]
    (locked,) = fresh_lock(read_spec(target)).platforms.values()
    records = [json.loads(path.read_text()) for path in folder.glob("conda-meta/*.json")]
    assert {(each.name, each.build, each.sha256) for each in locked.conda} == {
        (each["name"], each["build"], each["sha256"]) for each in records
    }
