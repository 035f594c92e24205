"""What was changed in the fleet's environments, as text for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.text import Text

from fleetenv.errors import HostError
from fleetenv.onhost.contents import Finding
from fleetenv.onhost.verification import Verification, Verifications
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.tables import cells, failure, plain_table, print_parts
from fleetenv.report.text import counted, visible_line

Answer: TypeAlias = Verifications | HostError
"""What was seen on a host, or why nothing was."""

FORMAT = "fleetenv.verify"
VERSION = 1
_ROWS = 20  # of one environment
_STYLES = {"overwritten": "red", "changed": "red", "missing": "red", "added": "yellow", "owner": "yellow"}


def verification_json(answers: Mapping[str, Answer], *, deep: bool) -> str:
    """Return one JSON document, in ASCII. A host that failed has only `error`."""
    hosts = {
        name: {"error": str(answer)} if isinstance(answer, HostError) else {"error": None, **asdict(answer)}
        for name, answer in answers.items()
    }
    return json.dumps({"format": FORMAT, "version": VERSION, "deep": deep, "hosts": hosts}, indent=2) + "\n"


def print_verification(answers: Mapping[str, Answer], console: Console) -> None:
    """Print each environment with findings, those that are alike once, and what it amounts to."""
    print_parts(console, [*_alike(answers), *_below(answers)])


def _alike(answers: Mapping[str, Answer]) -> Iterator[RenderableType]:
    """Yield the findings; hosts of which the very same is to be told share them."""
    told: dict[tuple[str, str, tuple[Finding, ...], int], list[str]] = {}
    for host, answer in answers.items():
        if not isinstance(answer, HostError):
            for each in answer.environments:
                if each.findings:
                    key = (each.name, each.generation, tuple(each.findings), each.more)
                    told.setdefault(key, []).append(host)
    for (name, generation, findings, more), hosts in told.items():
        title = Text(f"{visible_line(fold_hosts(hosts))}  ", "bold").append(visible_line(name))
        yield title.append(f"  {visible_line(generation)}", "dim")
        yield from _findings(findings, more)
        yield Text("")


def _findings(findings: tuple[Finding, ...], more: int) -> Iterator[RenderableType]:
    table = plain_table(("", "FILE", "PACKAGE", ""), narrow=("",))
    for finding in findings[:_ROWS]:
        kind = Text(f"  {visible_line(finding.kind)}", _STYLES.get(finding.kind, ""))
        table.add_row(kind, *cells(finding.path, finding.package or "-", finding.detail))
    yield table
    hidden = len(findings) - _ROWS + more
    if hidden > 0:
        yield Text(f"  and {hidden} more{'' if more else ': --json names them'}")


def _below(answers: Mapping[str, Answer]) -> Iterator[RenderableType]:
    seen: list[Verification] = []
    hosts = 0
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            yield failure(host, answer)
        else:
            hosts += 1
            seen += answer.environments
    found = sum(len(each.findings) + each.more for each in seen)
    where = f"{counted(sum(each.files for each in seen), 'file')} of {counted(len(seen), 'environment')}"
    yield Text(
        f"{counted(found, 'finding') if found else 'nothing changed'} in {where} on {counted(hosts, 'host')}", "bold"
    )
