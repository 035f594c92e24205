"""What a look at the fleet found: hosts by items, and what is not the same everywhere. Plain data, nothing rendered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.snapshot import Snapshot
from fleetenv.events import TaskRef
from fleetenv.state import Content, Difference, Leaf, Place

_ABSENT = (("state", "present", "absent"), ("present", True, False))


class Verdict(StrEnum):
    """How one task, or one host, compares with what the playbook says. The worst comes first."""

    UNREACHABLE = "unreachable"  # could not be looked at
    FAILED = "failed"  # looked at, and the task cannot do what it says
    DRIFT = "drift"
    IGNORED = "ignored"  # failed, and the playbook lets that pass
    SAME = "same"
    SKIPPED = "skipped"  # not compared: `when`, or an action that check mode does not carry out

    @property
    def is_finding(self) -> bool:
        """Whether somebody should look."""
        return self in (Verdict.UNREACHABLE, Verdict.FAILED, Verdict.DRIFT)


class Item(Struct, frozen=True):
    """A task of the playbook, or one item of its loop: what a host is compared by. `number` counts from 0."""

    number: int
    task: TaskRef
    item: str | None = None

    @property
    def title(self) -> str:
        """The task's name and its item, as hosts or users wrote them."""
        return self.task.name if self.item is None else f"{self.task.name} ({self.item})"


class Cell(Struct, frozen=True):
    """One host compared by one item. Texts may come from the host."""

    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    msg: str = ""
    simulated: bool = False  # what was seen is of fleetenv's lab, not of hardware
    places: tuple[Place, ...] = ()  # what the task speaks of on this host

    @property
    def essential(self) -> tuple[Difference, ...]:
        """Differences without those that only follow: of a thing that is not there, its absence and its content."""
        if not self.is_absent:
            return self.differences
        return tuple(each for each in self.differences if _says_absent(each) or isinstance(each.wanted, Content))

    @property
    def is_absent(self) -> bool:
        """Whether it differs by not being there at all."""
        return any(_says_absent(each) for each in self.differences)


def _says_absent(difference: Difference) -> bool:
    """Whether the whole thing is not there: as `compare` says it, or states that have such a field."""
    return (difference.key, difference.wanted, difference.found) in _ABSENT


class HostReport(Struct, frozen=True):
    """One host. `lost` is why it could not be looked at, or not to the end; `cells` are by item number."""

    name: str
    cells: Mapping[int, Cell] = field(default_factory=dict)
    lost: str | None = None
    groups: tuple[str, ...] = ()  # of the inventory
    early: bool = False  # its look ended before the playbook did

    @property
    def verdict(self) -> Verdict:
        """The worst of all its cells."""
        if self.lost is not None:
            return Verdict.UNREACHABLE
        verdicts = {cell.verdict for cell in self.cells.values()}
        return next((verdict for verdict in Verdict if verdict in verdicts), Verdict.SKIPPED)

    @property
    def findings(self) -> Iterator[tuple[int, Cell]]:
        """Yield the cells that somebody should look at, in the playbook's order."""
        return ((number, self.cells[number]) for number in sorted(self.cells) if self.cells[number].verdict.is_finding)


class Uneven(Struct, frozen=True):
    """One value that is not the same on all hosts of a play. `values` is the commonest first; None: it is not there.

    `in_playbook`: every host's task says what it should be, so that outliers are findings already.
    """

    item: Item
    key: str
    values: tuple[tuple[Leaf, tuple[str, ...]], ...]
    in_playbook: bool = False
    simulated: bool = False

    @property
    def has_majority(self) -> bool:
        """Whether more hosts have the first value than all others together."""
        first, *others = (len(hosts) for _, hosts in self.values)
        return first > sum(others)


class DriftReport(Struct, frozen=True):
    """A look at the whole fleet.

    `items` and `hosts` are the comparison with the playbook, cell by cell. `findings` are all that somebody should look
    at, whatever a host was compared with, in order: host by host as in `hosts`, the worst first. Reports that show
    findings need no other field; the cells of a finding with `item` have its differences in full.
    """

    playbook: str
    items: tuple[Item, ...]
    hosts: tuple[HostReport, ...]
    uneven: tuple[Uneven, ...] = ()
    seconds: float = 0.0
    interrupted: bool = False
    taken: datetime | None = None  # when the look ended, with its time zone
    findings: tuple[Finding, ...] = ()
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)  # by host; of those that could be looked at
    since: datetime | None = None  # what `Against.TIME` compares with; None: nothing earlier

    @property
    def counts(self) -> Counter[Verdict]:
        """How many hosts there are of each verdict."""
        return Counter(host.verdict for host in self.hosts)

    @property
    def drifting(self) -> tuple[Finding, ...]:
        """The findings that count: neither notes nor waived."""
        return tuple(finding for finding in self.findings if finding.is_drift)

    @property
    def simulated(self) -> int:
        """On how many hosts something was seen that fleetenv's lab simulates."""
        return sum(any(cell.simulated for cell in host.cells.values()) for host in self.hosts)

    @property
    def exit_status(self) -> int:
        """0: nothing that counts; 4: some host could not be looked at; 2: drift, or worse; 130: the user ended it."""
        if self.interrupted:
            return 130
        against = {finding.against for finding in self.drifting}
        if Against.REACH in against:
            return 4
        return 2 if against & {Against.PLAYBOOK, Against.CARE} else 0
