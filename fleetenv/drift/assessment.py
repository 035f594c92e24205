"""What a look at the fleet means: its findings, of all kinds, in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date

from msgspec import Struct, field
from msgspec.structs import replace

from fleetenv.drift.about import About
from fleetenv.drift.care import care_findings
from fleetenv.drift.census import Seen
from fleetenv.drift.commands import Commands
from fleetenv.drift.disks import disk_findings
from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.fleet import unevenness_findings
from fleetenv.drift.gpus import gpu_findings
from fleetenv.drift.named import Named
from fleetenv.drift.outliers import SECTIONS, fleet_findings
from fleetenv.drift.report import DriftReport, HostReport
from fleetenv.drift.sections import typed
from fleetenv.drift.snapshot import Plain, Snapshot
from fleetenv.drift.tasks import task_findings
from fleetenv.drift.waivers import Rule, waived
from fleetenv.state import Place


class Scene(Struct, frozen=True, kw_only=True):
    """What a look at the fleet is judged by, beside the report of the playbook's tasks.

    Attributes:
        commands: Writes the commands that mend; None: for the report's playbook, with the default inventory.
        seen: The census of each host; none where it was not taken.
        states: The section `tasks` of each host's snapshot.
        changed: Tells, given the snapshots, what changed since an earlier look; None: nobody asked.
        only: What hosts are compared with.
        whole: Whether all tasks of the playbook were looked at, not only those with some tags.
        rules: What may pass, for each host.
        today: The day that rules are held against; None: that on which the report was taken.
    """

    commands: Commands | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    states: Mapping[str, Plain] = field(default_factory=dict)
    changed: Callable[[Mapping[str, Snapshot]], Iterable[Finding]] | None = None
    only: frozenset[Against] = frozenset(Against)
    whole: bool = True
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    today: date | None = None


def assessed(report: DriftReport, scene: Scene | None = None) -> DriftReport:
    """Return the report with its findings and the hosts' snapshots."""
    scene = scene or Scene()
    snapshots = dict(_snapshots(report, scene))
    found = [each for each in _all(report, scene, snapshots) if each.against in scene.only]
    if scene.rules:
        today = scene.today or (report.taken.date() if report.taken else date.min)
        found = list(waived(found, scene.rules, today))
    return replace(report, findings=_ordered(report, found), snapshots=snapshots)


def _all(report: DriftReport, scene: Scene, snapshots: Mapping[str, Snapshot]) -> Iterator[Finding]:
    commands = scene.commands or Commands(report.playbook)
    against_playbook = list(task_findings(report.items, report.hosts, commands))
    yield from against_playbook
    for host in report.hosts:
        if host.name in scene.seen:
            yield from _host(host, scene, commands)
    told = {(each.host, each.item) for each in against_playbook}  # a driver that is too old is not called unusual, too
    for uneven in report.uneven:
        for finding in unevenness_findings(uneven):
            surveyed = SECTIONS.get(uneven.item.task.module) in snapshots.get(finding.host, ())
            if not surveyed and (finding.host, finding.item) not in told:
                yield finding
    settled = {host.name: _settled(report, host) for host in report.hosts}
    yield from fleet_findings(snapshots, _groups(report), settled)
    if scene.changed:
        yield from scene.changed(snapshots)


def _host(host: HostReport, scene: Scene, commands: Commands) -> Iterator[Finding]:
    seen = scene.seen[host.name]
    places = {place for cell in host.cells.values() for place in cell.places}
    told = frozenset(place.path for _, cell in host.findings for place in cell.places if place in _own(cell.places))
    whole = scene.whole and not host.early and host.lost is None
    about = About(host.name, Named(frozenset(places), told, seen.homes, whole), commands)
    if seen.failed:
        advice = f"see what it says itself: {commands.on(host.name, 'envs')}"
        yield about.finding("not-surveyed", "census", "; ".join(dict.fromkeys(seen.failed)), advice)
    sections = typed(seen.snapshot)
    yield from care_findings(about, sections)
    yield from disk_findings(about, seen.disks, [path for path, each in sections.miniconda.items() if each.asked])
    if seen.gpus:
        yield from gpu_findings(host, seen.gpus)


def _groups(report: DriftReport) -> Mapping[str, list[str]]:
    """Return the hosts of each of the inventory's groups."""
    groups: dict[str, list[str]] = {"all": [host.name for host in report.hosts]}
    for host in report.hosts:
        for name in host.groups:
            groups.setdefault(name, []).append(host.name)
    return groups


def _own(places: Iterable[Place]) -> tuple[Place, ...]:
    """Return what a task is about: of an environment and its Miniconda only the first."""
    found = tuple(places)
    return tuple(place for place in found if place.kind != "miniconda") or found


def _settled(report: DriftReport, host: HostReport) -> frozenset[str]:
    """Name what the playbook speaks of, so that hosts need not be compared by it: if it differs, a finding tells."""
    named = {
        place.path.rpartition("/envs/")[2] if place.kind == "environment" else place.path
        for cell in host.cells.values()
        for place in cell.places
        if place.kind != "miniconda"
    }
    return frozenset(named | {SECTIONS.get(report.items[number].task.module, "") for number, _ in host.findings})


def _snapshots(report: DriftReport, scene: Scene) -> Iterator[tuple[str, Snapshot]]:
    """Yield the snapshots of hosts whose census was taken; without `tasks` where not all of them were come to."""
    for host in report.hosts:
        seen = scene.seen.get(host.name)
        if seen and seen.snapshot:
            is_whole = scene.whole and not host.early and host.name in scene.states
            yield host.name, seen.snapshot | ({"tasks": scene.states[host.name]} if is_whole else {})


def _ordered(report: DriftReport, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort by host, then the worst first, then as they came; of two with one identity the first stays."""
    places = {host.name: place for place, host in enumerate(report.hosts)}
    kept: dict[tuple[str, str, str], Finding] = {}
    for each in sorted(findings, key=lambda each: (places[each.host], each.severity.rank)):
        kept.setdefault(each.identity, each)
    return tuple(kept.values())
