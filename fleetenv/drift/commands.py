"""The commands that mend what was found, ready to be pasted into a shell: with this run's playbook and inventory."""

from __future__ import annotations

from msgspec import Struct

from fleetenv.remote import sh

_EVERY_RUN = frozenset({"always", "never"})  # tags that choose more, or less, than the task that has them


class Commands(Struct, frozen=True):
    """Writes commands for one look at a fleet. `inventories` are as `-i` has them; none: the default inventory."""

    playbook: str
    inventories: tuple[str, ...] = ()

    def apply(self, host: str, tags: tuple[str, ...] = ()) -> str:
        """Return what brings one host back to the playbook; of a task's tags the first that tells it from others."""
        telling = next((tag for tag in tags if tag not in _EVERY_RUN), None)
        chosen = ("-t", telling) if telling else ()
        return sh("fleetenv", "apply", self.playbook, *self._inventory(), "-l", host, *chosen)

    def on(self, host: str, command: str, *words: str) -> str:
        """Return another command of fleetenv for one host: `ping`, `clean`, `gpu`, `verify`."""
        return sh("fleetenv", command, host, *words, *self._inventory())

    def _inventory(self) -> tuple[str, ...]:
        return tuple(word for each in self.inventories for word in ("-i", each))
