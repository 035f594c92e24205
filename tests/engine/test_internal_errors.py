"""A fault of fleetenv's own: it costs one task, and tells no secret."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fleetenv.engine import Fleet, Options
from fleetenv.events import Event, Status, TaskFinished
from fleetenv.inventory import load
from fleetenv.shell import Defaults, connect

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - {name: Token, copy: {dest: "{{ out }}/token", content: s3cret}, no_log: true}
"""
SECRET = "s3cret"


def test_what_an_unforeseen_error_says_is_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    (tmp_path / "hosts.yml").write_text(f"all: {{hosts: {{a: {{ansible_connection: local, out: {tmp_path}}}}}}}\n")
    told: list[TaskFinished] = []

    def sink(event: Event) -> None:
        if isinstance(event, TaskFinished):
            told.append(event)
            if event.status is not Status.FAILED:
                raise KeyError(SECRET)

    inventory = load([str(tmp_path / "hosts.yml")], playbook_folder=tmp_path)
    fleet = Fleet(tmp_path / "site.yml", inventory, Options(folder=tmp_path), Defaults(), connect, sink)
    fleet.prepare()
    asyncio.run(fleet.run())
    assert [event.status for event in told] == [Status.CHANGED, Status.FAILED]
    assert told[-1].msg.startswith("internal error of fleetenv, please report it: KeyError")
    assert "test_internal_errors.py" in caplog.text
    assert SECRET not in caplog.text + told[-1].msg
