"""What a spec and its lock mean for hosts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

from fleetenv.conda.environment import wanted_packages, wanted_pip
from fleetenv.conda.lock import Lock
from fleetenv.conda.spec import Spec
from fleetenv.conda.virtual import mentions


class Plan(Struct, frozen=True, dict=True):
    """A spec and its lock, and what follows from them for each platform; the same for all hosts."""

    spec: Spec
    lock: Lock | None  # None: the environment is to be absent

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The end of a generation's name, for each platform: it tells which packages and variables are in it."""
        variables = json.dumps(dict(self.spec.variables), sort_keys=True)
        platforms = self.lock.platforms.items() if self.lock else ()
        return {
            platform: hashlib.sha256(f"{locked.digest} {variables}".encode()).hexdigest()[:12]
            for platform, locked in platforms
        }

    @cached_property
    def needs_cuda(self) -> bool:
        """Whether a host's NVIDIA driver matters."""
        platforms = self.lock.platforms.values() if self.lock else ()
        return any(mentions(locked.conda, "__cuda") for locked in platforms)

    @cached_property
    def needs_access(self) -> bool:
        """Whether owner, group or mode of the environment's folder matter."""
        settings = self.spec.settings
        return any((settings.owner, settings.group, settings.mode))

    @cached_property
    def wanted(self) -> Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]]:
        """Conda's and pip's packages as they will be seen, for each platform."""
        platforms = self.lock.platforms.items() if self.lock else ()
        return {name: (wanted_packages(locked.conda), wanted_pip(locked.pip)) for name, locked in platforms}
