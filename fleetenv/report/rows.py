"""The rows of a recap: one for each host, or, of a large fleet, one for all hosts that fared alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from msgspec import Struct

from fleetenv.report.hosts import name_hosts
from fleetenv.report.recap import HostCounts
from fleetenv.report.text import counted

ROWS_SHOWN = 24
"""More hosts than this, and those that fared alike share a row."""


class Row(Struct, frozen=True):
    """A line, and its style."""

    text: str
    style: str


def recap_rows(hosts: Mapping[str, HostCounts]) -> Iterator[Row]:
    """Yield the rows of a recap."""
    if len(hosts) <= ROWS_SHOWN:
        width = max((len(host) for host in hosts), default=0)
        for host, counts in hosts.items():
            yield Row(f"  {host:<{width}}  {_counts([counts])}", _style(counts))
        return
    groups = _grouped(hosts, HostCounts.as_tuple)
    if len(groups) > ROWS_SHOWN:  # a run that was ended early leaves every host at another task
        groups = _grouped(hosts, _style)
    groups.sort(key=lambda names: (_style(hosts[names[0]]) == "red", -len(names)))
    width = max(len(counted(len(names), "host")) for names in groups)
    for names in groups:
        style = _style(hosts[names[0]])
        yield Row(f"  {counted(len(names), 'host'):<{width}}  {_counts([hosts[name] for name in names])}", style)
        if style != "green":
            yield from (Row(f"    {line}", style) for line in name_hosts(names, everyone=style == "red"))


def _grouped(hosts: Mapping[str, HostCounts], key: Callable[[HostCounts], Hashable]) -> list[list[str]]:
    groups: dict[Hashable, list[str]] = {}
    for host, counts in hosts.items():
        groups.setdefault(key(counts), []).append(host)
    return list(groups.values())


def _counts(group: Sequence[HostCounts]) -> str:
    shown = {name: _span([getattr(each, name) for each in group]) for name in HostCounts.__struct_fields__}
    text = (
        f"ok={shown['ok']:<3} changed={shown['changed']:<3} unreachable={shown['unreachable']} "
        f"failed={shown['failed']} skipped={shown['skipped']:<3}"
    )
    extra = [f"{name}={shown[name]}" for name in ("rescued", "ignored") if shown[name] != "0"]
    return " ".join([text, *extra]).rstrip()


def _span(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least}-{most}"


def _style(counts: HostCounts) -> str:
    if counts.unreachable or counts.failed:
        return "red"
    return "yellow" if counts.changed else "green"
