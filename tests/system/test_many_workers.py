"""`--workers N`: the same run, whoever holds the connections; and nothing else changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.embedded import EmbeddedFleet
from tests.conftest import CommandLine

PLAYBOOK = """\
- name: First
  hosts: all
  tasks:
    - {name: who, command: hostname, register: who, changed_when: false}
    - name: chosen once
      command: echo chosen
      register: once
      run_once: true
      changed_when: false
    - name: on another host
      shell: echo {{ inventory_hostname }} >>~/visitors; hostname
      delegate_to: gpu07
      register: visited
    - {name: a fact, set_fact: {told: "{{ who.stdout }} {{ once.stdout }} {{ visited.stdout }}"}}
    - name: folders
      file: {path: "~/app/{{ item }}", state: directory, mode: "0750"}
      loop: [conf, data, "{{ inventory_hostname }}"]
      notify: tell
    - {name: a large file, copy: {src: large, dest: ~/app/large}}
    - name: on the controller
      command: echo here
      delegate_to: localhost
      vars: {ansible_connection: local}
      changed_when: false
    - block:
        - {name: fails on one, command: "test {{ inventory_hostname }} != gpu02"}
      rescue:
        - {name: rescued, debug: {msg: "{{ ansible_failed_task.name }}"}}
    - {name: fails and is ignored, command: "false", ignore_errors: true, when: inventory_hostname == 'gpu03'}
    - {name: too long, command: sleep 60, timeout: 1, ignore_errors: true, when: inventory_hostname == 'gpu03'}
    - {name: undefined, debug: {msg: "{{ who.nothing }}"}, when: inventory_hostname == 'gpu04'}
  handlers:
    - {name: tell, command: echo handled}
- name: Second, in batches
  hosts: all
  serial: 4
  gather_facts: false
  tasks:
    - name: of another host
      debug: {msg: "{{ hostvars[groups.all[0]].who.stdout }}, {{ hostvars[groups.all[0]].once.stdout }}"}
    - {name: who again, command: "echo {{ told }}"}
- name: Third
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - {name: fails for all, command: "test {{ inventory_hostname }} != gpu05"}
    - {name: never, command: "true"}
"""


@pytest.fixture
def fleet(embedded_fleet) -> EmbeddedFleet:
    return embedded_fleet(7)


def stable(report: dict[str, Any], folder: Path) -> str:
    """The report as text, without what depends on time: how long it took, and which host came first to `run_once`."""
    for host in report["hosts"].values():
        once = [task for task in host["tasks"] if task["task"] == "chosen once"]
        host["tasks"] = [{**task, "seconds": 0} for task in host["tasks"] if task not in once]
        host["ok"] -= len(once)
        del host["round_trips"]
    hosts = report["hosts"]
    text = json.dumps({"hosts": hosts, "interrupted": report["interrupted"]}, indent=1, sort_keys=True)
    return text.replace(str(folder), "LAB")


def test_results_are_identical(embedded_fleet, fleetenv_cli: CommandLine):
    (fleetenv_cli.home / "site.yml").write_text(PLAYBOOK)
    (fleetenv_cli.home / "files").mkdir()
    (fleetenv_cli.home / "files/large").write_bytes(os.urandom(1 << 21))
    told = []
    for workers in ("1", "3"):
        fleet = embedded_fleet(7)
        (fleetenv_cli.home / "down.yml").write_text(
            "all: {hosts: {down: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n"
        )
        words = ("apply", "site.yml", "-i", fleet.inventory, "-i", "down.yml", "--diff", "--workers", workers)
        for _ in range(2):
            done = fleetenv_cli(*words, "--json", "report.json")
            assert done.stderr == ""
            report = json.loads((fleetenv_cli.home / "report.json").read_text())
            told.append((done.status, stable(report, fleet.folder)))
        assert sorted(fleet["gpu07"].path("~/visitors").read_text().split()) == sorted(
            [host.name for host in fleet.hosts] * 2
        )
    assert told[0][0] == 6
    assert told[:2] == told[2:]


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


SLEEP = "- hosts: all\n  gather_facts: false\n  tasks: [{name: wait, shell: 'touch ~/begun; sleep 6789.5'}]\n"


def begun(fleet: EmbeddedFleet) -> bool:
    return all(host.path("~/begun").exists() for host in fleet.hosts)


def still_running() -> bool:
    return subprocess.run(["pgrep", "-f", r"sleep 6789\.5"], stdout=subprocess.PIPE).returncode == 0


def test_a_worker_that_is_killed_loses_only_its_hosts(fleet, fleetenv_cli: CommandLine, eventually):
    playbook = SLEEP.replace("sleep 6789.5", "until test -e {{ lab_root }}/../../go; do sleep 0.05; done")
    (fleetenv_cli.home / "site.yml").write_text(playbook)
    words = ("apply", "site.yml", "-i", fleet.inventory, "--workers", "3", "--json", "report.json")
    run = fleetenv_cli.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    eventually(lambda: begun(fleet))
    os.kill(children(run)[1], signal.SIGKILL)
    (fleet.folder / "go").touch()
    stdout, stderr = run.communicate(timeout=30)
    assert (run.returncode, stderr) == (4, ""), stdout
    hosts = json.loads((fleetenv_cli.home / "report.json").read_text())["hosts"]
    assert {name for name, each in hosts.items() if each["unreachable"]} == {"gpu02", "gpu05"}
    assert {name for name, each in hosts.items() if each["changed"]} == {"gpu01", "gpu03", "gpu04", "gpu06", "gpu07"}
    assert stdout.count("the worker process that held it has ended") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_leaves_nothing_on_hosts(fleet, fleetenv_cli: CommandLine, eventually, number):
    (fleetenv_cli.home / "site.yml").write_text(SLEEP)
    words = ("apply", "site.yml", "-i", fleet.inventory, "--workers", "3")
    run = fleetenv_cli.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    eventually(lambda: begun(fleet))
    workers = children(run)
    assert len(workers) == 3
    os.killpg(run.pid, number)  # as a terminal does, or a service manager: every process gets it
    stdout, stderr = run.communicate(timeout=30)
    assert (run.returncode, stderr) == (130, ""), stdout
    assert "interrupted" in stdout
    assert not still_running()
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_killed_controller_leaves_no_worker(fleet, fleetenv_cli: CommandLine, eventually):
    (fleetenv_cli.home / "site.yml").write_text(SLEEP)
    run = fleetenv_cli.start("apply", "site.yml", "-i", fleet.inventory, "--workers", "2", stdout=subprocess.DEVNULL)
    eventually(lambda: begun(fleet))
    workers = children(run)
    run.kill()
    run.wait()
    eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    eventually(lambda: not still_running())  # the embedded hosts end what a client ran that went away


@pytest.mark.parametrize("command", ["ping", "run", "gpu", "drift"])
def test_every_command_that_connects_can_have_workers(fleet, fleetenv_cli: CommandLine, command):
    (fleetenv_cli.home / "site.yml").write_text("- {hosts: all, tasks: [{file: {path: '~', state: directory}}]}")
    first = {"ping": ["all"], "run": ["all"], "gpu": ["all", "--json"], "drift": ["site.yml", "--format", "json"]}
    more = ["--", "hostname"] if command == "run" else []
    done = fleetenv_cli(command, *first[command], "-i", fleet.inventory, "--workers", "2", *more)
    assert (done.status, done.stderr) == (0, "")
    assert all(host.name in done.stdout for host in fleet.hosts)
    assert fleetenv_cli(command, *first[command], "-i", fleet.inventory, "--workers", "0", *more).status == 1
