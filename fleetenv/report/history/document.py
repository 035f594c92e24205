"""Past runs as JSON, for `fleetenv history --json` and `fleetenv show --json`. In ASCII: hosts wrote parts of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from fleetenv.drift.finding import Finding
from fleetenv.drift.snapshot import Plain
from fleetenv.history.model import HostRun, Origin, Run, TaskResult
from fleetenv.report.drift.document import finding_document

VERSION = 1

_Document: TypeAlias = "dict[str, object]"


def runs_json(runs: Sequence[Run]) -> str:
    """Return a list of runs as one document."""
    return _written("fleetenv.history", {"runs": [_run(run) for run in runs]})


def run_json(run: Run, hosts: Sequence[HostRun], findings: Sequence[Finding]) -> str:
    """Return one run with its hosts as one document."""
    return _written(
        "fleetenv.run",
        {
            "run": _run(run),
            "hosts": {each.host: _host(each) for each in hosts},
            "findings": [finding_document(each) for each in findings],
        },
    )


def host_json(run: Run, host: HostRun, results: Sequence[TaskResult], findings: Sequence[Finding]) -> str:
    """Return one host of one run, task by task, as one document."""
    return _written(
        "fleetenv.run.host",
        {
            "run": _run(run),
            "host": {"name": host.host, **_host(host)},
            "tasks": [_result(each) for each in results],
            "findings": [finding_document(each) for each in findings],
        },
    )


def _written(form: str, content: Mapping[str, object]) -> str:
    return json.dumps({"format": form, "version": VERSION, **content}, indent=2) + "\n"


def _run(run: Run) -> _Document:
    errand, tally = run.errand, run.tally
    return {
        "run": run.number,
        "kind": str(errand.kind),
        "state": str(run.state),
        "started": run.started.isoformat(),
        "finished": _moment(run.finished),
        "seconds": None if run.seconds is None else round(run.seconds, 3),
        "exit_status": run.exit_status,
        "user": errand.user,
        "controller": errand.controller,
        "fleetenv": errand.version,
        "command": [*errand.command],
        "playbook": _origin(errand.playbook),
        "inventory": [_origin(each) for each in errand.inventory],
        "limit": errand.limit,
        "tags": [*errand.tags],
        "skip_tags": [*errand.skip_tags],
        "only": [*errand.only],
        "hosts": {
            "all": tally.hosts,
            "lost": tally.lost,
            "failed": tally.failed,
            "changed": tally.changed,
            "same": tally.same,
        },
        "findings": {"error": tally.errors, "warning": tally.warnings, "note": tally.notes},
        "warnings": [*run.warnings],
    }


def _origin(origin: Origin) -> _Document:
    return {"path": origin.path, "place": origin.place, "commit": origin.commit, "dirty": origin.dirty}


def _host(host: HostRun) -> _Document:
    return {
        "standing": str(host.standing),
        "ok": host.ok,
        "changed": host.changed,
        "failed": host.failed,
        "skipped": host.skipped,
        "rescued": host.rescued,
        "ignored": host.ignored,
        "lost": host.lost,
        "seconds": round(host.seconds, 3),
        "groups": [*host.groups],
        "findings": {"error": host.errors, "warning": host.warnings, "note": host.notes},
    }


def _result(result: TaskResult) -> _Document:
    task = result.task
    differences: list[dict[str, Plain]] = [
        {"key": each.key, "wanted": each.wanted, "found": each.found} for each in result.differences
    ]
    return {
        "play": task.play,
        "role": task.role,
        "task": task.name,
        "module": task.module,
        "item": result.item,
        "file": task.location.file,
        "line": task.location.line,
        "status": str(result.status),
        "msg": result.msg,
        "differences": differences,
        "simulated": result.simulated,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
