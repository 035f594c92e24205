"""Whatever befalls a host, it fails alone, with one clear line, and the others converge."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from fleetenv.lab.fleet import KeyPair
from fleetenv.lab.namespaces import NamespaceFleet
from tests.conftest import CommandLine, Finished

pytestmark = [pytest.mark.root, pytest.mark.sshd]

KILL_SSHD = 'for p in /proc/[0-9]*; do read -r n <$p/comm; [ "$n" != sshd ] || kill -9 ${p##*/}; done; sleep 60'
PLAYBOOK = f"""\
- hosts: all
  gather_facts: false
  tasks:
    - {{name: folder, file: {{path: "{{{{ place | default('/srv/data') }}}}/x", state: directory}}}}
    - name: half-way
      shell: {json.dumps(KILL_SSHD)}
      when: inventory_hostname == 'killed'
    - name: cable
      shell: touch /srv/begun; sleep 60
      when: inventory_hostname == 'cut'
    - {{name: file, copy: {{content: "{{{{ 'x' * 100000 }}}}", dest: "{{{{ place | default('/srv/data') }}}}/x/file"}}}}
"""


def apply(fleet: NamespaceFleet, cli: CommandLine, text: str, *words: str) -> tuple[Finished, dict[str, Any]]:
    """Apply a playbook to a fleet; return what it said, and its JSON's hosts."""
    (cli.home / "site.yml").write_text(text)
    report = cli.home / "report.json"
    report.unlink(missing_ok=True)
    done = cli("apply", "site.yml", "-i", fleet.inventory, "--json", report, *words)
    return done, json.loads(report.read_text())["hosts"] if report.exists() else {}


def reason(report: dict[str, Any], host: str) -> str:
    """The one line about why a host did not converge."""
    (message,) = [task["msg"] for task in report[host]["tasks"] if task["status"] in ("failed", "unreachable")]
    assert "\n" not in message.strip()
    return str(message)


def test_every_fault_is_one_hosts_own(namespace_fleet, fleetenv_cli):
    names = ["good1", "good2", "refused", "unknown", "changed", "killed", "cut", "full", "readonly"]
    fleet = namespace_fleet(names)
    fleet["refused"].kill_sshd()
    fleet["full"].limit("/full", 1)
    fleet["full"].fill("/full", leave=8192)
    fleet["readonly"].must_run("mkdir -p /ro")
    fleet["readonly"].make_read_only("/ro")
    known = fleet.folder / "known_hosts"
    lines = [line for line in known.read_text().splitlines() if fleet["unknown"].address not in line.split(" ")[0]]
    lines = [line for line in lines if fleet["changed"].address not in line.split(" ")[0]]
    lines.append(f"{fleet['changed'].address} {KeyPair.generate().public}")
    known.write_text("\n".join(lines) + "\n")
    (fleet.folder / "host_vars").mkdir()
    (fleet.folder / "host_vars/full.yml").write_text("place: /full\n")
    (fleet.folder / "host_vars/readonly.yml").write_text("place: /ro\n")

    (fleetenv_cli.home / "site.yml").write_text(PLAYBOOK)
    report_file = fleetenv_cli.home / "report.json"
    words = ("apply", "site.yml", "-i", str(fleet.inventory), "--json", str(report_file))
    alive = ("--ssh-common-args", "-o ServerAliveInterval=1")
    run = fleetenv_cli.start(*words, *alive, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not fleet["cut"].path("/srv/begun").exists():
        assert run.poll() is None
    fleet["cut"].cut()
    since = time.monotonic()
    stdout, stderr = run.communicate(timeout=60)
    noticed = time.monotonic() - since
    report = json.loads(report_file.read_text())["hosts"]

    assert run.returncode == 6, stdout + stderr
    assert noticed < 4 * 1 + 6, "three questions of one second each, and closing"
    for name, words_ in {
        "refused": ["connection refused"],
        "unknown": ["host key is not known", "ssh-keyscan"],
        "changed": ["host key has CHANGED", "ssh-keygen"],
        "killed": ["connection was lost"],
        "cut": ["connection was lost"],
        "full": ["No space left on device"],
        "readonly": ["Read-only file system"],
    }.items():
        message = reason(report, name)
        assert all(word in message for word in words_), (name, message)
        assert stdout.count(message) >= 1
    unreachable = {name for name in report if report[name]["unreachable"]}
    assert unreachable == {"refused", "unknown", "changed", "killed", "cut"}
    assert {name for name in report if report[name]["failed"]} == {"full", "readonly"}
    for name in ("good1", "good2"):
        assert (report[name]["ok"], report[name]["changed"]) == (2, 2)
    leftovers = fleet["full"].must_run("find /full -name '*fleetenv*'")
    assert leftovers == ""
    assert "Traceback" not in stderr

    assert apply(fleet, fleetenv_cli, PLAYBOOK, "-l", "good1,unknown")[0].status == 4
    assert apply(fleet, fleetenv_cli, PLAYBOOK, "-l", "good1,full")[0].status == 2
    assert apply(fleet, fleetenv_cli, PLAYBOOK, "-l", "good1,good2")[0].status == 0
