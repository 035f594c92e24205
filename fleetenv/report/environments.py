"""The fleet's conda environments, as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.text import Text

from fleetenv.errors import HostError
from fleetenv.onhost.listing import Environment, Generation, Listing, Virtualenv
from fleetenv.onhost.processes import Process
from fleetenv.report.tables import cells, failure, plain_table, print_parts
from fleetenv.report.text import counted, file_size, visible_line

Answer: TypeAlias = Listing | HostError
"""What a host told of its environments, or why it could not be asked."""

FORMAT = "fleetenv.envs"
VERSION = 1
_COLUMNS = ("HOST", "ENVIRONMENT", "GENERATION", "PACKAGES", "SIZE", "CACHED", "SWITCHED", "USED BY")
_LAYERS = ("HOST", "VIRTUALENV", "GENERATION", "STANDS ON", "PACKAGES", "SIZE", "SWITCHED", "USED BY")
_AGES = ((86400 * 2, 86400, "d"), (7200, 3600, "h"), (120, 60, "min"), (0, 1, "s"))  # from, one of it, its name


def environments_json(answers: Mapping[str, Answer]) -> str:
    """Return one JSON document, in ASCII. Sizes are bytes, times are UTC. A host that failed has only `error`."""
    hosts = {
        name: {"error": str(answer)} if isinstance(answer, HostError) else {"error": None, **_document(answer)}
        for name, answer in answers.items()
    }
    return json.dumps({"format": FORMAT, "version": VERSION, "hosts": hosts}, indent=2) + "\n"


def print_environments(answers: Mapping[str, Answer], console: Console, now: float) -> None:
    """Print the table, and below it what the hosts have in all; `now` is in seconds since 1970."""
    table = plain_table(_COLUMNS, narrow=("GENERATION", "SIZE", "CACHED", "SWITCHED"), right=("SIZE", "CACHED"))
    for host, answer in answers.items():
        if not isinstance(answer, HostError):
            for environment in answer.environments:
                table.add_row(*cells(host), *_cells(environment, now))
    layers = plain_table(_LAYERS, narrow=("GENERATION", "SIZE", "SWITCHED"), right=("SIZE",))
    for host, answer in answers.items():
        if not isinstance(answer, HostError):
            for virtualenv in answer.virtualenvs:
                layers.add_row(*cells(host), *_layer_cells(virtualenv, now))
    parts: list[RenderableType] = [table] if table.row_count else []
    parts += [Text(""), layers] if layers.row_count else []
    print_parts(console, [*parts, *_below(answers)])


def _cells(environment: Environment, now: float) -> Iterator[Text]:
    yield Text(visible_line(environment.name))
    yield _generation(environment.generation, environment.generations, managed=environment.managed)
    pip = f" + {environment.pip} pip" if environment.pip else ""
    yield Text(f"{environment.conda}{pip}")
    yield Text(file_size(environment.size))
    yield Text(file_size(environment.shared))
    yield Text(_ago(now - environment.switched) if environment.switched is not None else "-")
    yield Text(visible_line(_users(environment.processes)) or "-")


def _layer_cells(virtualenv: Virtualenv, now: float) -> Iterator[Text]:
    yield Text(visible_line(virtualenv.path))
    yield _generation(virtualenv.generation, virtualenv.generations, managed=virtualenv.managed)
    base = f" {_number(virtualenv.base)}" if virtualenv.base else ""
    stands_on = Text(visible_line(f"{virtualenv.environment}{base}" or "-"))
    if not virtualenv.works and virtualenv.environment:
        stands_on.append(" (gone)", "red")
    elif virtualenv.stale:
        stands_on.append(" (stale)", "yellow")
    yield stands_on
    yield Text(str(virtualenv.packages))
    yield Text(file_size(virtualenv.size))
    yield Text(_ago(now - virtualenv.switched) if virtualenv.switched is not None else "-")
    yield Text(visible_line(_users(virtualenv.processes)) or "-")


def _generation(current: str | None, generations: Sequence[Generation], *, managed: bool) -> Text:
    """Name the current generation by its number, and say how many others there are."""
    if not managed:
        return Text("-", "dim")
    others = len(generations) - (current is not None)
    return Text(visible_line(_number(current or "removed")) + (f" (+{others})" if others else ""))


def _number(generation: str) -> str:
    return generation.partition("-")[0].lstrip("0")


def _users(processes: Sequence[Process]) -> str:
    """Name who uses an environment: `alice 4711 (python train.py), bob (perhaps)`."""
    users: dict[str, list[Process]] = {}
    for process in processes:
        users.setdefault(process.user, []).append(process)
    return ", ".join(_user(user, each) for user, each in sorted(users.items()))


def _user(user: str, processes: Sequence[Process]) -> str:
    certain = [process for process in processes if process.certain]
    if not certain:
        return f"{user} (perhaps)"
    numbers = " ".join(str(process.number) for process in certain[:3])
    return f"{user} {numbers}{f' and {len(certain) - 3} more' if len(certain) > 3 else ''}"


def _below(answers: Mapping[str, Answer]) -> Iterator[RenderableType]:
    asked = {host: answer for host, answer in answers.items() if not isinstance(answer, HostError)}
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            yield failure(host, answer)
        elif answer.busy:
            yield Text(f"{visible_line(host)}  is being changed by {visible_line(answer.busy)}", "yellow")
    count = sum(len(answer.environments) for answer in asked.values())
    size = sum(answer.total for answer in asked.values())
    cache = sum(answer.cache for answer in asked.values())
    layers = sum(len(answer.virtualenvs) for answer in asked.values())
    above = f" and {counted(layers, 'virtualenv')}" if layers else ""
    words = f"{counted(count, 'environment')}{above} on {counted(len(asked), 'host')}"
    if asked:
        words += f": {file_size(size)}, package caches of {file_size(cache)} included"
    yield Text(f"\n{words}", "bold")


def _document(listing: Listing) -> dict[str, object]:
    document = asdict(listing)
    for environment in (*document["environments"], *document["virtualenvs"]):
        environment["switched"] = _utc(environment["switched"])
        for generation in environment["generations"]:
            generation["built"] = _utc(generation["built"])
    return document


def _utc(seconds: float | None) -> str | None:
    if seconds is None or not 0 <= seconds < 2**37:  # what a host says
        return None
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _ago(seconds: float) -> str:
    """Say how long ago something was: `3 d ago`. A host's clock may be ahead."""
    for least, one, name in _AGES:
        if seconds >= least:
            return f"{min(seconds, 1e12) // one:.0f} {name} ago"
    return "just now"
