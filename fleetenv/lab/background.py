"""Embedded hosts that stay when the command that started them ends: `fleetenv lab up` and `down`."""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetenv.errors import FleetenvError, InputError
from fleetenv.lab import embedded, fleet
from fleetenv.lab.embedded import EmbeddedHost
from fleetenv.lab.nvidia_smi import Gpus

_PROCESS_ID = "lab.pid"
_PATIENCE = 10.0  # seconds that the hosts' process has to end


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab's folder, and whether its hosts run."""

    folder: Path

    @property
    def exists(self) -> bool:
        """Whether a lab was ever started here and not purged since."""
        return (self.folder / "hosts").is_dir() and (self.folder / fleet.PRIVATE_KEY).is_file()

    @property
    def running(self) -> bool:
        """Whether the hosts' process lives."""
        descriptor = self._open_process()
        if descriptor is None:
            return False
        os.close(descriptor)
        return True

    def up(self, hosts: int, gpus: Gpus | None) -> Sequence[EmbeddedHost]:
        """Start the hosts; those that the folder holds already come back with their files.

        Raises:
            InputError: they run already, or the folder is used for something else.
        """
        if self.running:
            raise InputError(f"the lab in {self.folder} is up already", hint="'fleetenv lab down' ends it")
        made = embedded.prepare(self.folder, hosts, gpus)
        (process,) = embedded.serve(self.folder, made, detached=True)
        (self.folder / _PROCESS_ID).write_text(f"{process.pid}\n")
        return made

    def down(self) -> bool:
        """End the hosts and all that runs on them; say whether there was something to end.

        Raises:
            InputError: there is no lab in the folder.
            FleetenvError: its process does not end.
        """
        if not self.exists:
            raise InputError(f"there is no lab in {self.folder}", hint="--folder says where it is")
        descriptor = self._open_process()
        (self.folder / _PROCESS_ID).unlink(missing_ok=True)
        if descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            if not select.select([descriptor], [], [], _PATIENCE)[0]:
                raise FleetenvError(f"the lab's process does not end; its log is {self.folder / embedded.LOG}")
        finally:
            os.close(descriptor)
        return True

    def purge(self) -> None:
        """Remove all that a lab put into its folder, and the folder when nothing else is in it."""
        shutil.rmtree(self.folder / "hosts")
        private_key = fleet.PRIVATE_KEY
        for name in (
            fleet.INVENTORY,
            fleet.KNOWN_HOSTS,
            fleet.SSH_CONFIG,
            private_key,
            f"{private_key}.pub",
            embedded.LOG,
            embedded.CONNECTIONS,
        ):
            (self.folder / name).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _open_process(self) -> int | None:
        """Return a pidfd of the hosts' process; None: it is gone, even if its number lives on in another process."""
        try:
            process = int((self.folder / _PROCESS_ID).read_text())
            descriptor = os.pidfd_open(process)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return None
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        except OSError:
            words = []
        if {embedded.SERVER.encode(), os.fsencode(self.folder.resolve())} <= set(words):
            return descriptor
        os.close(descriptor)
        return None
