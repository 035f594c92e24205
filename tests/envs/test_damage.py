"""Whatever is changed by hand in an environment shows as a difference, and the next apply mends it."""

from __future__ import annotations

import pytest

from fleetenv.lab.channel import LabChannel
from fleetenv.modules.conda_env import LockedEnv

from .machine import Machine, Project


@pytest.fixture(scope="module")
def task(shared_machine: Machine, lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> LockedEnv:
    """One environment for all tests here: each damages it, and sees it mended."""
    project = Project(tmp_path_factory.mktemp("project"), lab_channel)
    project.lock("fleet-text", "pip", pip=("fleet-plots",))
    task = project.task(shared_machine)
    shared_machine.apply(task)
    return task


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        ("rm -r {site}/fleet_text-1.0.dist-info", "files.lib/python{v}/site-packages"),
        ("echo 'x = 1' >> {site}/fleet_text/__init__.py", "files.lib/python{v}/site-packages/fleet_text/__init__.py"),
        ("rm {site}/fleet_text/__init__.py", "files.lib/python{v}/site-packages/fleet_text"),
        ("echo > {site}/new.py", "files.lib/python{v}/site-packages/new.py"),
        ("rm {env}/conda-meta/fleet-text-*.json", "packages.fleet-text"),
        ('sed -i \'s/"sha256": "./"sha256": "x/\' {env}/conda-meta/fleet-text-*.json', "packages.fleet-text"),
        ("cp {env}/conda-meta/fleet-text-1.0-pyh_0.json {env}/conda-meta/evil-1-0.json", "packages.evil"),
        ("{env}/bin/python -m pip install -q --no-index {wheel}", "pip.fleet-tensor"),
        ("{env}/bin/python -m pip uninstall -qy fleet-plots", "pip.fleet-plots"),
        ("rm {env}/conda-meta/fleetenv", "managed"),
        ("rm {env}/conda-meta/frozen", "frozen"),
        ('echo \'{{"env_vars": {{"A": "2"}}}}\' > {env}/conda-meta/state', "variables.A"),
        ("rm {env}", "present"),
    ],
)
def test_damage_by_hand_is_seen_and_mended(
    shared_machine: Machine, lab_channel: LabChannel, task: LockedEnv, damage: str, key: str
) -> None:
    machine = shared_machine
    assert not machine.diff(task)
    site = next(machine.current().glob("lib/python3.*/site-packages"))
    names = {
        "env": machine.prefix / "envs" / "nlp_train",
        "site": site,
        "v": site.parent.name.removeprefix("python"),
        "wheel": next(lab_channel.simple_path.glob("fleet-tensor/*.whl")),
    }
    done = machine.sh(damage.format(**names))
    assert done.status == 0, done.error_text

    diff = machine.diff(task)

    assert key.format(**names) in {each.key.rstrip("/") for each in diff.differences}
    machine.apply(task)
    assert machine.python("import fleet_text, fleet_plots, fleet_tensor; print(fleet_tensor.__version__)") == "2.0"
