"""Which hosts can run which environments, as a table for people and as JSON."""

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
from fleetenv.gpu.fitness import Fit, Fitness, driver_for_all
from fleetenv.gpu.matrix import Environment, Suited
from fleetenv.gpu.needs import Needs, Reason
from fleetenv.gpu.states import GpuHost
from fleetenv.report.hosts import brief_hosts, fold_hosts, name_hosts
from fleetenv.report.text import counted, visible_line

FORMAT = "fleetenv.gpu-envs"
VERSION = 1

_REASONS = 3  # that are named of an environment
_WIDEST = 24  # of the columns that name hosts and models
_GAP = 2  # between columns
_CELLS = {
    Fitness.RUNS: ("runs", "green"),
    Fitness.CPU_ONLY: ("CPU only", "dim"),
    Fitness.MINOR: ("minor", "yellow"),
    Fitness.NEW_GPU: ("new GPU", "yellow"),
    Fitness.NEEDS_DRIVER: ("driver", "red"),
    Fitness.OLD_GPU: ("old GPU", "red"),
    Fitness.NO_GPU: ("no GPU", "red"),
    Fitness.NOT_LOCKED: ("not locked", "red"),
}


Answer: TypeAlias = Suited | HostError
"""What a host can run, or why it could not be asked."""


def matrix_json(environments: Mapping[str, Environment], answers: Mapping[str, Answer]) -> str:
    """Return one JSON document, in ASCII. A host that could not be asked has only `error`."""
    driver, full_driver = driver_for_all(_fits(answers))
    document = {
        "format": FORMAT,
        "version": VERSION,
        "environments": {
            name: {
                "lock": each.lock,
                "platforms": {
                    platform: {"cpu_only": needs.cpu_only, **msgspec.to_builtins(needs)}
                    for platform, needs in each.needs.items()
                },
            }
            for name, each in environments.items()
        },
        "driver_for_all": driver,
        "full_driver_for_all": full_driver,
        "hosts": {name: _host_document(answer) for name, answer in answers.items()},
    }
    return json.dumps(document, indent=2) + "\n"


def _host_document(answer: Answer) -> dict[str, object]:
    if isinstance(answer, HostError):
        return {"error": str(answer)}
    driver, full_driver = driver_for_all(answer.fits.values())
    return {
        "error": None,
        "platform": answer.platform,
        "driver": answer.gpus.driver.version if answer.gpus.driver else None,
        "cuda": answer.gpus.cuda,
        "gpus": answer.gpus.kinds,
        "simulated": answer.gpus.simulated,
        "environments": {
            name: {"cuda": answer.needs.get(name, Needs()).cuda, "runs": each.fitness.runs, **msgspec.to_builtins(each)}
            for name, each in answer.fits.items()
        },
        "driver_for_all": driver,
        "full_driver_for_all": full_driver,
    }


def print_matrix(environments: Mapping[str, Environment], answers: Mapping[str, Answer], console: Console) -> None:
    """Print hosts by environments, alike hosts in one row; below it why, and which driver would let all run."""
    with console.capture() as captured:
        for table in _tables(environments, _alike(answers), console.width):
            console.print(table)
            console.print()
        console.print(_environments(environments))
        for part in _advice(answers):
            console.print(part)
        console.print(_total(environments, answers))
    for row in captured.get().splitlines():
        encoded = row.rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


def _alike(answers: Mapping[str, Answer]) -> list[tuple[str, Answer]]:
    """Put hosts together that show the same row; return their folded names and one of them."""
    rows: dict[tuple[object, ...], list[str]] = {}
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            rows.setdefault(("unreachable",), []).append(host)
        else:
            cells = tuple((name, each.fitness, each.driver) for name, each in answer.fits.items())
            key = (answer.platform, _driver(answer.gpus), _models(answer.gpus), answer.gpus.simulated, cells)
            rows.setdefault(key, []).append(host)
    return [(visible_line(brief_hosts(hosts, 2 * _WIDEST)), answers[hosts[0]]) for hosts in rows.values()]


def _tables(
    environments: Mapping[str, Environment], rows: Sequence[tuple[str, Answer]], width: int
) -> Iterator[RenderableType]:
    """Return hosts by environments; where the terminal is too narrow for these, environments by numbered hosts."""
    heads = [_head(hosts, answer) for hosts, answer in rows]
    columns = {name: [_cell(answer, name) for _, answer in rows] for name in environments}
    used = sum(max(min(cell.cell_len, _WIDEST) for cell in column) + _GAP for column in zip(*heads, strict=True))
    if used + sum(_needed_width(name, cells) for name, cells in columns.items()) <= width:
        yield _by_host(heads, columns)
        return
    yield _by_host([(Text(str(number)), *head) for number, head in enumerate(heads, 1)], {})
    room = width - max(map(len, environments)) - _GAP
    taken: list[int] = []
    needed = [_needed_width("", [cells[index] for cells in columns.values()]) for index in range(len(rows))]
    for index, one in enumerate(needed):
        if taken and sum(needed[each] for each in taken) + one > room:
            yield _by_environment(taken, columns)
            taken = []
        taken.append(index)
    yield _by_environment(taken, columns)


def _needed_width(title: str, cells: Sequence[Text]) -> int:
    return max(len(title), *(cell.cell_len for cell in cells)) + _GAP


def _by_host(heads: Sequence[Sequence[Text]], columns: Mapping[str, Sequence[Text]]) -> Table:
    titles = ("HOSTS", "DRIVER", "GPUS")
    table = _bare_table("#", *titles) if heads and len(heads[0]) > len(titles) else _bare_table(*titles)
    for name in columns:
        table.add_column(visible_line(name), overflow="fold")
    for index, head in enumerate(heads):
        table.add_row(*head, *(cells[index] for cells in columns.values()))
    return table


def _by_environment(numbers: Sequence[int], columns: Mapping[str, Sequence[Text]]) -> Table:
    table = _bare_table("ENVIRONMENT", *(f"#{number + 1}" for number in numbers))
    for name, cells in columns.items():
        table.add_row(Text(visible_line(name)), *(cells[number] for number in numbers))
    return table


def _bare_table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for title in titles:
        named = title in ("HOSTS", "GPUS")
        table.add_column(title, overflow="fold", max_width=_WIDEST if named else None, no_wrap=title == "DRIVER")
    return table


def _head(hosts: str, answer: Answer) -> tuple[Text, Text, Text]:
    if isinstance(answer, HostError):
        return Text(hosts), Text("-"), Text("unreachable", "bold red")
    models = Text(visible_line(_models(answer.gpus)))
    if answer.gpus.simulated:
        models.append(" (simulated)", "magenta")
    return Text(hosts), Text(_driver(answer.gpus)), models


def _cell(answer: Answer, environment: str) -> Text:
    if isinstance(answer, HostError) or environment not in answer.fits:
        return Text("-")
    one = answer.fits[environment]
    word, style = _CELLS[one.fitness]
    count = len(answer.gpus.gpus)
    if one.gpus and one.fitness.runs:
        return Text(f"{word} ({count - len(one.gpus)} of {count} GPUs)", "yellow")
    return Text(f">= {one.driver}" if one.fitness is Fitness.NEEDS_DRIVER and one.driver else word, style)


def _driver(host: GpuHost) -> str:
    return visible_line(host.driver.version) if host.driver else "-"


def _models(host: GpuHost) -> str:
    """Name the models, without how many there are: that does not matter here."""
    return ", ".join(dict.fromkeys(gpu.model.removeprefix("NVIDIA ") for gpu in host.gpus)) or "none"


def _environments(environments: Mapping[str, Environment]) -> Table:
    """Say what each environment needs, and which packages say so."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for name, each in environments.items():
        for platform, needs in each.needs.items():
            label = f"{name} ({platform})" if len(each.needs) > 1 else name
            table.add_row(Text(visible_line(label), "bold"), *_needed(needs))
    return table


def _needed(needs: Needs) -> tuple[Text, Text]:
    if needs.cpu_only:
        return Text("CPU only"), Text("")
    if needs.rocm and not needs.reasons:
        return Text(f"ROCm {needs.rocm}"), Text("")
    said = [_said(reason) for reason in needs.reasons if reason.cuda == needs.cuda]
    said += [f"__cuda {each.spec} ({each.package})" for each in needs.virtual if each.required]
    more = [f"and {len(said) - _REASONS} more"] if len(said) > _REASONS else []
    what = "GPU" if needs.cuda is None else f"CUDA {needs.cuda if '.' in needs.cuda else f'{needs.cuda}.x'}"
    return Text(what, no_wrap=True), Text(visible_line(", ".join(said[:_REASONS] + more)))


def _said(reason: Reason) -> str:
    kind, _, value = reason.says.partition(" ")
    return reason.package if kind == "name" else f"{reason.package} {value}"


def _advice(answers: Mapping[str, Answer]) -> Iterator[RenderableType]:
    """Say once, with all hosts that it is true of, what keeps environments from running, and what would let them."""
    told: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            told.setdefault(((f"could not be asked: {answer}", "bold red"),), []).append(host)
        elif lines := tuple(_lines(answer)):
            told.setdefault(lines, []).append(host)
    for lines, hosts in told.items():
        yield Text("\n").append("\n".join(map(visible_line, name_hosts(hosts, everyone=False))), "bold")
        words = Text("\n").join(Text(visible_line(text), style) for text, style in lines)
        yield Padding(words, (0, 0, 0, 2), expand=False)


def _lines(host: Suited) -> Iterator[tuple[str, str]]:
    for text, (one, names) in _same_reasons(host.fits).items():
        gpus = f" (GPU {fold_hosts(map(str, one.gpus))})" if one.gpus else ""
        yield f"{', '.join(names)}: {text}{gpus}", _CELLS[one.fitness][1]
        if one.compat and not one.fitness.runs:
            yield f"  without a new driver: package {one.compat} (data centre GPUs), on the LD_LIBRARY_PATH", "default"
    driver, full_driver = driver_for_all(host.fits.values())
    if driver:
        entirely = f", {full_driver} or newer entirely" if full_driver and full_driver != driver else ""
        yield f"driver {driver} or newer runs what these GPUs can run{entirely}", "default"
    elif full_driver:
        yield f"driver {full_driver} or newer supports all of it entirely", "default"


def _same_reasons(fits: Mapping[str, Fit]) -> dict[str, tuple[Fit, list[str]]]:
    """Put environments together of which the same is to be said."""
    told: dict[str, tuple[Fit, list[str]]] = {}
    for name, one in fits.items():
        if one.text and one.fitness is not Fitness.NO_GPU:  # the cell says that
            told.setdefault(one.text, (one, []))[1].append(name)
    return told


def _fits(answers: Mapping[str, Answer]) -> list[Fit]:
    return [one for answer in answers.values() if isinstance(answer, Suited) for one in answer.fits.values()]


def _total(environments: Mapping[str, Environment], answers: Mapping[str, Answer]) -> Text:
    hosts = [answer for answer in answers.values() if isinstance(answer, Suited)]
    pairs = _fits(answers)
    running = sum(each.fitness.runs for each in pairs)
    driver, _ = driver_for_all(pairs)
    names = f"{counted(len(environments), 'environment')} on {counted(len(hosts), 'host')}"
    words = [f"{names}: {running} of {len(pairs)} can run"]
    words += [f"{len(answers) - len(hosts)} unreachable"] if len(hosts) < len(answers) else []
    words += [f"driver {driver} would do for all that need a newer one"] if driver else []
    if any(host.gpus.simulated for host in hosts):
        words.append("simulated GPUs are fleetenv's lab's, not hardware")
    return Text("\n" + "; ".join(words), "bold")
