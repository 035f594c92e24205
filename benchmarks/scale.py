"""One run over a thousand hosts: its time, its memory, and how many connections were open at once.

The hosts are embedded ones: asyncssh servers on loopback, in processes of their own, that run real shells. They share
the machine's cores with fleetenv and take more of them: the wall time says little about fleetenv, the controller's own
CPU time and memory do. Neither root nor sshd is needed.

Examples:
  python -m benchmarks.scale                                   # 100 and 1000 hosts, 1 and 2 workers
  python -m benchmarks.scale --hosts 3000 --workers 4 --forks 200
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import run
from benchmarks.tools import ROOT
from fleetenv.lab.embedded import EmbeddedFleet

PLAYBOOK = """\
- name: Five directories and five templates
  hosts: all
  gather_facts: false
  tasks:
    - name: Folders
      file: {path: "~/app/{{ item }}", state: directory, mode: "0755"}
      loop: [conf, data, logs, run, tmp]
    - name: Settings
      template: {src: settings.j2, dest: "~/app/conf/{{ item }}.conf", mode: "0644"}
      loop: [api, db, queue, web, worker]
"""
TEMPLATE = """\
# {{ item }} on {{ inventory_hostname }}
{% for n in range(20) %}
option_{{ n }} = {{ item }}-{{ n }}
{% endfor %}
"""
_MIB = 1 << 20


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        "benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=_numbers, default=[100, 1000], metavar="N,...")
    parser.add_argument("--workers", type=_numbers, default=[1, 2], metavar="N,...")
    parser.add_argument("--forks", type=int, default=64, metavar="N")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="that the hosts live in"
    )
    options = parser.parse_args(words)
    print(f"{'hosts':>6} {'workers':>7}  {'':<12} {'wall':>8} {'CPU':>8} {'peak memory':>12}  most connections at once")
    for hosts in options.hosts:
        for workers in options.workers:
            for line in _measured(hosts, workers, options.forks, options.processes):
                print(line, flush=True)


def _measured(hosts: int, workers: int, forks: int, processes: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, EmbeddedFleet(hosts, processes=processes) as fleet:
        project = Path(folder)
        (project / "site.yml").write_text(PLAYBOOK)
        (project / "templates").mkdir()
        (project / "templates" / "settings.j2").write_text(TEMPLATE)
        command = [sys.executable, "-m", "fleetenv", "apply", "site.yml", "-i", str(fleet.inventory)]
        command += ["--forks", str(forks), "--workers", str(workers)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        for what in ("first run", "no-op re-run"):
            timed = run(command, project, environment)
            watched = run(command, project, environment, watch_memory=True) if what == "no-op re-run" else None
            for each in (timed, watched):
                if each and each.status != 0:
                    raise SystemExit(each.printed)
            memory = f"{watched.memory / _MIB:.0f} MiB" if watched and watched.memory else ""
            yield (
                f"{hosts:>6} {workers:>7}  {what:<12} {timed.wall:>6.2f} s {timed.cpu:>6.2f} s {memory:>12}  "
                f"{fleet.most_connections()} of {forks} forks"
            )


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    main()
