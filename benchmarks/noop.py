"""No-op re-run: 5 directories and 5 templates on N hosts with real sshd, next to the floor, interleaved in one run.

usage: python -m benchmarks.noop [--hosts 32] [--rounds 5]        (root, OpenSSH's server, iproute2)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fleetenv.lab.namespaces import NamespaceFleet

HERE = Path(__file__).parent
PLAYBOOK = """\
- name: Five directories and five templates
  hosts: all
  gather_facts: false
  tasks:
    - name: Folders
      file: {path: "/srv/app/{{ item }}", state: directory, mode: "0755"}
      loop: [conf, data, logs, run, tmp]
    - name: Settings
      template: {src: settings.j2, dest: "/srv/app/conf/{{ item }}.conf", mode: "0644"}
      loop: [api, db, queue, web, worker]
"""
TEMPLATE = """\
# {{ item }} on {{ inventory_hostname }}
{% for n in range(20) %}
option_{{ n }} = {{ item }}-{{ n }}
{% endfor %}
"""


def timed(command: list[str]) -> float:
    """Run a command that has to succeed; return its wall time in seconds."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "NO_COLOR": "1"}
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - begun
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder, NamespaceFleet(options.hosts, folder=Path(folder)) as fleet:
        playbook = Path(folder) / "site.yml"
        playbook.write_text(PLAYBOOK)
        (Path(folder) / "templates").mkdir()
        (Path(folder) / "templates" / "settings.j2").write_text(TEMPLATE)
        tools = {
            "floor (asyncssh, true)": [sys.executable, str(HERE / "floor.py"), str(fleet.inventory)],
            "fleetenv, nothing to do": [
                *(sys.executable, "-m", "fleetenv", "apply", str(playbook), "-i", str(fleet.inventory)),
                *("--forks", str(options.hosts)),
            ],
        }
        first = timed(tools["fleetenv, nothing to do"])
        seconds: dict[str, list[float]] = {name: [] for name in tools}
        for _ in range(options.rounds):
            for name, command in tools.items():
                seconds[name].append(timed(command))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    floor = medians["floor (asyncssh, true)"]
    print(f"{options.hosts} hosts, {options.rounds} interleaved rounds, medians")
    print(f"{'fleetenv, first run':<28}{first:8.2f} s {first / floor:6.2f} x the floor")
    for name, median in medians.items():
        print(f"{name:<28}{median:8.2f} s {median / floor:6.2f} x the floor")


if __name__ == "__main__":
    main()
