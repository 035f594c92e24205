"""Mistakes in inventories: each is told with its place, and what would be right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleetenv import inventory
from fleetenv.cli import main
from fleetenv.errors import InputError

from .examples import write_files

MISTAKES = {
    # name: (file, its text, how the message goes on after the file)
    "a section of unknown kind": ("hosts", "[gpu:vers]\na=1\n", ":1:6: .*not \\[gpu:vers\\]; did you mean 'vars'\\?"),
    "a section with a space": ("hosts", "x\n[gpu rack]\n", ":2:1: '\\[gpu rack\\]' is not a section"),
    "a variable without a value": ("hosts", "gpu01 rack=1 spare part\n", ":1:14: .*not 'spare'; quote a value"),
    "an open quote": ("hosts", "gpu01\ngpu02 note='it is\n", ":2:7: a quote or backslash is not closed"),
    "a host's open range": ("hosts", "[gpu]\n gpu[01:16\n", ":2:2: the range in 'gpu\\[01:16' has no closing"),
    "a host's missing port": ("hosts.ini", "gpu01:\n", ":1:1: the port is missing after 'gpu01:'"),
    "vars without '='": ("hosts", "[all:vars]\nuser ops\n", ":2:1: a \\[all:vars\\] section holds key=value"),
    "vars of no group": ("hosts", "[gpu]\n[gpus:vars]\na=1\n", ":2:2: .*not there; did you mean 'gpu'\\?"),
    "a child that is no group": ("hosts", "[gpu:children]\na10\n[a100]\n", ":2:1: .*'a10', which is not there; did"),
    "two names on a children line": ("hosts", "[gpu:children]\na b\n", ":2:1: .*holds names of groups, but not 'a b'"),
    "groups in a circle": ("hosts", "[a:children]\nb\n[b:children]\na\n", ":4:1: the group 'a' would contain itself"),
    "a priority that is a word": ("hosts", "[a]\n[a:vars]\nansible_group_priority=high\n", ":3:24: .*whole number"),
    "a YAML section misspelt": ("hosts.yml", "gpu:\n  host:\n    a:\n", ":2:3: .*not 'host'; did you mean 'hosts'\\?"),
    "a group where a section should be": ("hosts.yml", "all:\n  rack7:\n", ":2:3: .*goes below 'children:' of 'all'"),
    "a YAML list of hosts": ("hosts.yml", "gpu:\n  hosts:\n    - a\n", ":3:5: .*must be a mapping; each name is a key"),
    "YAML vars as text": ("hosts.yml", "gpu: {vars: x}\n", ":1:13: 'vars' of the group 'gpu' must be a mapping$"),
    "host variables as text": ("hosts.yml", "gpu: {hosts: {a: x}}\n", ":1:18: the variables of the host 'a' must be"),
    "a group as text": ("hosts.yml", "gpu: a\n", ":1:6: the group 'gpu' must be a mapping"),
    "a YAML range": ("hosts.yml", "gpu: {hosts: {'a[1:]': }}\n", ":1:15: a range is \\[first:last\\]"),
    "YAML groups in a circle": (
        "hosts.yml",
        "a: {children: {b: {children: {a: }}}}\n",
        ":1:16: the group 'b' would contain itself",
    ),
    "YAML that does not parse": ("hosts.yml", "gpu:\n  hosts: [\n", ":3:1: not valid YAML"),
    "YAML that is a list": ("hosts.yml", "- gpu01\n", ":1:1: a YAML inventory must be a mapping of groups"),
    "an inventory plugin": (
        "aws.yml",
        "plugin: amazon.aws.aws_ec2\n",
        ":1:1: the inventory plugin 'amazon.aws.aws_ec2'",
    ),
    "TOML": ("hosts.toml", "[gpu.hosts]\n", ":1:1: TOML inventories are not supported; use YAML or INI"),
    "INI that begins like YAML": ("hosts.ini", "---\ngpu01\n", ":1:1: '---' begins a YAML file.*; name the file"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    file, text, message = MISTAKES[name]
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / file))}{message}"):
        inventory.load([str(tmp_path / file)])


VARIABLE_FILES = {
    "a list": ("- a\n", ":1:1: a file of variables must be a mapping"),
    "no YAML": ("a: [\n", ":2:1: not valid YAML"),
    "encrypted": ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", ":1:1: a file encrypted by ansible-vault is not supported yet"),
}


@pytest.mark.parametrize("name", VARIABLE_FILES)
def test_mistake_in_a_file_of_variables(name: str, tmp_path: Path) -> None:
    text, message = VARIABLE_FILES[name]
    write_files(tmp_path, {"hosts": "gpu01\n", "group_vars/all.yml": text})
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path))}/group_vars/all.yml{message}"):
        inventory.load([str(tmp_path / "hosts")]).variables("gpu01")


PROGRAMS = {
    "fails": ("#!/bin/sh\necho no token >&2; exit 3\n", "--list' failed with exit status 3: no token$"),
    "prints no JSON": ("#!/bin/sh\necho '{'\n", "--list':2:1: what it printed is not JSON"),
    "prints a list": ("#!/bin/sh\necho '[]'\n", "--list':1:1: what it printed is not a JSON object"),
    "has hosts that are no list": (
        """#!/bin/sh\necho '{"gpu": {"hosts": "a"}}'\n""",
        "'hosts' of the group 'gpu' must be a list of",
    ),
    "has variables that are no object": (
        """#!/bin/sh\necho '{"gpu": ["a"], "_meta": {"hostvars": {"a": 1}}}'\n""",
        "variables of the host 'a' must be an object",
    ),
    "has an interpreter that is not there": ("#!/no/such/thing\n", "cannot run the inventory program .*No such file"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_that(name: str, tmp_path: Path) -> None:
    text, message = PROGRAMS[name]
    write_files(tmp_path, {"inventory": text})
    with pytest.raises(InputError, match=message):
        inventory.load([str(tmp_path / "inventory")])


def test_source_that_is_not_there() -> None:
    with pytest.raises(InputError, match="there is no inventory gpu01; a list of hosts has a comma in it: -i gpu01,"):
        inventory.load(["gpu01"])


def test_folder_without_an_inventory(tmp_path: Path) -> None:
    write_files(tmp_path, {"group_vars/all.yml": "a: 1\n", "README.md": ""})
    with pytest.raises(InputError, match="holds no inventory file"):
        inventory.load([str(tmp_path)])


def test_host_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"the inventory has no host 'gpu1'; did you mean 'gpu01'\?"):
        inventory.load(["gpu01,"]).variables("gpu1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "gpu1"], "the inventory has no host 'gpu1'; did you mean 'gpu01'?"),
        (["--host", "all"], "--host takes the name of one host, but 'all' is 2 hosts"),
        (["--graph", "gpu"], "the inventory has no group 'gpu'"),
        (["--list", "-l", "gpu1"], "the limit names 'gpu1', which is neither a host nor a group of the inventory"),
        (["--list", "--playbook-dir", "/nowhere"], "--playbook-dir: there is no folder /nowhere"),
    ],
)
def test_command_says_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["inventory", "-i", "gpu01,gpu02", *arguments]) == 1
    assert message in capsys.readouterr().err
