"""Hosts that are up, and a folder from which every tool works on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import inventories, measure
from benchmarks.tools import Outcome, Tool
from fleetenv.lab.fleet import Listed
from fleetenv.lab.namespaces import NamespaceFleet

NEAR, FAR = "near", "far"  # folders with inventories: of the hosts themselves, and of the relay's ports


class UnequalWork(Exception):
    """A tool did not do what was asked of it: a comparison would be worthless."""


@dataclass(frozen=True)
class Site:
    """A fleet and the folder in which every tool runs; it holds the work, inventories, keys and the tools' settings."""

    folder: Path
    fleet: NamespaceFleet
    plays: dict[str, str]
    """What each tool is given."""

    def settle(self) -> None:
        """Write the inventories of the hosts themselves, and the tools' settings."""
        (self.folder / "home").mkdir(parents=True)
        inventories.write(self.folder / NEAR, self.fleet.hosts)
        inventories.write_ansible_settings(self.folder)

    def settle_far(self, hosts: Sequence[Listed]) -> None:
        """Write the inventories of the same hosts behind a relay."""
        inventories.write(self.folder / FAR, hosts)

    def on_hosts(self, script: str) -> None:
        """Run a script on every host as root, not through SSH; it has to succeed."""
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda host: host.must_run(script), self.fleet.hosts))

    def run(
        self, tool: Tool, play: str | None = None, place: str = NEAR, *, watch_memory: bool = False
    ) -> tuple[measure.Run, Outcome | None]:
        """Let a tool do a play, by default its own, on all hosts.

        Raises:
            UnequalWork: it failed.
        """
        command = tool.command(play or self.plays.get(tool.name, ""), Path(place), len(self.fleet.hosts))
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
        environment |= {"HOME": str(self.folder / "home"), "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **tool.environment}
        done = measure.run(command, self.folder, environment, watch_memory=watch_memory)
        outcome = tool.outcome(done.printed)
        if done.status != 0 or (outcome is not None and outcome.failed):
            raise UnequalWork(f"{tool.label}: {' '.join(command)} ended with {done.status}:\n{done.printed[-4000:]}")
        return done, outcome
