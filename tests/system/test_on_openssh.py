"""Plays on real OpenSSH hosts: connections, users, a noisy host, check mode."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.namespaces import Account, NamespaceFleet
from tests.conftest import CommandLine, Finished

pytestmark = [pytest.mark.root, pytest.mark.sshd]


@pytest.fixture(scope="module")
def fleet(shared_namespace_fleet) -> NamespaceFleet:
    return shared_namespace_fleet(5, account=Account("ops", password="right horse", sudo="password"))


@pytest.fixture
def apply(fleet: NamespaceFleet, fleetenv_cli: CommandLine):
    """`apply(PLAYBOOK, ...)`: what it said, and the JSON's hosts; `-K` is given by a file."""

    def run(playbook: str, *words: str, password: str = "right horse") -> tuple[Finished, dict[str, Any]]:
        (fleetenv_cli.home / "site.yml").write_text(playbook)
        (fleetenv_cli.home / "password").write_text(password + "\n")
        report = fleetenv_cli.home / "report.json"
        report.unlink(missing_ok=True)
        secret = ("--become-password-file", "password")
        done = fleetenv_cli("apply", "site.yml", "-i", fleet.inventory, "--json", report, *secret, *words)
        assert "Traceback" not in done.stderr
        assert "right horse" not in done.stdout + done.stderr + (report.read_text() if report.exists() else "")
        return done, json.loads(report.read_text())["hosts"] if report.exists() else {}

    return run


def connections(fleet: NamespaceFleet) -> int:
    """How many connections to the fleet's sshds are established, in one look."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = {socket.inet_aton(host.address)[::-1].hex().upper() + ":0016" for host in fleet.hosts}
    return sum(1 for line in lines if (words := line.split())[2] in addresses and words[3] == "01")


def test_no_more_connections_than_forks(fleet, fleetenv_cli):
    play = "- {hosts: all, gather_facts: false, any_errors_fatal: true, tasks: [{command: sleep 0.1}, {ping: }]}\n"
    (fleetenv_cli.home / "site.yml").write_text(play * 3)
    words = ("apply", "site.yml", "-i", str(fleet.inventory), "-f", "2")
    run = fleetenv_cli.start(*words, stdout=subprocess.PIPE)
    most = 0
    while run.poll() is None:
        # twice: one look takes a moment, in which one connection may end and another begin
        most = max(most, min(connections(fleet), connections(fleet)))
    assert run.returncode == 0
    assert most == 2


BECOME = """\
- hosts: gpu01
  gather_facts: false
  tasks:
    - {command: id -un, register: me}
    - {command: id -un, become: true, register: root}
    - {command: id -un, become: true, become_user: daemon, register: other}
    - {copy: {content: secret, dest: /srv/of-root, mode: "0600"}, become: true}
    - {stat: {path: /srv/of-root}, register: seen}
    - {shell: "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\\\0' '\\\\n' | grep -c 'right hors[e]'",
       become: true, register: leaked, failed_when: leaked.stdout != '0'}
    - {command: printenv TOKEN, environment: {TOKEN: hush}, register: token}
    - shell: cat /proc/[0-9]*/cmdline | tr '\\\\0' '\\\\n' | grep -c hus[h]
      become: true
      environment: {TOKEN: hush}
      register: listed
      failed_when: listed.stdout != '0'
    - assert:
        that:
          - me.stdout == 'ops' and root.stdout == 'root' and other.stdout == 'daemon'
          - seen.stat.pw_name == 'root' and token.stdout == 'hush'
"""


def test_two_other_users_in_one_play(apply):
    done, _ = apply(BECOME)
    assert done.status == 0, done.stdout


def test_a_wrong_become_password_is_one_clear_line_a_host(apply):
    done, report = apply("- {hosts: all, gather_facts: false, become: true, tasks: [{ping: }]}\n", password="wrong")
    assert done.status == 2
    messages = {task["msg"] for host in report.values() for task in host["tasks"]}
    assert messages == {"cannot become root with sudo: the become password is wrong"}


def test_a_host_gets_no_other_hosts_become_password(fleet, apply, fleetenv_cli):
    """A task that is delegated becomes root with what the host that does it wants."""
    (fleet.folder / "host_vars").mkdir()
    (fleet.folder / "host_vars/gpu01.yml").write_text("ansible_become_password: of gpu01 alone\n")
    try:
        playbook = "- {hosts: gpu01, gather_facts: false, tasks: [{ping: , become: true, delegate_to: gpu02}]}\n"
        assert apply(playbook)[0].status == 0
    finally:
        (fleet.folder / "host_vars/gpu01.yml").unlink()
        (fleet.folder / "host_vars").rmdir()


SMALL = """\
- hosts: {host}
  tasks:
    - {{name: folder, file: {{path: {out}/d, state: directory, mode: "0750"}}}}
    - {{name: file, copy: {{content: "one\\ntwo\\n", dest: {out}/d/f}}, notify: told}}
    - {{name: breaks, shell: "echo broken >&2; exit 3", ignore_errors: true}}
    - block:
        - {{name: fails, command: "false"}}
      rescue:
        - {{name: rescued, shell: "cat {out}/d/f", register: said, changed_when: false}}
    - {{assert: {{that: "said.stdout_lines == ['one', 'two']"}}}}
  handlers:
    - {{name: told, command: "true"}}
"""


def test_all_transports_tell_the_same(apply, tmp_path, fleet):
    told = []
    for words in (["-c", "ssh"], ["-c", "paramiko"], ["-c", "local"]):
        out = str(tmp_path) if words[1] == "local" else f"/tmp/{words[1]}"
        fleet["gpu03"].must_run(f"mkdir -p {out} && chown ops {out}")
        done, report = apply(SMALL.format(host="gpu03", out=out), *words)
        assert done.status == 0, done.stdout + done.stderr
        for task in report["gpu03"]["tasks"]:
            task.pop("seconds")
        told.append(json.loads(json.dumps(report["gpu03"]).replace(out, "OUT").replace('"ops"', '"root"')))
    assert told[0] == told[1]
    assert told[0] == told[2]


NOISY = """\
- hosts: gpu04
  tasks:
    - {shell: "head -c 104857600 /dev/zero | tr '\\\\0' x", register: much}
    - {assert: {that: much.stdout | length == 16 * 1024 * 1024}}
    - {shell: "printf '\\\\377\\\\376\\\\033[2J\\\\033]0;owned\\\\007 fleetenv-progress 1 1 x\\\\n' >&2; exit 1",
       ignore_errors: true}
    - {file: {path: /tmp/noisy, state: directory}}
"""


def test_a_noisy_host_does_no_harm(apply, fleet):
    noise = "printf 'welcome \\033[2J \\377\\n'; printf 'motd\\n' >&2"
    fleet["gpu04"].must_run("cat - /home/ops/.bashrc >/tmp/rc && mv /tmp/rc /home/ops/.bashrc", (noise + "\n").encode())
    done, _ = apply(NOISY, "-v")
    assert done.status == 0, done.stdout[-2000:] + done.stderr
    assert not {each for each in done.stdout + done.stderr if ord(each) < 32 and each != "\n"}
    assert len(done.stdout) < 1e5


CHECKED = """\
- hosts: gpu05
  become: true
  tasks:
    - {file: {path: /srv/new, state: directory, owner: daemon}}
    - {file: {path: /etc/services, state: absent}}
    - {file: {src: /etc/passwd, dest: /srv/link, state: link}}
    - {copy: {content: "changed\\n", dest: /etc/hostname}}
    - {template: {src: note.j2, dest: /srv/note}}
    - {command: touch /srv/touched}
    - {shell: touch /srv/touched, args: {creates: /srv/nothing}}
    - {user: {name: someone}}
    - {group: {name: some}}
    - {condarc: {path: /srv/.condarc, mirror: tuna}}
    - {miniconda: {prefix: /srv/conda, state: absent}}
"""


def test_check_mode_and_diff_touch_no_file_on_the_host(apply, fleet, fleetenv_cli):
    (fleetenv_cli.home / "note.j2").write_text("{{ inventory_hostname }}\n")
    host = fleet["gpu05"]
    assert apply("- {hosts: gpu05, become: true, tasks: [{ping: }]}\n")[0].status == 0  # sudo's and bash's first time
    host.must_run("touch /marker; sleep 0.1")
    done, report = apply(CHECKED, "--check", "--diff")
    assert done.status == 0, done.stdout + done.stderr
    assert report["gpu05"]["changed"] >= 7
    assert "-gpu05\n" in done.stdout
    assert "+changed\n" in done.stdout
    touched = host.must_run("find / -xdev -cnewer /marker ! -path '/proc/*' ! -path '/dev/*' ! -path '/sys/*'")
    ours = [
        path for path in touched.split() if not path.startswith(("/run", "/var/log", "/.upper/run", "/.upper/var/log"))
    ]
    assert ours == []


def test_a_second_run_asks_once_facts_included(apply):
    playbook = """\
- hosts: all
  tasks:
    - {file: {path: "/tmp/{{ inventory_hostname }}/{{ item }}", state: directory}, loop: [a, b]}
    - {copy: {content: "{{ inventory_hostname }}\\n", dest: "/tmp/{{ inventory_hostname }}/a/f"}}
    - {stat: {path: /etc/passwd}, register: passwd}
    - {assert: {that: passwd.stat.exists and ansible_facts.hostname == inventory_hostname}}
"""
    assert apply(playbook)[0].status == 0
    done, report = apply(playbook)
    assert done.status == 0
    assert {(host["changed"], host["round_trips"]) for host in report.values()} == {(0, 1)}


def test_a_command_that_takes_too_long_is_ended_and_the_host_goes_on(apply, fleet):
    done, report = apply(
        "- hosts: gpu01\n  gather_facts: false\n  tasks:\n"
        "    - {name: slow, command: sleep 3602, timeout: 1, ignore_errors: true, become: true}\n    - {ping: }\n"
    )
    assert done.status == 0, done.stdout
    assert report["gpu01"]["ignored"] == 1
    assert fleet["gpu01"].must_run("pgrep -x sleep || :") == ""


def test_a_lost_host_is_not_rescued_and_a_failed_one_runs_no_handlers(apply, fleet):
    playbook = """\
- hosts: gpu02, gpu03
  gather_facts: false
  become: true
  tasks:
    - {command: "true", notify: told}
    - block:
        - shell: for p in /proc/[0-9]*; do read -r n <$p/comm; [ "$n" != sshd ] || kill -9 ${p##*/}; done; sleep 9
          when: inventory_hostname == 'gpu02'
        - {command: "false", when: inventory_hostname == 'gpu03'}
      rescue:
        - {command: touch /srv/rescued}
        - {fail: {msg: all the same}}
  handlers:
    - {name: told, command: touch /srv/told}
"""
    try:
        done, report = apply(playbook)
    finally:
        fleet["gpu02"].start_sshd()
    assert done.status == 6
    there = {name: fleet[name].must_run("ls /srv").split() for name in ("gpu02", "gpu03")}
    assert "rescued" in there["gpu03"]
    assert "told" not in there["gpu03"]
    assert {"rescued", "told"}.isdisjoint(there["gpu02"])
    assert report["gpu02"]["unreachable"] == 1
