"""A hundred hosts and more in one run: bounded memory, no more connections than forks, output that can be read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from fleetenv.lab.embedded import EmbeddedFleet
from tests.conftest import CommandLine

PLAYBOOK = """\
- name: First
  hosts: all
  gather_facts: false
  tasks:
    - name: Folders
      file: {path: "~/app/{{ item }}", state: directory, mode: "0755"}
      loop: [conf, data, logs, run, tmp]
    - name: Settings
      template: {src: settings.j2, dest: "~/app/{{ item }}.conf"}
      loop: [api, db, queue]
- name: Second
  hosts: all
  gather_facts: false
  tasks:
    - name: Also settings
      template: {src: settings.j2, dest: "~/app/{{ item }}.conf"}
      loop: [web, worker]
"""
FORKS = 24


def apply(cli: CommandLine, fleet: EmbeddedFleet, hosts: int, *words: str) -> tuple[str, float]:
    """Apply the playbook to the first hosts; return what was printed, and the controller's peak memory in KiB."""
    limit = f"all[0:{hosts - 1}]"
    command = cli.command("apply", "site.yml", "-i", fleet.inventory, "-l", limit, "-f", str(FORKS), *words)
    with Path(cli.home, "printed").open("w+") as printed:
        process = subprocess.Popen(command, cwd=cli.home, env=cli.environment(), stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    assert process.returncode == 0, text
    return text, usage.ru_maxrss


def test_many_hosts_at_once(embedded_fleet, fleetenv_cli: CommandLine):
    (fleetenv_cli.home / "site.yml").write_text(PLAYBOOK)
    (fleetenv_cli.home / "templates").mkdir()
    (fleetenv_cli.home / "templates/settings.j2").write_text("{{ item }} on {{ inventory_hostname }}\n" * 20)
    fleet = embedded_fleet(120)
    printed, _ = apply(fleetenv_cli, fleet, 120, "--json", "report.json")
    hosts = json.loads((fleetenv_cli.home / "report.json").read_text())["hosts"]
    assert {(each["ok"], each["changed"], each["failed"], each["unreachable"]) for each in hosts.values()} == {
        (3, 3, 0, 0)
    }
    assert len(hosts) == 120
    assert len(printed.splitlines()) < 90
    assert "120 hosts converged, 360 changed" in printed

    peak = {number: apply(fleetenv_cli, fleet, number)[1] for number in (20, 120)}
    assert (peak[120] - peak[20]) / 100 < 200, "KiB that each further host takes"
    assert peak[120] < 120 * 1024
    assert FORKS // 2 < fleet.most_connections() <= FORKS
