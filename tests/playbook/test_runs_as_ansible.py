"""A playbook that tries precedence, loops, includes, roles, blocks and tags says on each host what Ansible says there.

Both run it for real, on this machine; what the `debug` tasks say is compared, in order. Handlers are compared in
test_handlers.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "as_ansible"
ROOT = Path(__file__).parents[2]

INTERPRETER = ["-e", f"ansible_python_interpreter={sys.executable}"]  # Ansible would guess

Said = dict[str, list[str]]


def ansible_says(arguments: list[str], folder: Path) -> Said:
    said = folder / "said"
    said.touch()
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory", "site.yml", *INTERPRETER, *arguments],
        cwd=PROJECT,
        env={
            **os.environ,
            "SAID": str(said),
            "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "said",
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: Said = {}
    for line in said.read_text().splitlines():
        host, text = json.loads(line)
        result.setdefault(host, []).append(text)
    return result


def we_say(arguments: list[str]) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "fleetenv", "apply", "site.yml", "-i", "inventory", "--json", "-", *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    said = {
        name: [
            task["msg"] for task in host["tasks"] if task["module"] == "debug" and task["status"] in ("ok", "changed")
        ]
        for name, host in hosts.items()
    }
    return {name: texts for name, texts in said.items() if texts}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-e", "v_extra=extra", "-t", "t_app,one,imp,app,o,sub"],
        ["-t", "tagged,n", "--skip-tags", "t_app,blk"],
    ],
    ids=" ".join,
)
def test_the_same_is_said(arguments: list[str], tmp_path: Path) -> None:
    assert we_say(arguments) == ansible_says(arguments, tmp_path)
