"""Damage of every kind, done to live hosts: each found with its code, subject, severity and advice, and no more."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.embedded import EmbeddedHost
from fleetenv.remote import sh
from tests.conftest import CommandLine

from .damages import DAMAGES, ONE, Damage

HOSTS = ("gpu01", "gpu02", "gpu03", "gpu04", "gpu05")
PLAYBOOK = """
- name: GPUs
  hosts: gpus
  gather_facts: false
  tasks:
    - {name: Driver, gpu_driver: {min_version: "525.60.13"}}
- name: Conda
  hosts: conda
  gather_facts: false
  tasks:
    - {name: Miniconda, miniconda: {prefix: "{{ conda_prefix }}", installer: "{{ installer }}", sha256: "{{ sha256 }}"}}
    - {name: Settings of conda, condarc: {path: "{{ conda_prefix }}/.condarc", channel_priority: strict}}
    - name: Environment
      conda_env: {spec: "envs/{{ item }}.yml", prefix: "{{ conda_prefix }}"}
      loop: "{{ ['nlp_train', 'cv_detect'] + more }}"
      tags: [envs]
    - name: Layer
      virtualenv:
        path: "{{ lab_root }}/venvs/plots"
        environment: nlp_train
        prefix: "{{ conda_prefix }}"
        requirements: plots.txt
        pip_index: "{{ index }}"
    - name: Kernel
      jupyter_kernel:
        name: plots
        folder: "{{ lab_root }}/kernels"
        python: "{{ lab_root }}/venvs/plots/bin/python"
- name: Everybody
  hosts: all
  gather_facts: false
  tasks:
    - {name: Reachable, ping: {}}
- name: Files
  hosts: files
  gather_facts: false
  tasks:
    - {name: Greet, copy: {dest: "{{ lab_root }}/motd", content: "welcome\\n"}}
    - name: Folder
      file: {path: "{{ lab_root }}/{{ item }}", state: directory, mode: "0755"}
      loop: [data, scratch]
    - {name: Token, copy: {dest: "{{ lab_root }}/token", content: "s3cret\\n", mode: "0600"}, no_log: true}
"""
GROUPS = """
all:
  vars:
    conda_prefix: "{{ lab_root }}/miniconda3"
    more: []
    drift_ignore:
      - {code: extra-environment, subject: "ana_*", reason: until the paper is out, until: 2099-12-31}
      - {code: leftover, subject: "*lock.held", reason: once, until: 2020-01-31}
  children:
    conda: {hosts: {gpu01: {more: [legacy]}}}
    gpus: {hosts: {"gpu[01:04]": {}}}
    files: {hosts: {"gpu[02:04]": {}}}
"""
GONE = "all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 1, lab_root: /nowhere}}}\n"
SPEC = "name: {name}\nchannels: [{channel}]\ndependencies: [python, {packages}]\n"
SPECS = {"nlp_train": "fleet-text =1.0", "cv_detect": "fleet-tensor =1.0", "legacy": "pip, fleet-tensor =1.0"}


class Site:
    """A project whose playbook its hosts were brought to."""

    def __init__(self, folder: Path, hosts: dict[str, EmbeddedHost], variables: dict[str, str]) -> None:
        (folder / "home").mkdir()
        self.hosts = hosts
        self.folder = folder
        self._cli = CommandLine(folder / "home")
        self._variables = variables

    def run(self, command: str, *more: str, **variables: Any) -> tuple[int, str]:
        given = json.dumps({**self._variables, **variables})
        inventories = ("-i", "lab/inventory.yml", "-i", "groups.yml")
        done = self._cli(command, "site.yml", *inventories, "-e", given, *more, cwd=self.folder)
        assert not done.stderr, done.stderr
        return done.status, done.stdout

    def drift(self, *more: str) -> tuple[int, dict[str, Any]]:
        status, text = self.run("drift", "--format", "json", *more, more=[])
        return status, json.loads(text)

    def places(self, host: str) -> dict[str, str]:
        root = f"{self.folder}/lab/hosts/{host}"
        legacy = next(iter(Path(root).glob("miniconda3/envs/.fleetenv/legacy/0001-*")), "")
        return {"root": root, "prefix": f"{root}/miniconda3", "legacy": str(legacy), "index": self._variables["index"]}

    def hurt(self, damage: Damage) -> None:
        if damage.gpus:
            self.hosts[damage.host].set_gpus(damage.gpus)
        if damage.script:
            known = "\n".join(f"{name}={sh(value)}" for name, value in self.places(damage.host).items())
            done = self.hosts[damage.host].run(f"set -e\n{known}\n{damage.script}")
            assert done.status == 0, done.error_text


@pytest.fixture(scope="module")
def site(shared_embedded_fleet, lab_channel, lab_installer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    fleet = shared_embedded_fleet(HOSTS, folder=folder / "lab", gpus=ONE)
    (folder / "site.yml").write_text(PLAYBOOK)
    (folder / "groups.yml").write_text(GROUPS)
    (folder / "files").mkdir()
    (folder / "files/plots.txt").write_text("fleet-plots\n")
    (folder / "envs").mkdir()
    (folder / "envs/fleetenv.toml").write_text("[lint]\nnames = '[a-z_]+'\n")
    for name, packages in SPECS.items():
        (folder / f"envs/{name}.yml").write_text(SPEC.format(name=name, channel=lab_channel.url, packages=packages))
    variables = {
        "installer": str(lab_installer.path), "sha256": lab_installer.sha256, "index": lab_channel.simple,
    }  # fmt: skip
    made = Site(folder, {host.name: host for host in fleet.hosts}, variables)
    locked = made._cli("lock", *(f"envs/{name}.yml" for name in SPECS), cwd=folder)
    assert locked.status == 0, locked.stderr
    status, told = made.run("apply")
    assert status == 0, told
    return made


@pytest.fixture(scope="module")
def undamaged(site):
    return site.drift()


@pytest.fixture(scope="module")
def damaged(site, undamaged):
    """All damage at once: findings tell it apart by host and subject."""
    for damage in DAMAGES:
        site.hurt(damage)
    (site.folder / "gone.yml").write_text(GONE)
    yield site.drift("-i", "gone.yml", "--since", "last")
    for path in ("{prefix}/pkgs", "{prefix}"):
        subprocess.run(["umount", path.format(**site.places("gpu04"))], check=True)


def identities(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["host"], each["code"], each["subject"]) for each in document["findings"] if each["against"] != "time"}


def test_hosts_as_applied_have_no_finding_but_a_note_that_is_true(undamaged):
    status, document = undamaged
    assert status == 0
    assert identities(document) == {
        ("gpu01", "waiver-expired", "leftover *lock.held"),  # of any host, since it hides nothing
        ("gpu01", "other-environment", "legacy"),
    }


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.title)
def test_damage_is_found(site, damaged, damage):
    places = site.places(damage.host)
    subject = damage.subject.format(**places)
    found = [
        each
        for each in damaged[1]["findings"]
        if (each["host"], each["code"], each["subject"]) == (damage.host, damage.code, subject)
    ]
    assert len(found) == 1, sorted(identities(damaged[1]))
    (finding,) = found
    assert finding["severity"] == damage.severity
    assert damage.text in finding["text"]
    assert damage.advice.format(**places) in finding["advice"]
    assert (finding["waiver"] is not None) is damage.waived


def test_nothing_else_is_found_and_nothing_on_the_host_that_was_spared(site, damaged):
    status, document = damaged
    expected = {(each.host, each.code, each.subject.format(**site.places(each.host))) for each in DAMAGES}
    extra = [each for each in document["findings"] if (each["host"], each["code"], each["subject"]) not in expected]
    assert [each for each in extra if each["against"] != "time"] == [], extra
    assert identities(document) == expected
    assert not [each for each in document["findings"] if each["host"] == "gpu02"]
    assert status == 4  # one host is gone, one cannot be believed


def test_every_kind_of_damage_is_its_own():
    assert len(DAMAGES) >= 25
    assert len({(each.host, each.code, each.subject) for each in DAMAGES}) == len(DAMAGES)


def test_every_command_that_mends_something_is_one_that_fleetenv_knows(damaged):
    advice = {each["advice"] for each in damaged[1]["findings"] if each["against"] != "time"}
    commands = {command for each in advice for command in re.findall(r"fleetenv [a-z]+ .*?(?=$|;|, or )", each)}
    assert {shlex.split(each)[1] for each in commands} >= {"apply", "adopt", "clean", "verify", "envs", "ping"}
    for command in commands:
        name, *words = shlex.split(command)[1:]
        parser = argparse.ArgumentParser(exit_on_error=False)
        import_module(f"fleetenv.cli.{name}").add_arguments(parser)
        assert parser.parse_args(words).inventory == ["lab/inventory.yml", "groups.yml", "gone.yml"]


def test_secrets_of_the_playbook_are_nowhere_in_the_report(damaged):
    assert "s3cret" not in json.dumps(damaged[1])
    assert "stolen" not in json.dumps(damaged[1])


def test_a_change_whose_time_was_set_back_is_seen_by_who_reads_every_file(site, damaged):
    (file,) = Path(site.places("gpu01")["prefix"]).glob("envs/ana_paper/lib/python3*/abc.py")
    times = file.stat()
    file.write_bytes(file.read_bytes().replace(b"A", b"B", 1))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    _, document = site.drift("-l", "gpu01", "--only", "care", "--deep")
    (changed,) = (each for each in document["findings"] if each["subject"] == "ana_paper" and "changed" in each["code"])
    assert "/abc.py (python 3." in changed["text"]
    assert ("gpu01", "files-changed", "ana_paper") not in identities(damaged[1])


def test_what_changed_since_the_last_look_is_told_with_its_date(damaged):
    changed = {each["subject"]: each for each in damaged[1]["findings"] if each["against"] == "time"}
    assert "gpus: driver" in changed
    assert "environments: old_env" in changed
    assert all(each["first_seen"] for each in changed.values())
