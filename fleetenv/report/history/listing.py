"""Runs in a table, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from fleetenv.history.model import Kind, Run, RunState
from fleetenv.report.tables import cells, plain_table, print_parts
from fleetenv.report.text import counted, duration

_LOOKS = frozenset({Kind.CHECK, Kind.DRIFT, Kind.PLAN})
_STATES = {
    RunState.RUNNING: ("running", "cyan"),
    RunState.DIED: ("died before it ended", "red"),
    RunState.UNFINISHED: ("not ended", "yellow"),
}


def print_runs(runs: Sequence[Run], console: Console) -> None:
    """Print a table of runs; narrow terminals do not get everything."""
    wide = console.width >= 110
    columns = ["RUN", "STARTED", "KIND", "PLAYBOOK", "HOSTS", "OUTCOME", "TOOK", *(["BY"] if wide else [])]
    table = plain_table(columns, narrow=("RUN", "STARTED", "KIND", "TOOK"), right=("RUN", "HOSTS"))
    for run in runs:
        start = [str(run.number), f"{run.started:%Y-%m-%d %H:%M}", str(run.errand.kind), run.errand.playbook.place]
        end = [took(run), *([by(run)] if wide else [])]
        table.add_row(*cells(*start, str(run.tally.hosts) if run.finished else "-"), outcome(run), *cells(*end))
    print_parts(console, [table] if runs else [Text("no such run was recorded")])


def outcome(run: Run) -> Text:
    """Return in few words how a run ended."""
    if run.state in _STATES:
        return Text(*_STATES[run.state])
    tally = run.tally
    text = Text(", ".join(_parts(run)) or ("nothing to do" if tally.hosts else "no hosts"))
    bad = tally.lost or tally.failed or tally.errors
    text.style = "red" if bad else "yellow" if tally.changed or tally.warnings else "green"
    return text


def _parts(run: Run) -> Iterator[str]:
    tally = run.tally
    if run.state is RunState.INTERRUPTED:
        yield "interrupted"
    if tally.lost:
        yield f"{tally.lost} lost"
    if tally.failed:
        yield f"{tally.failed} failed"
    if tally.changed:
        yield f"{tally.changed} {'differ' if run.errand.kind in _LOOKS else 'changed'}"
    if tally.same:
        yield f"{tally.same} {'as wanted' if run.errand.kind in _LOOKS else 'unchanged'}"
    if run.errand.kind is Kind.DRIFT and tally.findings:
        yield counted(tally.findings, "finding")


def took(run: Run) -> str:
    """Return how long a run took, or `-` where it did not end."""
    return "-" if run.seconds is None else duration(run.seconds)


def by(run: Run) -> str:
    """Return who ran it, and where."""
    return f"{run.errand.user}@{run.errand.controller}"
