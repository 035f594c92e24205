"""The floor: one asyncssh process that connects to every host of an inventory and runs `true` on each."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncssh
import yaml


async def _true(host: dict[str, str], shared: dict[str, str], known_hosts: str) -> None:
    async with asyncssh.connect(
        host["ansible_host"],
        int(host["ansible_port"]),
        username=shared["ansible_user"],
        client_keys=[shared["ansible_ssh_private_key_file"]],
        known_hosts=known_hosts,
        config=None,
    ) as connection:
        await connection.run("true", check=True)


async def main(inventory: dict[str, Any], known_hosts: Path) -> None:
    """Connect to all hosts at once."""
    hosts = inventory["hosts"].values()
    await asyncio.gather(*(_true(host, inventory["vars"], str(known_hosts)) for host in hosts))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    asyncio.run(main(yaml.safe_load(path.read_text())["all"], path.parent / "known_hosts"))
