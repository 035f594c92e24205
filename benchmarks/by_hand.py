"""The main job's first run by hand: the least that a tool could do which makes environments with py-rattler.

OpenSSH sends the installer, py-rattler and the locks; the installer runs; py-rattler installs both environments; what
brings no byte-code is compiled, as conda does, but in the first environment only. Nothing is asked, checked, looked at
again or noted. What both leave is compared.

Examples:
  python -m benchmarks.by_hand                                 # 8 hosts, 3 rounds, fleetenv beside it: 4 minutes
  FLEETENV_TEST_MINICONDA=INSTALLER python -m benchmarks.by_hand --rounds 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from asyncio.subprocess import DEVNULL
from collections.abc import Sequence
from pathlib import Path

from benchmarks.runner import expect_same, opened_site, say, snapshots
from benchmarks.site import Site
from benchmarks.tools import TOOLS
from benchmarks.workloads.main_job import MainJob
from fleetenv.conda.builder import runtime
from fleetenv.lab.fleet import SSH_CONFIG, Listed

_FLEETENV = next(tool for tool in TOOLS if tool.name == "fleetenv")
_ENVIRONMENTS = ("nlp", "vision")


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print both times."""
    parser = argparse.ArgumentParser(
        "benchmarks.by_hand", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=8, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args(words)
    workload = MainJob()
    walls: dict[str, list[float]] = {"by hand": [], "fleetenv": []}
    with opened_site(workload, options.hosts) as site:
        workload.prepare(site)
        for number in range(options.rounds):
            workload.clean(site)
            begun = time.perf_counter()
            asyncio.run(_by_hand(site))
            walls["by hand"].append(time.perf_counter() - begun)
            left = snapshots(workload, site)
            workload.clean(site)
            walls["fleetenv"].append(site.run(_FLEETENV)[0].wall)
            expect_same(_FLEETENV, left, snapshots(workload, site))
            say(f"round {number + 1}: " + ", ".join(f"{name} {each[-1]:.2f} s" for name, each in walls.items()))
    medians = {name: statistics.median(each) for name, each in walls.items()}
    for name, each in walls.items():
        times = medians[name] / medians["by hand"]
        print(f"{name:<9} {medians[name]:6.2f} s  {times:.2f}x  {min(each):.2f} s to {max(each):.2f} s")


async def _by_hand(site: Site) -> None:
    packed = runtime(platform.machine(), zstd=True)
    assert packed
    config = Path(site.fleet.inventory).with_name(SSH_CONFIG)
    await asyncio.gather(*(_host(site.folder, config, host, packed.path) for host in site.fleet.hosts))


async def _host(folder: Path, config: Path, host: Listed, packed: Path) -> None:
    """Do all of it on one host."""

    async def ssh(command: str, stdin: Path | None = None) -> None:
        words = ("ssh", "-F", str(config), "-o", "Ciphers=aes256-gcm@openssh.com", host.name, command)
        with (stdin or Path(os.devnull)).open("rb") as file:
            process = await asyncio.create_subprocess_exec(*words, stdin=file, stdout=DEVNULL)
        if await process.wait():
            raise RuntimeError(f"on {host.name}: {command}")

    await ssh("cat >/opt/miniconda.sh", folder / "files/miniconda.sh")
    await ssh("sh /opt/miniconda.sh -b -p /opt/miniconda3; rm /opt/miniconda.sh; mkdir /opt/aside")
    await ssh("cat >/opt/aside/py-rattler.tar.zst", packed)
    for name in _ENVIRONMENTS:
        await ssh(f"cat >/opt/aside/{name}.lock", folder / f"envs/{name}.lock")
    channel = json.loads((folder / "job.yml").read_text())["channel"]
    settings = f"channels: [{channel}]\nchannel_priority: strict\nshow_channel_urls: true"
    await ssh(f"echo '{settings}' >/opt/miniconda3/.condarc")
    program = Path(__file__).with_name("by_hand_on_host.py")
    await ssh(f"/opt/miniconda3/bin/python -I - /opt/miniconda3 /opt/aside {' '.join(_ENVIRONMENTS)}", program)


if __name__ == "__main__":
    main()
