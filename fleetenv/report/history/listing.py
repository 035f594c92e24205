"""Runs in a table, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath, PurePosixPath

from rich.console import Console
from rich.text import Text

from fleetenv.history.model import Kind, Run, RunState
from fleetenv.report.tables import cells, plain_table, print_parts
from fleetenv.report.text import counted, duration

_WIDE = 110  # columns
_LOOKS = frozenset({Kind.CHECK, Kind.DRIFT, Kind.PLAN})
_STATES = {
    RunState.RUNNING: ("running", "cyan"),
    RunState.DIED: ("died before it ended", "red"),
    RunState.UNFINISHED: ("not ended", "yellow"),
}


def print_runs(runs: Sequence[Run], console: Console, folder: PurePath) -> None:
    """Print a table of runs, as seen from `folder`.

    Where the terminal is narrow it has only what matters most, so that each run has a line.
    """
    wide = console.width >= _WIDE
    columns = ["RUN", "STARTED", "KIND", "PLAYBOOK", "HOSTS", "OUTCOME", *(["TOOK", "BY"] if wide else [])]
    table = plain_table(columns, narrow=("RUN", "STARTED", "KIND", "TOOK"), right=("RUN", "HOSTS", "TOOK"))
    for run in runs:
        playbook = playbook_of(run, folder) if wide else PurePosixPath(run.errand.playbook.place).name
        hosts = str(run.tally.hosts) if run.finished else "-"
        start = (str(run.number), f"{run.started:%Y-%m-%d %H:%M}", str(run.errand.kind), playbook, hosts)
        table.add_row(*cells(*start), outcome(run), *cells(*((took(run), by(run)) if wide else ())))
    print_parts(console, [table] if runs else [Text("no such run was recorded")])


def outcome(run: Run) -> Text:
    """Return in few words how a run ended."""
    if run.state in _STATES:
        return Text(*_STATES[run.state])
    tally = run.tally
    text = Text(", ".join(_parts(run)) or "no hosts")
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
    if tally.same == tally.hosts != 0 and not tally.findings:
        yield "all as wanted" if run.errand.kind in _LOOKS else "nothing to change"
    if run.errand.kind is Kind.DRIFT and tally.findings:
        yield counted(tally.findings, "finding")


def playbook_of(run: Run, folder: PurePath) -> str:
    """Return where a run's playbook is: in its repository; outside of git as one would type it in `folder`."""
    place = PurePath(run.errand.playbook.place)
    return str(place.relative_to(folder) if place.is_relative_to(folder) else place)


def took(run: Run) -> str:
    """Return how long a run took, or `-` where it did not end."""
    return "-" if run.seconds is None else duration(run.seconds)


def by(run: Run) -> str:
    """Return who ran it, and where."""
    return f"{run.errand.user}@{run.errand.controller}"
