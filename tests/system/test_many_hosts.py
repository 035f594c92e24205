"""A hundred hosts and more in one run: bounded memory, no more connections than forks, output that can be read."""

from __future__ import annotations

import json
import subprocess
import sys

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


# A small process of its own: what the kernel counts for a child begins with the memory of the process that started it.
MEASURE = """\
import os, sys
_, status, usage = os.wait4(os.posix_spawn(sys.executable, sys.argv[1:], os.environ), 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def apply(cli: CommandLine, fleet: EmbeddedFleet, hosts: int, *words: str) -> tuple[str, int]:
    """Apply the playbook to the first hosts; return what was printed, and the controller's peak memory in KiB."""
    limit = f"all[0:{hosts - 1}]"
    command = cli.command("apply", "site.yml", "-i", fleet.inventory, "-l", limit, "-f", str(FORKS), *words)
    measure = [sys.executable, "-S", "-c", MEASURE, *command]
    done = subprocess.run(measure, cwd=cli.home, env=cli.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout, int(done.stderr)


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
