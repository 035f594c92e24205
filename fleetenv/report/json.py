"""`--json`: the whole run as one document."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fleetenv.errors import InputError
from fleetenv.events import Event, HostLost, RunFinished, Sink, Status, TaskFinished, Warned
from fleetenv.report.plain import plain_differences
from fleetenv.report.recap import Recap
from fleetenv.source import Value


class JsonReport(Sink):
    """Writes `{"hosts": {NAME: {"ok", ..., "tasks": [...]}}}` to a file, or to standard output for `-`."""

    def __init__(self, target: str) -> None:
        if target != "-" and not Path(target).absolute().parent.is_dir():
            raise InputError(f"cannot write {target}: there is no such folder")
        self._target = target
        self._recap = Recap()
        self._tasks: dict[str, list[Value]] = {}
        self._round_trips: dict[str, int] = {}
        self._warnings: list[Value] = []

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._recap(event)
        match event:
            case Warned():
                self._warnings.append(event.text)
            case TaskFinished():
                self._tasks.setdefault(event.host, []).append(_entry(event))
            case HostLost():
                lost = _task("", "", Status.UNREACHABLE, event.reason)
                self._tasks.setdefault(event.host, []).append(lost)
            case RunFinished():
                self._round_trips = dict(event.round_trips)

    def close(self) -> None:
        """Write the document."""
        hosts = {
            host: {
                "ok": counts.ok,
                "changed": counts.changed,
                "failed": counts.failed,
                "skipped": counts.skipped,
                "unreachable": counts.unreachable,
                "rescued": counts.rescued,
                "ignored": counts.ignored,
                "round_trips": self._round_trips.get(host, 0),
                "tasks": self._tasks.get(host, []),
            }
            for host, counts in self._recap.hosts.items()
        }
        document = {
            "hosts": hosts,
            "warnings": self._warnings,
            "seconds": round(self._recap.seconds, 3),
            "interrupted": self._recap.interrupted,
        }
        text = json.dumps(document, indent=2, default=str) + "\n"
        if self._target == "-":
            sys.stdout.write(text)
        else:
            Path(self._target).write_text(text, encoding="utf-8")


def _task(name: str, module: str, status: Status, msg: str) -> dict[str, Value]:
    return {"task": name, "module": module, "status": str(status), "diff": [], "msg": msg}


def _entry(event: TaskFinished) -> dict[str, Value]:
    entry = _task(event.task.name, event.task.module, event.status, event.msg)
    entry["diff"] = [*plain_differences(event)]
    entry["play"] = event.task.play
    entry["role"] = event.task.role
    entry["seconds"] = round(event.seconds, 3)
    if event.item is not None:
        entry["item"] = event.item
    return entry
