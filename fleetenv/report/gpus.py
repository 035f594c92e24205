"""The fleet's GPUs, as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleetenv.errors import HostError
from fleetenv.gpu.diagnosis import Problem, driver_problem, health_problems
from fleetenv.gpu.states import GpuHost
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import counted, visible_line
from fleetenv.severity import Severity

Answer: TypeAlias = GpuHost | HostError
"""What a host told of its GPUs, or why it could not be asked."""

FORMAT = "fleetenv.gpu"
VERSION = 1

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def problems(host: GpuHost) -> list[Problem]:
    """Return all that is wrong with a host's GPUs, the worst first; a host without any GPU has nothing wrong."""
    found = driver_problem(host)
    if found is not None and found.code in ("no-gpu", "passed-through"):
        return []
    return [*([found] if found else []), *health_problems(host)]


def gpus_json(answers: Mapping[str, Answer]) -> str:
    """Return one JSON document, in ASCII. A host that could not be asked has only `error`."""
    hosts = {
        name: {"error": str(answer)}
        if isinstance(answer, HostError)
        else {
            "error": None,
            **msgspec.to_builtins(answer),
            "problems": [msgspec.to_builtins(problem) for problem in problems(answer)],
        }
        for name, answer in answers.items()
    }
    return json.dumps({"format": FORMAT, "version": VERSION, "hosts": hosts}, indent=2) + "\n"


def print_gpus(answers: Mapping[str, Answer], console: Console) -> None:
    """Print the table, below it what is wrong and what to do about it, and what the fleet has in all."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in ("HOST", "DRIVER", "CUDA", "GPUS", "HEALTH"):
        table.add_column(name, overflow="fold", no_wrap=name in ("DRIVER", "CUDA"))
    for host, answer in answers.items():
        table.add_row(visible_line(host), *_cells(answer))
    with console.capture() as captured:
        console.print(table)
        for part in _advice(answers):
            console.print(part)
        console.print(_total(answers))
    for row in captured.get().splitlines():
        encoded = row.rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


def _cells(answer: Answer) -> Iterator[Text]:
    if isinstance(answer, HostError):
        yield from (Text("-", "dim"), Text("-", "dim"), Text("-", "dim"), Text("unreachable", "bold red"))
        return
    yield Text(visible_line(answer.driver.version) if answer.driver else "-")
    yield Text(visible_line(answer.cuda or "-"))
    gpus = Text("\n".join(f"{count} {visible_line(_short(kind))}" for kind, count in answer.kinds.items()) or "none")
    yield gpus.append(" (simulated)", "magenta") if answer.simulated else gpus
    shown = [problem for problem in problems(answer) if problem.severity is not Severity.NOTE]
    if not shown:
        yield Text("ok", "green") if answer.gpus else Text("-", "dim")
        return
    codes = dict.fromkeys((problem.code, problem.severity) for problem in shown)
    yield Text("\n").join(Text(code, _STYLES[severity]) for code, severity in codes)


def _short(kind: str) -> str:
    return kind.removeprefix("NVIDIA ")


def _advice(answers: Mapping[str, Answer]) -> Iterator[RenderableType]:
    """Say each problem once, with all hosts and GPUs that have it."""
    told: dict[tuple[str, str, str, str], list[str]] = {}
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            told.setdefault((f"could not be asked: {answer}", "", "bold red", ""), []).append(host)
            continue
        for (text, advice, severity), gpus in _by_gpu(answer).items():
            told.setdefault((text, advice, _STYLES[severity], gpus), []).append(host)
    for (text, advice, style, gpus), hosts in told.items():
        yield Text("\n").append(visible_line(fold_hosts(hosts)), "bold").append(f"  {gpus}" if gpus else "")
        words = Text(visible_line(text), style).append(f"\n{visible_line(advice)}" if advice else "", "default")
        yield Padding(words, (0, 0, 0, 2), expand=False)


def _by_gpu(host: GpuHost) -> dict[tuple[str, str, Severity], str]:
    """Return each problem with the GPUs that have it, named as `GPU [0:7]`."""
    gpus: dict[tuple[str, str, Severity], list[str]] = {}
    for problem in problems(host):
        if problem.severity is not Severity.NOTE:
            names = gpus.setdefault((problem.text, problem.advice, problem.severity), [])
            names += [] if problem.gpu is None else [str(problem.gpu)]
    return {key: f"GPU {fold_hosts(names)}" if names else "" for key, names in gpus.items()}


def _total(answers: Mapping[str, Answer]) -> Text:
    hosts: Sequence[GpuHost] = [answer for answer in answers.values() if isinstance(answer, GpuHost)]
    count = sum(len(host.gpus) for host in hosts)
    troubled = sum(any(each.severity is not Severity.NOTE for each in problems(host)) for host in hosts)
    words = [f"{counted(count, 'GPU')} on {counted(len(hosts), 'host')}"]
    words += [f"{troubled} with problems"] if troubled else []
    words += [f"{len(answers) - len(hosts)} unreachable"] if len(hosts) < len(answers) else []
    if any(host.simulated for host in hosts):
        words.append("simulated GPUs are fleetenv's lab's, not hardware")
    return Text("\n" + "; ".join(words), "bold")
