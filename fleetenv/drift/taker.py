"""Takes a census in a drift run: learns from the run what the playbook speaks of, and asks each host at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleetenv.drift.census import Seen, questions, seen
from fleetenv.errors import InputError
from fleetenv.events import Event, HostAnswered, HostLost, Sink, TaskFinished
from fleetenv.remote import Probe
from fleetenv.source import SourceText, Value
from fleetenv.state import Place

DEFAULT_PREFIX = "/opt/miniconda3"
HOMES = "drift_homes"
"""The variable that says into whose homes to look: `all` users', or the account's `own`."""


class CensusTaker(Sink):
    """Listens to a run; `taken` is what was seen, by host."""

    def __init__(self, *, deep: bool) -> None:
        self.taken: dict[str, Seen] = {}
        self._deep = deep
        self._places: dict[str, dict[Place, None]] = {}
        self._prefixes: dict[str, list[str]] = {}
        self._lost: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case TaskFinished() if event.places:
                self._places.setdefault(event.host, {}).update(dict.fromkeys(event.places))
            case HostLost():
                self._lost.add(event.host)
            case HostAnswered():
                self.taken[event.host] = seen(event.answers, self._prefixes[event.host])

    def close(self) -> None:
        """Nothing to write."""

    def questions(self, host: str, variables: Mapping[str, Value]) -> Sequence[Probe[object]]:
        """Return what to ask a host after the plays, given its variables; nothing, when it is out of reach."""
        if host in self._lost:
            return ()
        places = self._places.get(host, {})
        prefixes = list(dict.fromkeys(place.path for place in places if place.kind == "miniconda"))
        self._prefixes[host] = prefixes or [_prefix(variables)]
        everywhere = variables.get(HOMES, "all") != "own"
        return questions(places, self._prefixes[host], all_homes=everywhere, deep=self._deep)


def check_homes(value: object) -> None:
    """Check a value of the variable that says into whose homes to look.

    Raises:
        InputError: it is none.
    """
    if value not in ("all", "own"):
        where = value.location if isinstance(value, SourceText) else None
        raise InputError(f"{HOMES} is '{value}'", location=where, hint="it must be 'all' or 'own'")


def _prefix(variables: Mapping[str, Value]) -> str:
    """Return where the inventory says that Miniconda is."""
    try:
        prefix = variables.get("conda_prefix")
    except InputError:  # it depends on what only a task tells
        prefix = None
    return prefix if isinstance(prefix, str) and prefix.startswith(("/", "~/")) else DEFAULT_PREFIX
