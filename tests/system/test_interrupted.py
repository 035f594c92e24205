"""Ctrl-C, or SIGTERM, at any moment: a recap, exit status 130, and nothing of the run is left on any host."""

from __future__ import annotations

import random
import signal
import subprocess

import pytest

from fleetenv.lab.namespaces import Account

pytestmark = [pytest.mark.root, pytest.mark.sshd]

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - {name: folder, file: {path: /tmp/x, state: directory}}
    - shell: sleep 3601
      when: inventory_hostname != 'gpu02'
    - shell: sleep 3601
      become: true
"""


def test_nothing_is_left_on_any_host(namespace_fleet, fleetenv_cli, eventually):
    fleet = namespace_fleet(3, account=Account("ops", password="horse", sudo="password"))
    (fleetenv_cli.home / "site.yml").write_text(PLAYBOOK)
    (fleetenv_cli.home / "password").write_text("horse\n")
    words = ("apply", "site.yml", "-i", str(fleet.inventory), "--become-password-file", "password")
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)

    def left() -> str:
        return "".join(host.must_run("pgrep -a sleep || :") for host in fleet.hosts)

    begun = 0
    for number in range(6):
        run = fleetenv_cli.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            run.wait(moments.uniform(0.3, 1.6))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGTERM if number % 3 == 2 else signal.SIGINT)
        stdout, stderr = run.communicate(timeout=30)
        told = f"seed {seed}, run {number}: {stdout}{stderr}"
        if run.returncode != -signal.SIGTERM:  # before anything was begun, a signal means what it always does
            assert run.returncode == 130, told
        begun += "RECAP" in stdout
        assert ("RECAP" in stdout and "interrupted" in stdout) or not stdout, told
        assert "Traceback" not in stderr, told
        assert left() == "", told
    assert begun >= 2, f"most were interrupted before they had begun (seed {seed})"
