"""Packages, users and groups of real hosts with OpenSSH; a login without root, and sudo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.namespaces import Account, NamespaceFleet, NamespaceHost
from tests.conftest import CommandLine, NamespaceFactory

pytestmark = [pytest.mark.root, pytest.mark.sshd]

HASH = "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g."


@pytest.fixture(scope="module")
def fleet(shared_namespace_fleet: NamespaceFactory) -> NamespaceFleet:
    return shared_namespace_fleet(["gpu01"], account=Account("ops", "secret", "nopasswd"))


@pytest.fixture
def host(fleet: NamespaceFleet) -> NamespaceHost:
    return fleet["gpu01"]


@pytest.fixture
def apply(fleet: NamespaceFleet, fleetenv_cli: CommandLine) -> Any:
    def run(tasks: str, *words: str) -> list[dict[str, Any]]:
        lines = ["- hosts: all", "  gather_facts: false", "  become: true", "  tasks:"]
        lines += [f"    {line}" for line in tasks.strip().splitlines()]
        (fleetenv_cli.home / "site.yml").write_text("\n".join(lines) + "\n")
        report = fleetenv_cli.home / "report.json"
        done = fleetenv_cli("apply", "site.yml", "-i", fleet.inventory, "--json", report, *words)
        assert report.exists(), done.stderr
        found: list[dict[str, Any]] = json.loads(report.read_text())["hosts"]["gpu01"]["tasks"]
        return found

    return run


def statuses(tasks: list[dict[str, Any]]) -> list[str]:
    return [each["status"] for each in tasks]


def _package(host: NamespaceHost, name: str, version: str) -> None:
    """Build a package, and put it into the host's own repository."""
    host.must_run(
        f"""set -e
        mkdir -p /repo/build/DEBIAN && cd /repo
        printf 'Package: {name}\\nVersion: {version}\\nArchitecture: all\\nMaintainer: lab <lab@example.org>\\n\
Description: a package of the test\\n' > build/DEBIAN/control
        dpkg-deb --build build {name}_{version}_all.deb > /dev/null
        for f in *.deb; do
          dpkg-deb --field "$f"
          echo "Filename: ./$f"; echo "Size: $(stat -c %s "$f")"; echo "SHA256: $(sha256sum "$f" | cut -d' ' -f1)"; echo
        done > Packages
        mkdir -p /etc/apt/sources.list.d && rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
        echo 'deb [trusted=yes] file:/repo ./' > /etc/apt/sources.list.d/lab.list
        touch -d '2 days ago' /var/lib/apt/lists; rm -f /var/lib/apt/periodic/update-success-stamp"""
    )


def test_packages_are_installed_upgraded_and_removed(apply: Any, host: NamespaceHost) -> None:
    _package(host, "fleetenv-one", "1.0")
    _package(host, "fleetenv-two", "1.0")
    install = "- apt: {name: [fleetenv-one, fleetenv-two, bash], update_cache: true}"
    assert statuses(apply(install, "-C")) == ["changed"]
    assert host.run("dpkg -s fleetenv-one").status != 0
    (task,) = apply(install)
    assert (task["status"], [each["key"] for each in task["diff"]][:2]) == (
        "changed",
        ["packages.fleetenv-one", "packages.fleetenv-two"],
    ), task
    assert statuses(apply(install)) == ["ok"]

    _package(host, "fleetenv-one", "1.1")
    assert statuses(apply(install)) == ["ok"]
    latest = "- package: {name: fleetenv-one, state: latest, update_cache: true}"
    assert statuses(apply(latest)) == ["changed"]
    assert host.must_run("dpkg-query -W -f '${Version}' fleetenv-one") == "1.1"
    assert statuses(apply(latest)) == ["ok"]

    pinned = "- apt: {name: fleetenv-one=1.0, allow_downgrade: true}"
    assert statuses(apply(pinned)) == ["changed"]
    assert statuses(apply(pinned)) == ["ok"]
    absent = "- package: {name: [fleetenv-one, fleetenv-two, no-such-package], state: absent}"
    assert statuses(apply(absent)) == ["changed"]
    assert statuses(apply(absent)) == ["ok"]


def test_a_package_that_nobody_has_fails_with_apt_s_own_words(apply: Any, host: NamespaceHost) -> None:
    _package(host, "fleetenv-one", "1.0")
    (task,) = apply("- package: {name: no-such-package}")
    assert task["status"] == "failed"
    assert "Unable to locate package no-such-package" in task["msg"]


USERS = f"""
- group: {{name: research, gid: 3000}}
- group: {{name: gpu}}
- user:
    name: ana
    uid: 2001
    group: research
    groups: [gpu]
    shell: /bin/bash
    comment: Ana Roe
    password: "{HASH}"
"""


def test_users_and_groups_come_change_and_go(apply: Any, host: NamespaceHost) -> None:
    assert statuses(apply(USERS, "-C"))[:2] == ["changed", "changed"]
    assert statuses(apply(USERS)) == ["changed"] * 3
    assert statuses(apply(USERS)) == ["ok"] * 3
    assert host.must_run("getent passwd ana") == "ana:x:2001:3000:Ana Roe:/home/ana:/bin/bash\n"
    assert host.must_run("id -nG ana") == "research gpu\n"
    assert host.must_run("getent shadow ana").split(":")[1] == HASH
    assert host.path("/home/ana").is_dir()

    host.must_run("usermod -aG nogroup ana; usermod -s /bin/sh ana")
    (task,) = apply("- user: {name: ana, groups: [research, gpu], append: true, shell: /bin/bash}")
    assert [each["key"] for each in task["diff"]] == ["shell"]
    (task,) = apply("- user: {name: ana, groups: gpu}")
    assert [(each["key"], each["wanted"], each["found"]) for each in task["diff"]] == [
        ("groups", ["gpu"], ["gpu", "nogroup"])
    ]
    assert statuses(apply("- user: {name: ana, password_lock: true}")) == ["changed"]
    assert host.must_run("getent shadow ana").split(":")[1] == f"!{HASH}"

    gone = "- user: {name: ana, state: absent, remove: true}\n- group: {name: research, state: absent}"
    assert statuses(apply(gone)) == ["changed", "changed"]
    assert statuses(apply(gone)) == ["ok", "ok"]
    assert not host.path("/home/ana").exists()


def test_a_password_is_in_no_report(apply: Any, fleetenv_cli: CommandLine) -> None:
    apply("- user: {name: bob, password: '%s'}" % HASH, "-D", "-v")  # noqa: UP031
    assert HASH not in (fleetenv_cli.home / "report.json").read_text()


def test_without_root_a_closed_folder_is_not_an_absent_file(apply: Any) -> None:
    closed, opened = apply(
        """
- file: {path: /root/x, state: absent}
  become: false
  ignore_errors: true
- copy: {content: mine, dest: ~/mine, mode: "0600"}
  become: false
"""
    )
    assert closed["msg"] == "no permission to look at /root/x: does the task need 'become: true'?"
    assert opened["status"] == "changed"


def test_home_is_that_of_whoever_the_task_becomes(apply: Any, host: NamespaceHost, tmp_path: Path) -> None:
    task = "- copy: {content: theirs, dest: ~/x/y}\n"
    assert statuses(apply("- file: {path: ~/x, state: directory}\n" + task)) == ["changed", "changed"]
    assert host.path("/root/x/y").read_text() == "theirs"
    assert statuses(apply(task)) == ["ok"]
