"""What a virtualenv is made of when the controller downloads for hosts: wheels, resolved for the host's own Python.

With hashes in the requirements only those files count; without, what the index has now, the same for all hosts alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleetenv.conda.beneath import Beneath
from fleetenv.conda.distributions import Distribution
from fleetenv.conda.lock import PipPackage, Target
from fleetenv.conda.requirement import normalized
from fleetenv.conda.requirements_file import Requirements
from fleetenv.conda.resolution import Limits, PipIndex, Unresolved, answer, chosen
from fleetenv.conda.store import PackageStore, with_account
from fleetenv.conda.virtual import PLATFORMS
from fleetenv.errors import TaskFailed
from fleetenv.onhost.download import RemoteFile
from fleetenv.onhost.wheels import Wheel, file_name
from fleetenv.remote import Offer

_OVER = "or use packages_via: host, where each host's pip builds it"
_NAMED = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_INDEX = re.compile(r"(?:-i|--index-url)(?:[ =]|\Z)")


class LayerWheels:
    """The wheels of virtualenvs with the same requirements, resolved once a run for all hosts alike.

    Args:
        wishes: What the requirements say.
        index: The package index; otherwise what the requirements say, else uv's own.
        store: Where the files go.
    """

    def __init__(self, wishes: Requirements, index: str | None, store: PackageStore) -> None:
        self._wishes = wishes
        self._index = index
        self._store = store
        self._found: dict[Beneath, list[PipPackage] | str] = {}

    def for_host(self, beneath: Beneath) -> tuple[list[Wheel], tuple[Offer, ...]]:
        """Return what a host installs, and how it is offered that.

        Raises:
            TaskFailed: it cannot be resolved, or has to be built.
        """
        if beneath not in self._found:
            try:
                self._found[beneath] = self._resolve(beneath)
            except Unresolved as error:
                self._found[beneath] = error.reason
        packages = self._found[beneath]
        if isinstance(packages, str):
            raise TaskFailed(
                f"its packages cannot be resolved for Python {beneath.python} on {beneath.machine}: {packages}"
            )
        wheels = [Wheel(each.name, each.version, each.url, each.sha256, direct=False) for each in packages]
        files = [RemoteFile(each.file_name, each.sha256, [with_account(each.url, self._index)]) for each in wheels]
        return wheels, tuple(self._store.offer(file) for file in files)

    def _resolve(self, beneath: Beneath) -> list[PipPackage]:
        platform = PLATFORMS.get(beneath.machine)
        if platform is None or not beneath.glibc:
            raise Unresolved("there is nothing that says which wheels fit it; use packages_via: host")
        target = Target(platform, (f"__glibc={beneath.glibc}",))
        lines = [line for line in self._wishes.lines if not (self._index and _INDEX.match(line))]
        named = {normalized(match[0]) for line in lines if (match := _NAMED.match(line))}
        index = PipIndex(self._index)
        beneath_it = [Distribution(*each) for each in beneath.packages]

        def resolved(provided: Sequence[Distribution]) -> list[Mapping[str, Any]]:
            return answer(lines, target, beneath.python, index, Limits(provided, constraints=self._wishes.constraints))

        try:
            packages = resolved(beneath_it)
        except Unresolved as error:
            others = [each for each in beneath_it if each.name not in named]
            if error.unreachable or len(others) == len(beneath_it):
                raise
            packages = resolved(others)  # what the requirements name may be another version than the environment's
        provided = {each.name for each in beneath_it}
        return list(self._wheels(packages, provided))

    def _wheels(self, packages: Sequence[Mapping[str, Any]], provided: set[str]) -> Iterator[PipPackage]:
        allowed = self._hashes()
        for package in packages:
            name = normalized(str(package["name"]))
            if self._wishes.hashed and name not in provided and not allowed.get(name):
                raise Unresolved(f"{name} is needed, and the requirements have no hash for it")
            known = allowed.get(name)
            wheels = [
                each for each in package.get("wheels", []) if not known or each.get("hashes", {}).get("sha256") in known
            ]
            found = chosen({**package, "wheels": wheels})
            if found is None and "archive" in package:
                continue  # a stand-in: it lies beneath
            if found is None or not file_name(found.url).endswith(".whl"):
                has = "no wheel with a hash of the requirements" if known else "no wheel"
                raise Unresolved(f"{name} {package.get('version')} has {has}; ask for a version that has one, {_OVER}")
            if known and found.sha256 not in known:  # a requirement that names its file
                raise Unresolved(f"{file_name(found.url)} has none of the hashes that the requirements have for {name}")
            yield found

    def _hashes(self) -> Mapping[str, set[str]]:
        """Return which files the requirements allow, by normalised name; none for a name: any."""
        found: dict[str, set[str]] = {}
        for line in self._wishes.lines:
            if match := _NAMED.match(line):
                found.setdefault(normalized(match[0]), set()).update(_HASH.findall(line))
        return found
