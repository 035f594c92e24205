"""`fleetenv inventory` prints what `ansible-inventory` prints: both are run, on inventories of many kinds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from fleetenv.cli import main

from .examples import EXAMPLES, write_files

ANSIBLE_INVENTORY = Path(__file__).with_name("ansible_inventory.py")

Print = Callable[..., str]


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Print]:
    """Run ansible-inventory, untouched by the settings of whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    (home / "ansible.cfg").write_text("")
    own = {"HOME": home, "ANSIBLE_HOME": home, "ANSIBLE_CONFIG": home / "ansible.cfg", "LC_ALL": "C.UTF-8"}
    environment = kept | {name: str(value) for name, value in own.items()}

    started: dict[tuple[tuple[str, str], ...], subprocess.Popen[str]] = {}  # one for each environment

    def run(*arguments: str, **more: str) -> str:
        key = tuple(more.items())
        if key not in started:
            command = [sys.executable, "-P", str(ANSIBLE_INVENTORY)]
            pipe = subprocess.PIPE
            started[key] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment | more)
        process = started[key]
        assert process.stdin
        assert process.stdout
        output, errors = home / "output", home / "errors"
        process.stdin.write(json.dumps([arguments, str(Path.cwd()), str(output), str(errors)]) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "0\n", errors.read_text()
        return output.read_text()

    yield run
    for process in started.values():
        process.communicate()


@pytest.fixture
def fleetenv(capsys: pytest.CaptureFixture[str]) -> Print:
    def run(*arguments: str) -> str:
        assert main(["inventory", *arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in: the one that one is in counts as the playbook's, for both programs."""
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    return tmp_path


@pytest.mark.parametrize("name", EXAMPLES)
def test_agrees_with_ansible_inventory(name: str, folder: Path, ansible: Print, fleetenv: Print) -> None:
    example = EXAMPLES[name]
    sources = example.write(folder)
    if "by accident" in name:
        (folder / "hosts").chmod(0o755)
    for action in (["--list"], ["--list", "--export"], ["--graph", "--vars"], ["--host", example.host]):
        assert fleetenv(*sources, *action) == ansible(*sources, *action), action


def test_yaml_says_the_same(folder: Path, ansible: Print, fleetenv: Print) -> None:
    sources = EXAMPLES["YAML with everything"].write(folder)
    for action in (["--list"], ["--list", "--export"], ["--host", "gpu02"]):
        ours, theirs = (yaml.safe_load(run(*sources, *action, "-y")) for run in (fleetenv, ansible))
        assert ours == theirs


def test_plain_yaml_is_the_same_text(folder: Path, ansible: Print, fleetenv: Print) -> None:
    sources = EXAMPLES["several sources, later ones override"].write(folder)
    assert fleetenv(*sources, "--list", "-y") == ansible(*sources, "--list", "-y")


@pytest.mark.parametrize("limit", ["gpu", "a100:!gpu02", "gpu0*[1:2]", "~rtx|login", "ungrouped,&login"])
def test_limit_narrows_the_list(limit: str, folder: Path, ansible: Print, fleetenv: Print) -> None:
    sources = EXAMPLES["INI with groups, children, vars and ranges"].write(folder)
    assert fleetenv(*sources, "--list", "-l", limit) == ansible(*sources, "--list", "-l", limit)


def test_graph_of_one_group(folder: Path, ansible: Print, fleetenv: Print) -> None:
    sources = EXAMPLES["INI with groups, children, vars and ranges"].write(folder)
    assert fleetenv(*sources, "--graph", "gpu") == ansible(*sources, "--graph", "gpu")


PLAYBOOK = {
    "book/group_vars/all.yml": "who: playbook all\nall_only: 1\n",
    "book/group_vars/gpu.yml": "level: playbook gpu\n",
    "book/host_vars/gpu01.yml": "who: playbook host\n",
}


@pytest.mark.parametrize("action", [["--list"], ["--list", "--export"], ["--graph", "--vars"], ["--host", "gpu01"]])
def test_variables_beside_the_playbook(action: list[str], folder: Path, ansible: Print, fleetenv: Print) -> None:
    sources = EXAMPLES["group_vars and host_vars beside a file"].write(folder)
    write_files(folder, PLAYBOOK)
    named = [*sources, *action, "--playbook-dir", str(folder / "book")]
    assert fleetenv(*named) == ansible(*named)
    os.chdir(folder / "book")
    assert fleetenv(*sources, *action) == ansible(*sources, *action)


def test_implicit_localhost_has_what_all_have(folder: Path, ansible: Print, fleetenv: Print) -> None:
    sources = EXAMPLES["YAML with everything"].write(folder)
    ours, theirs = (json.loads(run(*sources, "--host", "localhost")) for run in (fleetenv, ansible))
    for variables in (ours, theirs):
        assert variables.pop("ansible_python_interpreter").startswith(str(Path(sys.executable).parent))
    assert ours == theirs


def test_comma_lists_may_have_ranges_as_with_advanced_host_list(folder: Path, ansible: Print, fleetenv: Print) -> None:
    arguments = ["-igpu[01:03],rtx-[a:b]:2200,gpu01", "--list"]
    assert fleetenv(*arguments) == ansible(*arguments, ANSIBLE_INVENTORY_ENABLED="advanced_host_list")


def test_what_is_listed_is_an_inventory_again(folder: Path, fleetenv: Print) -> None:
    sources = EXAMPLES["a program with _meta"].write(folder)
    for file, form in (("again.sh", []), ("again.yml", ["-y"])):
        listed = fleetenv(*sources, "--list", *form)
        again = listed if form else f"#!/bin/sh\ncat <<'END'\n{listed}END\n"
        (folder / "copy").mkdir(exist_ok=True)
        (folder / "copy" / file).write_text(again)
        (folder / "copy" / file).chmod(0o644 if form else 0o755)
        if not form:
            assert fleetenv("-i", str(folder / "copy" / file), "--list") == listed


def test_runs_as_a_program(folder: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "fleetenv", "inventory", "-i", "gpu01,", "--graph"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)}, check=True
    )
    assert done.stdout == "@all:\n  |--@ungrouped:\n  |  |--gpu01\n"
