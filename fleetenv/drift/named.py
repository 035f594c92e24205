"""What a playbook speaks of on one host, against which all else there is unmanaged."""

from __future__ import annotations

from msgspec import Struct

from fleetenv.state import Place


class Named(Struct, frozen=True):
    """What the tasks name on one host.

    Attributes:
        places: All that they speak of.
        told: Paths of these about which a finding against the playbook tells already.
        homes: Folders in which the host's users keep what is theirs.
        whole: Whether all tasks were looked at: otherwise nobody knows what else they would have named.
    """

    places: frozenset[Place] = frozenset()
    told: frozenset[str] = frozenset()
    homes: tuple[str, ...] = ()
    whole: bool = True

    def has(self, kind: str, path: str) -> bool:
        """Whether a task names this."""
        return any(place.kind == kind and _is(place.path, path) for place in self.places)

    def is_told(self, path: str) -> bool:
        """Whether a finding tells of this already."""
        return any(_is(each, path) for each in self.told)

    def is_private(self, path: str) -> bool:
        """Whether this is some user's own: in a home, and not what a task names."""
        if any(_is(place.path, path) or path.startswith(f"{place.path}/") for place in self.places):
            return False
        return any(path.startswith(f"{home}/") for home in self.homes if home not in ("", "/"))


def _is(named: str, path: str) -> bool:
    """Whether a place, which may be below `~`, is this absolute path."""
    return path.endswith(named[1:]) if named.startswith("~/") else named == path
