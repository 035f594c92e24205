from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.conftest import CommandLine, Finished

LOCAL = """\
all:
  vars: {ansible_connection: local}
  hosts: {a: {number: 1}, b: {number: 2}, c: {number: 3}}
"""


@dataclass
class Project:
    """A folder with a playbook and an inventory of hosts that are all this machine."""

    folder: Path
    cli: CommandLine
    inventory: str = "hosts.yml"
    report: dict[str, Any] = field(default_factory=dict)

    def write(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    def apply(self, *words: str, playbook: str | None = None) -> Finished:
        """Apply the playbook given as text, or the last one again."""
        if playbook is not None:
            self.write("site.yml", playbook)
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        done = self.cli(
            *("apply", "site.yml", "-i", self.inventory, "--json", str(report), "-e", f"out={self.folder}", *words),
            cwd=self.folder,
        )
        self.report = json.loads(report.read_text())["hosts"] if report.exists() else {}
        return done

    def statuses(self, host: str = "a") -> dict[str, str]:
        """How each task ended on a host."""
        return {each["task"]: each["status"] for each in self.report[host]["tasks"]}

    def messages(self, host: str = "a") -> dict[str, str]:
        return {each["task"]: each["msg"] for each in self.report[host]["tasks"]}

    def trace(self, host: str = "a") -> list[str]:
        """What tasks wrote into the host's trace."""
        file = self.folder / f"trace.{host}"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
def project(tmp_path: Path, fleetenv_cli: CommandLine) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "hosts.yml").write_text(LOCAL)
    return Project(folder, fleetenv_cli)
