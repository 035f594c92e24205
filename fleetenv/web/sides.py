"""Two snapshots side by side, value by value."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from fleetenv.drift.snapshot import Path, Plain, Snapshot, leaves


class Side(Struct, frozen=True):
    """One value in two snapshots. `left_has` and `right_has` say whether it is there at all: it may be null."""

    path: Path
    left: Plain
    right: Plain
    left_has: bool = True
    right_has: bool = True

    @property
    def is_identity(self) -> bool:
        """Whether it names one piece of hardware, so that it differs on any two hosts."""
        return self.path[0] == "gpus" and self.path[-1] in ("uuid", "serial")

    @property
    def is_same(self) -> bool:
        """Whether both have it, and it is equal."""
        return self.left_has and self.right_has and self.left == self.right


def side_by_side(left: Snapshot, right: Snapshot) -> Iterator[Side]:
    """Yield every value of either, in the order of paths. A section that only one looked at is left out."""
    for section in sorted(left.keys() & right.keys()):
        ours = dict(leaves(left[section], (section,)))
        theirs = dict(leaves(right[section], (section,)))
        for path in sorted(ours.keys() | theirs.keys()):
            has = path in ours, path in theirs
            if not all(has) and _is_empty_mapping(path, ours, theirs):
                continue
            yield Side(path, ours.get(path), theirs.get(path), *has)


def _is_empty_mapping(path: Path, ours: dict[Path, Plain], theirs: dict[Path, Plain]) -> bool:
    """Whether one side's empty mapping stands where the other has values below it: those say it."""
    return ours.get(path, theirs.get(path)) == {}
