"""How far a run has come, in numbers that fit on one line however many hosts there are."""

from __future__ import annotations

from fleetenv.events import Event, HostBegun, HostEnded, HostLost, PlayStarted, Status, TaskFinished


class Standing:
    """Counts the hosts of the present play, or of its present batch."""

    def __init__(self) -> None:
        self.play = ""
        self.hosts = 0
        self.done = 0
        self.at_work = 0
        self._failed: set[str] = set()
        self._lost: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case PlayStarted():
                self.play, self.hosts, self.done, self.at_work = event.play, len(event.hosts), 0, 0
            case HostBegun():
                self.at_work += 1
            case HostEnded():
                self.at_work -= 1
                self.done += 1
            case TaskFinished(status=Status.FAILED):
                self._failed.add(event.host)
            case HostLost():
                self._lost.add(event.host)

    @property
    def rest(self) -> str:
        """Everything but how many are done."""
        parts = [f"{self.at_work} at work"]
        parts += [f"{len(self._failed)} failed"] if self._failed else []
        parts += [f"{len(self._lost)} unreachable"] if self._lost else []
        return ", ".join(parts)
