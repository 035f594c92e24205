"""The example project that users copy is whole, and `fleetenv init` writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import CommandLine

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


@pytest.fixture
def project(fleetenv_cli: CommandLine) -> Path:
    folder = fleetenv_cli.home / "lab"
    done = fleetenv_cli("init", folder)
    assert done.status == 0, done.stderr
    assert "fleetenv apply playbooks/site.yml -i inventories/lab" in done.stdout
    return folder


def test_the_written_project_can_be_applied(fleetenv_cli: CommandLine, project: Path) -> None:
    done = fleetenv_cli("apply", "playbooks/site.yml", "-i", "inventories/lab", "--list-tasks", cwd=project)
    assert (done.status, done.stderr) == (0, "")
    for role in ROLES:
        assert f"{role} : " in done.stdout


def test_its_hosts_have_all_that_their_groups_say(fleetenv_cli: CommandLine, project: Path) -> None:
    done = fleetenv_cli("inventory", "-i", "inventories/lab", "--host", "gpu04", cwd=project)
    found = json.loads(done.stdout)
    assert (found["gpu_model"], found["gpu_count"], found["conda_envs"]) == ("A100", 4, ["nlp_train", "cv_detect"])


def test_init_leaves_alone_what_is_there(fleetenv_cli: CommandLine, project: Path) -> None:
    (project / "playbooks" / "site.yml").write_text("# mine\n")
    done = fleetenv_cli("init", project)
    assert (project / "playbooks" / "site.yml").read_text() == "# mine\n"
    assert f"kept  {project}/playbooks/site.yml, which was there" in done.stdout


@pytest.mark.parametrize("role", ROLES)
def test_a_role_explains_every_variable_that_it_has_a_default_for(role: str) -> None:
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    readme = (ROOT / "roles" / role / "README.md").read_text()
    assert [name for name in defaults if f"`{name}`" not in readme] == []


def test_every_environment_of_the_inventory_has_a_spec(fleetenv_cli: CommandLine, project: Path) -> None:
    done = fleetenv_cli("inventory", "-i", "inventories/lab", "--list", cwd=project)
    hosts = json.loads(done.stdout)["_meta"]["hostvars"]
    wanted = {name for variables in hosts.values() for name in variables["conda_envs"]}
    assert wanted <= {path.stem for path in (project / "envs").glob("*.yml")}
