"""Measure fleetenv next to its peers and its floor, on namespace hosts with real OpenSSH on this machine.

Needs root, OpenSSH and iproute2. Results are written after each case, so a run that is broken off loses nothing.

Examples:
  python -m benchmarks                          # everything: about an hour on two cores
  python -m benchmarks W1 --hosts 32            # one workload, on so many hosts
  python -m benchmarks --quick                  # W1 on 32 hosts, fleetenv and the floor: 15 seconds, nothing is written
  python -m benchmarks --report                 # write the page and the plot again
"""

from __future__ import annotations

import argparse
import compileall
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, peers, report, results, runner
from benchmarks.site import UnequalWork
from benchmarks.tools import ROOT, TOOLS
from benchmarks.workloads import WORKLOADS
from fleetenv.errors import InputError
from fleetenv.lab import namespaces

_QUICK_TOOLS = ("floor", "fleetenv")


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    options = _options(words)
    if not options.report:
        problem = namespaces.missing()
        if problem is not None:
            raise SystemExit(f"benchmarks: {problem}")
        compileall.compile_dir(ROOT / "fleetenv", quiet=1)  # as pip does for the peers when it installs them
    if options.report or not options.quick:
        peers.install()
    failed = False if options.report else _measure(options)
    if options.docs is not None and options.results is not None:
        _write_docs(options.results, options.docs)
    return 1 if failed else 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser("benchmarks", None, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"{', '.join(names)}: in this order; by default all"
    )
    parser.add_argument("--tools", help=f"of {','.join(tool.name for tool in TOOLS)}; by default all")
    parser.add_argument("--hosts", help="numbers of hosts, with commas; by default each workload's own")
    parser.add_argument("--rounds", type=int, help="timed runs of each tool in each case (7; with --quick 5)")
    parser.add_argument("--seconds", type=float, default=30, help="no further round for a tool that took so long (30)")
    parser.add_argument(
        "--watched", type=float, default=120, help="memory and network of runs that take at most so many seconds (120)"
    )
    parser.add_argument("--quick", action="store_true", help="W1 on 32 hosts, fleetenv and the floor; writes no files")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page and the plot again")
    parser.add_argument("--results", type=Path, help="where results are kept (benchmarks/results.json)")
    parser.add_argument("--docs", type=Path, help="folder of benchmarks.md and benchmarks.svg (docs)")
    options = parser.parse_args(words)
    if unknown := set(options.workloads) - set(names):
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = options.tools.split(",") if options.tools else None
    if unknown := set(chosen or ()) - {tool.name for tool in TOOLS}:
        parser.error(f"there is no tool {', '.join(sorted(unknown))}; there are {', '.join(t.name for t in TOOLS)}")
    options.rounds = options.rounds or (5 if options.quick else 7)
    if options.quick:
        options.workloads = options.workloads or ["W1"]
        options.hosts = options.hosts or "32"
        chosen = chosen or list(_QUICK_TOOLS)
    else:
        options.results = options.results or ROOT / "benchmarks/results.json"
        options.docs = options.docs or ROOT / "docs"
    options.tools = [tool for tool in TOOLS if chosen is None or tool.name in chosen]
    by_name = {workload.name: workload for workload in WORKLOADS}
    options.workloads = [by_name[name] for name in options.workloads or names]
    try:
        options.hosts = [int(word) for word in options.hosts.split(",")] if options.hosts else None
    except ValueError:
        parser.error(f"--hosts takes numbers with commas between, not {options.hosts!r}")
    return options


def _measure(options: argparse.Namespace) -> bool:
    """Measure case after case; return whether a tool failed in one."""
    limits = runner.Limits(options.rounds, options.seconds, options.watched)
    order = [workload.name for workload in WORKLOADS]
    failed = False
    seen: dict[str, runner.Verified] = {}
    runner.commit()
    for workload in options.workloads:
        work = workload.same_work_as or workload.name
        verified = seen[work] = seen.get(work) or runner.Verified(workload, options.tools)
        for hosts in options.hosts or workload.sizes:
            try:
                case = runner.measure(workload, verified, options.tools, hosts, limits)
            except UnequalWork as problem:  # even the first tool could not bring the hosts to where they should be
                runner.say(f"{workload.name}, {hosts} hosts: {problem}")
                failed = True
                continue
            print(f"\n{report.text(case)}\n", flush=True)
            failed = failed or any(measured.failure for measured in case.tools.values())
            if options.results is not None:
                kept = results.read(options.results)
                kept.machine, kept.versions = machine.describe(), machine.versions()
                kept.put(case, order)
                results.write(options.results, kept)
    return failed


def _write_docs(measured: Path, folder: Path) -> None:
    """Write the page, and let the peers' Python, which has matplotlib, draw the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(report.page(results.read(measured)))
    labels = json.dumps({tool.name: tool.label for tool in TOOLS})
    plot: list[str | Path] = [
        peers.program("python"),
        ROOT / "benchmarks/plot.py",
        measured,
        folder / "benchmarks.svg",
        labels,
    ]
    subprocess.run(plot, check=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as problem:
        sys.exit(f"benchmarks: {problem}")
