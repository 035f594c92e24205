"""Findings that hosts share, told once: hosts by what they have, so that 400 hosts are a screenful."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.report import Cell, DriftReport
from fleetenv.report.difference import value_text
from fleetenv.report.drift import words
from fleetenv.severity import Severity


class Shared(Struct, frozen=True):
    """One finding that several hosts have alike, maybe on several GPUs; and its cell, if it is against the playbook."""

    findings: tuple[Finding, ...]
    cell: Cell | None = None

    @property
    def first(self) -> Finding:
        """The first host's: what it says holds for all, but for the host's name."""
        return self.findings[0]

    @property
    def is_told_by_values(self) -> bool:
        """Whether the cell's differences tell all that the finding's text says."""
        return self.cell is not None and bool(self.cell.essential) and not self.cell.msg

    @property
    def hosts(self) -> tuple[str, ...]:
        """Who has it."""
        return tuple(dict.fromkeys(each.host for each in self.findings))

    @property
    def subject(self) -> str:
        """What it is about, on one line."""
        return words.subject_of(self.findings)


class Section(Struct, frozen=True):
    """Hosts, and what all of them have: the worst first."""

    hosts: tuple[str, ...]
    shared: tuple[Shared, ...]

    @property
    def worst(self) -> Finding:
        """What the section stands under."""
        return self.shared[0].first


class Sharing:
    """Tells which findings of a report are the same but for the host."""

    def __init__(self, report: DriftReport) -> None:
        self._hosts = {host.name: host for host in report.hosts}

    def cell(self, finding: Finding) -> Cell | None:
        """Return all that differs, of a finding against the playbook."""
        if finding.against is not Against.PLAYBOOK or finding.item is None or finding.host not in self._hosts:
            return None
        return self._hosts[finding.host].cells.get(finding.item)

    def shared(self, findings: Iterable[Finding]) -> list[Shared]:
        """Return each finding once, with all that have it: the worst first, then the commonest."""
        found = [Shared(group, self.cell(group[0])) for group in alike(findings, self._key)]
        return sorted(found, key=lambda each: (each.first.severity.rank, -len(each.hosts)))

    def sections(self, findings: Iterable[Finding]) -> list[Section]:
        """Return findings by hosts, the worst first, then what most hosts have.

        Hosts with the very same findings share a section. Where hosts have them in so many combinations that it is
        shorter, each finding is a section of its own.
        """
        shared = self.shared(findings)
        by_host: dict[str, list[int]] = {}
        for number, each in enumerate(shared):
            for host in each.hosts:
                by_host.setdefault(host, []).append(number)
        alike: dict[tuple[int, ...], list[str]] = {}
        for host, numbers in by_host.items():
            alike.setdefault(tuple(numbers), []).append(host)
        if sum(len(numbers) for numbers in alike) > 2 * len(shared):
            return [Section(each.hosts, (each,)) for each in shared]
        sections = [
            Section(tuple(hosts), tuple(_only(shared[number], hosts) for number in numbers))
            for numbers, hosts in alike.items()
        ]
        return sorted(sections, key=lambda each: (_badness(each.worst), -len(each.hosts)))

    def _key(self, finding: Finding) -> object:
        cell = self.cell(finding)
        differences = cell.essential if cell is not None else ()
        return (
            words.gpuless(finding),
            tuple((each.key, value_text(each.wanted), value_text(each.found)) for each in differences),
        )


def alike(findings: Iterable[Finding], key: Callable[[Finding], object] = words.gpuless) -> list[tuple[Finding, ...]]:
    """Put findings together that are told as one: of several hosts, and of the same GPUs of each.

    Eight GPUs with ECC errors are one thing to do; hosts of which others have them are told apart.

    Args:
        findings: any.
        key: what findings of two hosts, or of two GPUs, must share.
    """
    of_hosts: dict[tuple[str, object], list[Finding]] = {}
    for each in findings:
        of_hosts.setdefault((each.host, key(each)), []).append(each)
    groups: dict[object, list[Finding]] = {}
    for (_, shared), own in of_hosts.items():
        groups.setdefault((shared, tuple(each.subject for each in own)), []).extend(own)
    return [tuple(group) for group in groups.values()]


def untold_notes(report: DriftReport) -> list[Finding]:
    """Return the notes, but for outliers of values that stand under `uneven`, with all their hosts."""
    told = {
        (host, each.key.removeprefix("packages."))
        for each in report.uneven
        if not each.in_playbook and each.has_majority
        for _, hosts in each.values[1:]
        for host in hosts
    }
    notes = [each for each in report.findings if each.severity is Severity.NOTE and each.waiver is None]
    return [each for each in notes if each.against is not Against.FLEET or _outlier(each) not in told]


def _outlier(finding: Finding) -> tuple[str, str]:
    """Return host and value of an outlier: the last word of its subject."""
    return finding.host, finding.subject.rpartition(": ")[2].removeprefix("packages.")


def _only(shared: Shared, hosts: Iterable[str]) -> Shared:
    """Leave the findings of these hosts."""
    names = frozenset(hosts)
    return Shared(tuple(each for each in shared.findings if each.host in names), shared.cell)


def _badness(finding: Finding) -> tuple[bool, int]:
    """Sort hosts that could not be looked at first: nothing else is known of them."""
    return not words.is_lost(finding), finding.severity.rank
