"""What came of trying GPUs with an environment, as a table for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TypeAlias

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleetenv.errors import HostError
from fleetenv.gpu.devices import Device, devices
from fleetenv.gpu.diagnosis import driver_problem
from fleetenv.gpu.states import GpuHost
from fleetenv.onhost.smoke import FRAMEWORKS, Smoke, Trial
from fleetenv.report.hosts import brief_hosts, fold_hosts
from fleetenv.report.text import counted, visible_line

FORMAT = "fleetenv.gpu-smoke"
VERSION = 1

SLOW = 0.75
"""A GPU is slow when it does less than this part of its like: the median of its model, framework and version."""

_TRIALS = len(FRAMEWORKS) + 1  # of one GPU at most: a host may say anything
_LONGEST = 1000  # characters of what a host says
_FASTEST = 1e8  # GFLOP/s that are believed
_WIDEST = 24  # of the column of hosts
_LIKE = 3  # GPUs that must be alike before one is called slow
_STYLES = {"failed": "red", "hung": "bold red", "busy": "yellow", "ok": "green", "cpu-build": "dim"}
_FAILURES = ("failed", "hung")


@dataclass(frozen=True)
class Smoked:
    """What one host has, and what came of trying it; None: there was nothing to try it on."""

    gpus: GpuHost
    smoke: Smoke | None

    @property
    def problem(self) -> str | None:
        """Why not all GPUs of this host can be used at all."""
        found = driver_problem(self.gpus)
        return None if found is None or found.code in ("no-gpu", "passed-through") else found.text

    @property
    def results(self) -> Iterator[tuple[Device, Trial]]:
        """Each device with each framework that was tried on it. What a host tells of others counts for nothing."""
        told = {each.device: each.trials[:_TRIALS] for each in self.smoke.tried} if self.smoke else {}
        for device in devices(self.gpus) if self.smoke else ():
            for trial in told.get(device.visible) or [Trial("", "failed", "no answer")]:
                yield device, trial

    @property
    def failed(self) -> bool:
        """Whether a GPU failed, or cannot be used."""
        return self.problem is not None or any(trial.state in _FAILURES for _, trial in self.results)


Answer: TypeAlias = Smoked | HostError
"""What came of a host, or why it could not be asked."""


def smoke_json(environment: str, answers: Mapping[str, Answer]) -> str:
    """Return one JSON document, in ASCII. A host that could not be asked has only `error`."""
    usual = _usual(answers)
    hosts = {
        name: {"error": str(answer)} if isinstance(answer, HostError) else _host_document(answer, usual)
        for name, answer in answers.items()
    }
    document = {"format": FORMAT, "version": VERSION, "environment": environment, "hosts": hosts}
    return json.dumps(document, indent=2) + "\n"


def _host_document(host: Smoked, usual: Mapping[_Kind, float]) -> dict[str, object]:
    trials: dict[Device, list[object]] = {}
    for device, trial in host.results:
        trials.setdefault(device, []).append({**asdict(trial), "slow": _is_slow(device, trial, usual)})
    return {
        "error": None,
        "failed": host.failed,
        "problem": host.problem,
        "lost": host.gpus.lost,
        "driver": host.gpus.driver.version if host.gpus.driver else None,
        "simulated": host.gpus.simulated,
        "generation": (host.smoke.generation or None) if host.smoke else None,
        "frameworks": host.smoke.frameworks if host.smoke else [],
        "devices": [{**msgspec.to_builtins(device), "trials": each} for device, each in trials.items()],
    }


def print_smoke(environment: str, answers: Mapping[str, Answer], console: Console) -> None:
    """Print a row for alike hosts and a framework; below it which GPUs failed, are slow, or could not be tried."""
    usual = _usual(answers)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in ("HOSTS", "GPUS", "WITH", "RESULT"):
        table.add_column(name, overflow="fold")
    for name in ("GFLOP/S", "MS"):
        table.add_column(name, justify="right", no_wrap=True)
    for hosts in _alike(answers):
        for cells in _rows([answers[host] for host in hosts]):
            table.add_row(visible_line(brief_hosts(hosts, _WIDEST)), *cells)
    with console.capture() as captured:
        console.print(table)
        for part in _findings(answers, usual):
            console.print(part)
        console.print(_total(environment, answers))
    for row in captured.get().splitlines():
        encoded = row.rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


def _alike(answers: Mapping[str, Answer]) -> list[list[str]]:
    """Put hosts together that have the same GPUs and the same results, but for how fast they are."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for host, answer in answers.items():
        key: tuple[object, ...] = ()
        if isinstance(answer, Smoked):
            states = tuple((_name(trial), trial.state) for _, trial in answer.results)
            key = (
                tuple(answer.gpus.kinds.items()),
                answer.gpus.simulated,
                answer.problem is None,
                tuple(sorted(states)),
            )
        groups.setdefault(key, []).append(host)
    return list(groups.values())


def _rows(alike: Sequence[Answer]) -> Iterator[tuple[Text, ...]]:
    """Return a row for each framework that alike hosts were tried with."""
    hosts = [answer for answer in alike if isinstance(answer, Smoked)]
    if not hosts:
        yield Text("-", "dim"), Text("-", "dim"), Text("not asked", "bold red"), Text(), Text()
        return
    first = hosts[0]
    kinds = ", ".join(f"{count} {kind.removeprefix('NVIDIA ')}" for kind, count in first.gpus.kinds.items())
    models = Text(visible_line(kinds or "none"))
    if first.gpus.simulated:
        models.append(" (simulated)", "magenta")
    if first.smoke is None:
        result = Text("failed", "red") if first.problem else Text("not tried" if first.gpus.gpus else "-", "dim")
        yield models, Text("-", "dim"), result, Text(), Text()
        return
    by_name: dict[str, list[Trial]] = {}
    for host in hosts:
        for _, trial in host.results:
            by_name.setdefault(_name(trial), []).append(trial)
    for name, trials in by_name.items():
        yield models, Text(visible_line(name)), _states(trials, len(hosts)), *_speed(trials)
        models = Text()


def _name(trial: Trial) -> str:
    """Name the framework and its version; of the driver the CUDA that it supports."""
    if trial.framework == "driver":
        return f"driver (CUDA {trial.version[:40]})" if trial.version else "driver"
    return f"{trial.framework or '-'} {trial.version}"[:40].strip()


def _states(trials: Sequence[Trial], hosts: int) -> Text:
    """Count the states on one of so many alike hosts."""
    counts = Counter(trial.state for trial in trials)
    return Text(", ").join(
        Text(f"{count // hosts} {visible_line(state[:20])}", _STYLES.get(state, "red"))
        for state, count in counts.items()
    )


def _speed(trials: Sequence[Trial]) -> tuple[Text, Text]:
    """Return the slowest and the fastest GPU's GFLOP/s, and the median time of a product, in milliseconds."""
    good = [trial for trial in trials if trial.state == "ok"]
    if not good:
        return Text("-", "dim"), Text("-", "dim")
    low, high = _gflops(min(each.gflops for each in good)), _gflops(max(each.gflops for each in good))
    milliseconds = min(median(each.seconds for each in good) * 1000, _FASTEST)
    return Text(low if low == high else f"{low}-{high}"), Text(f"{milliseconds:.2f}")


def _gflops(speed: float) -> str:
    return f"{min(speed, _FASTEST):,.0f}"


_Kind: TypeAlias = tuple[str, str, str]
"""What is alike in speed: model, framework and version."""


def _usual(answers: Mapping[str, Answer]) -> dict[_Kind, float]:
    """Return the usual speed of each kind of which there are enough."""
    speeds: dict[_Kind, list[float]] = {}
    for answer in answers.values():
        if isinstance(answer, Smoked):
            for device, trial in answer.results:
                if trial.state == "ok":
                    speeds.setdefault(_kind(device, trial), []).append(trial.gflops)
    return {kind: median(each) for kind, each in speeds.items() if len(each) >= _LIKE}


def _kind(device: Device, trial: Trial) -> _Kind:
    return device.kind, trial.framework, trial.version


def _is_slow(device: Device, trial: Trial, usual: Mapping[_Kind, float]) -> bool:
    like = usual.get(_kind(device, trial))
    return trial.state == "ok" and like is not None and trial.gflops < SLOW * like


def _findings(answers: Mapping[str, Answer], usual: Mapping[_Kind, float]) -> Iterator[RenderableType]:
    """Say what is wrong: of a single GPU with its index, UUID and bus, of a whole host once for all alike hosts."""
    told: dict[tuple[str, str], list[str]] = {}
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            told.setdefault((f"not tried: {answer}", "bold red"), []).append(host)
            continue
        if answer.problem:
            told.setdefault((answer.problem, "red"), []).append(host)
        yield from _device_findings(host, answer, usual, told)
    for (text, style), hosts in told.items():
        yield _finding(visible_line(fold_hosts(hosts)), visible_line(text), style)


def _device_findings(
    host: str, answer: Smoked, usual: Mapping[_Kind, float], told: dict[tuple[str, str], list[str]]
) -> Iterator[RenderableType]:
    """Say what is wrong with single devices; what all of them say goes into `told`, with other hosts that say it."""
    by_text: dict[tuple[str, str], list[Device]] = {}
    for device, trial in answer.results:
        if trial.state not in ("ok", "cpu-build"):
            text = f"{_name(trial)}: {trial.state}: {trial.text}"[:_LONGEST]
            by_text.setdefault((text, _STYLES.get(trial.state, "red")), []).append(device)
        elif _is_slow(device, trial, usual):
            like = _gflops(usual[_kind(device, trial)])
            text = f"{_name(trial)}: slow: {_gflops(trial.gflops)} GFLOP/s, its like do {like}"
            by_text.setdefault((text, "yellow"), []).append(device)
    count = len(devices(answer.gpus))
    for (text, style), those in by_text.items():
        if len(those) == count > 1:  # then it is not a GPU's fault
            told.setdefault((f"all GPUs: {text}", style), []).append(host)
            continue
        for device in those:
            yield _finding(visible_line(f"{host}  {device}"), visible_line(text), style)


def _finding(subject: str, text: str, style: str) -> RenderableType:
    return Group(Text("\n").append(subject, "bold"), Padding(Text(text, style), (0, 0, 0, 2)))


def _total(environment: str, answers: Mapping[str, Answer]) -> Text:
    hosts = [answer for answer in answers.values() if isinstance(answer, Smoked)]
    count = sum(len(host.gpus.gpus) for host in hosts)
    bad = sum(len({device.index for device, trial in host.results if trial.state in _FAILURES}) for host in hosts)
    words = [f"{environment}: {counted(count, 'GPU')} on {counted(len(hosts), 'host')}, {bad} failed"]
    words += [f"{len(answers) - len(hosts)} not asked"] if len(hosts) < len(answers) else []
    if any(host.gpus.simulated for host in hosts):
        words.append("simulated GPUs are fleetenv's lab's, not hardware")
    return Text("\n" + "; ".join(words), "bold")
