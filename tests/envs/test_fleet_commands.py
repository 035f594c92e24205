"""`envs`, `rollback`, `verify` and `clean` as users run them, over SSH."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.channel import LabChannel

from .machine import Machine, Project


@pytest.fixture(scope="module")
def hosts(
    shared_embedded_fleet: Any, miniconda: Path, lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Machine]]:
    """Two hosts with two generations of nlp_train each, and an inventory that says where Miniconda is."""
    fleet = shared_embedded_fleet(2)
    project = Project(tmp_path_factory.mktemp("project"), lab_channel)
    machines = []
    for host in fleet.hosts:
        prefix = Path(host.variables["lab_root"]) / "miniconda3"
        machine = Machine(prefix, host.folder.home, {"PATH": os.environ["PATH"], "HOME": str(host.folder.home)})
        subprocess.run(["sh", miniconda, "-b", "-p", prefix], check=True, capture_output=True, env=machine.environment)
        machines.append(machine)
    for version in ("1.0", "2.0"):
        project.lock(f"fleet-tensor={version}", pip=("fleet-metrics",))
        for machine in machines:
            machine.apply(project.task(machine))
    inventory = project.folder / "inventory"
    inventory.mkdir()
    (inventory / "a.yml").write_text(fleet.inventory.read_text())
    (inventory / "b.yml").write_text('all: {vars: {conda_prefix: "{{ lab_root }}/miniconda3"}}\n')
    return inventory, machines


@pytest.fixture
def command(hosts: tuple[Path, list[Machine]], fleetenv_cli: Any) -> Callable[..., Any]:
    return lambda name, *words: fleetenv_cli(name, *words, "-i", hosts[0])


def test_envs_shows_what_there_is(command: Callable[..., Any], hosts: tuple[Path, list[Machine]]) -> None:
    done = command("envs")
    assert (done.status, done.stderr) == (0, "")
    rows = [re.split(r" {2,}", line) for line in done.stdout.splitlines() if "nlp_train" in line]
    machine = hosts[1][0]
    assert rows[0][:4] == ["gpu01", "nlp_train", "2 (+1)", "2 + 1 pip"]
    assert re.search(r"\d+ environments on 2 hosts: ", done.stdout)

    document = json.loads(command("envs", "gpu01", "--json").stdout)
    assert (document["format"], document["version"], list(document["hosts"])) == ("fleetenv.envs", 1, ["gpu01"])
    listed = {each["name"]: each for each in document["hosts"]["gpu01"]["environments"]}
    environment = listed["nlp_train"]
    assert (listed["base"]["managed"], environment["managed"]) == (False, True)
    assert [each["current"] for each in environment["generations"]] == [True, False]
    du = ["du", "-s", "-B1", machine.current().parent]
    on_disk = int(subprocess.run(du, capture_output=True, check=True).stdout.split()[0])
    assert abs(environment["size"] - on_disk) < 10_000  # the folder of the generations itself
    assert 0.9 < environment["shared"] / environment["size"] < 1


def test_a_rollback_is_one_round_trip_and_says_how_to_keep_it(
    command: Callable[..., Any], hosts: tuple[Path, list[Machine]]
) -> None:
    first, second = hosts[1]
    names = [machine.generations() for machine in hosts[1]]
    checked = command("rollback", "nlp_train", "--check")
    assert f"gpu01  {names[0][1]} -> {names[0][0]} (not done: check mode)" in checked.stdout.splitlines()
    done = command("rollback", "nlp_train")
    assert (done.status, done.stderr) == (0, "")
    assert f"gpu02  {names[1][1]} -> {names[1][0]}" in done.stdout.splitlines()
    assert "the next 'apply' goes by envs/nlp_train.lock again" in done.stdout
    code = "import fleet_tensor; print(fleet_tensor.__version__)"
    assert (first.python(code), second.python(code)) == ("1.0", "1.0")

    again = command("rollback", "nlp_train", "gpu01")
    assert again.status == 2
    assert "gpu01  failed: nlp_train has no generation before " in again.stdout
    done = command("rollback", "nlp_train", "-i", hosts[0], "gpu01", "--to", "2")  # as the manual writes it
    assert "nlp_train switched on 1 host of 1" in done.stdout
    done = command("rollback", "nlp_train", "--to", "2")
    assert done.status == 0
    assert (first.python(code), second.python(code)) == ("2.0", "2.0")


def test_verify_tells_a_change_once_for_all_hosts_that_have_it(
    command: Callable[..., Any], hosts: tuple[Path, list[Machine]]
) -> None:
    assert command("verify", "--deep").status == 0
    changed = [next(each.current().glob("lib/python3.*/site-packages/fleet_metrics/__init__.py")) for each in hosts[1]]
    whole = changed[0].read_bytes()
    for path in changed:
        path.write_bytes(whole + b"# \x1b[31mred\n")
    try:
        done = command("verify", "--deep")
        assert done.status == 2
        assert done.stdout.count("fleet_metrics/__init__.py") == 1
        assert "gpu01, gpu02  nlp_train" in done.stdout
        assert re.search(r"2 findings in \d+ files of 2 environments on 2 hosts", done.stdout)
        document = json.loads(command("verify", "gpu01", "--json").stdout)
        (environment,) = document["hosts"]["gpu01"]["environments"]
        assert [each["kind"] for each in environment["findings"]] == ["changed"]
        assert environment["findings"][0]["package"] == "fleet_metrics 0.2 (pip)"
    finally:
        for path in changed:
            path.write_bytes(whole)


def test_clean_says_what_it_would_do_and_does_it(
    command: Callable[..., Any], hosts: tuple[Path, list[Machine]]
) -> None:
    names = [machine.generations() for machine in hosts[1]]
    checked = command("clean", "--keep", "1", "--check")
    assert checked.status == 0
    assert re.search(rf"gpu01 +generation +nlp_train/{names[0][0]} +\d", checked.stdout)
    assert re.search(r"2 things would free .* \(nothing was removed: check mode\)", checked.stdout)
    assert [machine.generations() for machine in hosts[1]] == names
    done = command("clean", "--keep", "1")
    assert re.search(r"2 things freed ", done.stdout)
    assert [machine.generations() for machine in hosts[1]] == [[newest] for _, newest in names]


def test_bad_input_touches_no_host(command: Callable[..., Any]) -> None:
    for words, message in (
        (("rollback", "../x"), "'../x' is not the name of an environment"),
        (("clean", "--keep", "0"), "the current generation always stays"),
        (("envs", "--prefix", "miniconda3"), "--prefix must be where Miniconda is, such as /opt/miniconda3"),
        (("verify", "-e", "conda_prefix=here"), "conda_prefix of gpu01 must be where Miniconda is"),
    ):
        done = command(*words)
        assert done.status == 1
        assert message in done.stderr


def test_hosts_without_miniconda_and_hosts_that_are_away(command: Callable[..., Any], tmp_path: Path) -> None:
    more = tmp_path / "more.ini"
    more.write_text("gone ansible_host=127.0.0.1 ansible_port=1 lab_root=/nowhere\n")
    done = command("envs", "-i", more, "--prefix", "/nowhere/miniconda3")
    assert done.status == 6
    assert "failed: there is no Miniconda in /nowhere/miniconda3: --prefix" in done.stdout
    assert "gone  unreachable: " in done.stdout
