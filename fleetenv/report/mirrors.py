"""How fast hosts see mirrors, as a table for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleetenv.conda.channels import Mirror, without_credentials
from fleetenv.conda.mirror_speed import HostMirrors, MirrorSpeed
from fleetenv.errors import HostError
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import counted, visible_line

Answer: TypeAlias = HostMirrors | HostError
"""What a host saw, or why it could not be asked."""

FORMAT = "fleetenv.mirrors"
VERSION = 1


def mirrors_json(answers: Mapping[str, Answer], mirrors: Mapping[str, Mirror]) -> str:
    """Return one JSON document, in ASCII. A host that could not be asked has only `error`."""
    hosts = {
        name: {"error": str(answer)}
        if isinstance(answer, HostError)
        else {
            "error": None,
            "tool": answer.tool,
            "fastest": answer.fastest and _name(answer.fastest),
            "mirrors": {_name(mirror): _plain(speed) for mirror, speed in answer.mirrors.items()},
        }
        for name, answer in answers.items()
    }
    urls = {_name(name): without_credentials(mirror.cloud) for name, mirror in mirrors.items()}
    return json.dumps({"format": FORMAT, "version": VERSION, "mirrors": urls, "hosts": hosts}, indent=2) + "\n"


def _plain(speed: MirrorSpeed) -> Mapping[str, object]:
    return {
        "error": speed.error,
        "latency_s": speed.latency,
        "bytes": speed.bytes,
        "seconds": speed.seconds,
        "bytes_per_second": round(speed.rate),
    }


def print_mirrors(answers: Mapping[str, Answer], mirrors: Mapping[str, Mirror], console: Console) -> None:
    """Print the table, below it what did not answer and why, and which mirror most hosts find fastest."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("HOST", overflow="fold")
    for name in mirrors:
        table.add_column(visible_line(_name(name)), overflow="fold")
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            table.add_row(visible_line(host), Text("not asked", "bold red"))
        else:
            fastest = answer.fastest
            table.add_row(
                visible_line(host), *(_cell(each, fastest=name == fastest) for name, each in answer.mirrors.items())
            )
    with console.capture() as captured:
        console.print(table)
        console.print(Text("MB/s, and milliseconds until the answer began; * is a host's fastest", "dim"))
        for line in _troubles(answers):
            console.print(line)
        console.print(_total(answers))
    for row in captured.get().splitlines():
        encoded = row.rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


def _name(mirror: str) -> str:
    """Return how a mirror is called: a preset's name, or its URL without a password."""
    return without_credentials(mirror) if "://" in mirror else mirror


def _cell(speed: MirrorSpeed, *, fastest: bool) -> Text:
    if speed.error is not None:
        return Text("-", "dim")
    text = Text(f"{speed.rate / 1e6:.{1 if speed.rate >= 1e6 else 2}f}{'*' if fastest else ''}", "green" * fastest)
    return text.append(f"\n{speed.latency * 1000:.0f} ms", "dim") if speed.latency is not None else text


def _troubles(answers: Mapping[str, Answer]) -> Iterator[Text]:
    """Say each trouble once, with all hosts that have it."""
    told: dict[str, list[str]] = {}
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            told.setdefault(f"could not be asked: {answer}", []).append(host)
            continue
        named: dict[str, list[str]] = {}
        for name, speed in answer.mirrors.items():
            if speed.error is not None:
                named.setdefault(speed.error, []).append(_name(name))
        for error, names in named.items():
            told.setdefault(f"{', '.join(names)}: {error}", []).append(host)
    for text, hosts in told.items():
        yield Text("\n").append(visible_line(fold_hosts(hosts)), "bold").append(f"  {visible_line(text)}", "default")


def _total(answers: Mapping[str, Answer]) -> Text:
    best = Counter(answer.fastest for answer in answers.values() if isinstance(answer, HostMirrors) and answer.fastest)
    if not best:
        return Text("\nno mirror answered any host", "bold")
    words = [f"{_name(name)} for {counted(count, 'host')}" for name, count in best.most_common()]
    return Text(f"\nfastest: {', '.join(words)}", "bold")
