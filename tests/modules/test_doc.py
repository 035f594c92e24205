"""`fleetenv doc` explains every module, argument by argument."""

from __future__ import annotations

import json

import pytest
import yaml

from fleetenv.modules import registry
from fleetenv.modules.documentation import documentation
from tests.conftest import CommandLine


@pytest.mark.parametrize("name", registry.MODULES)
def test_every_module_and_argument_is_explained(name: str) -> None:
    module = registry.load(name)
    said = documentation(module)
    assert said.summary
    assert said.example or name == "meta"
    assert [each for each in registry.arguments_of(name) if not said.arguments.get(each)] == []


@pytest.mark.parametrize("name", ["miniconda", "condarc", "conda_env", "gpu_driver"])
def test_the_tasks_of_an_example_are_tasks(name: str) -> None:
    module = registry.load(name)
    for task in yaml.safe_load(documentation(module).example):
        module.from_arguments(task[name] if name != "miniconda" else task[name] | {"sha256": "0" * 64})


@pytest.mark.parametrize("name", registry.MODULES)
def test_the_registry_and_the_class_agree(name: str) -> None:
    module = registry.load(name)
    assert registry.free_form(name) == module.free_form
    assert module.name == ("setup" if name == "gather_facts" else name)


def test_a_page_tells_types_defaults_and_an_example(fleetenv_cli: CommandLine) -> None:
    page = fleetenv_cli("doc", "ansible.builtin.user").stdout
    assert page.startswith("USER\n\n    Keep an account on the host.")
    assert "= name, user  (text)\n    The user." in page
    assert "- state  (one of present, absent; default: present)" in page
    assert "    - user: {name: left, state: absent, remove: true}" in page


def test_the_list_the_snippet_and_json(fleetenv_cli: CommandLine) -> None:
    assert "conda_env " in fleetenv_cli("doc").stdout
    assert "    dest:                   # (required) text" in fleetenv_cli("doc", "-s", "copy").stdout
    data = json.loads(fleetenv_cli("doc", "-j", "file").stdout)["file"]["arguments"]
    assert data["state"]["choices"] == ["file", "directory", "link", "hard", "touch", "absent"]
    assert data["path"]["required"] is True


def test_an_unknown_module_is_answered_with_the_nearest(fleetenv_cli: CommandLine) -> None:
    done = fleetenv_cli("doc", "coppy")
    assert (done.status, done.stderr) == (1, "fleetenv: there is no module 'coppy'; did you mean 'copy'?\n")
