"""What hosts have, in the words of other tools: one file a format, each with `render(locked) -> str`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from fleetenv.conda.lock import CondaPackage, Lock, PlatformLock
from fleetenv.conda.solve import DEFAULT_PLATFORM
from fleetenv.conda.spec import Spec
from fleetenv.errors import InputError

FORMATS: Mapping[str, str] = {
    "explicit": "conda's list of exact URLs: conda create --file",
    "explicit-md5": "the same for conda before 24.9, which reads no sha256",
    "environment.yml": "exact versions and builds: conda env create --file",
    "requirements": "the pip section with hashes: pip install --require-hashes",
    "dockerfile": "an image with the environment",
    "github-actions": "a workflow that builds the environment, and keeps it by the lock's hash",
    "gitlab-ci": "the same as a job of GitLab's",
}
"""The formats, and what each is for."""

_CREDENTIALS = re.compile(r"(?<=://)\S*@")


@dataclass(frozen=True)
class Locked:
    """A spec and what its lock says for one platform."""

    spec: Spec
    lock: Lock
    platform: PlatformLock

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.spec.name

    @property
    def title(self) -> str:
        """One line that says what this is."""
        return f"{self.name} for {self.platform.platform}, exactly as {self.spec.path.stem}.lock says"

    @property
    def pip_options(self) -> list[str]:
        """The lines of the pip section that say where packages come from; without credentials."""
        return [f"{each.option} {_CREDENTIALS.sub('', each.value)}" for each in self.spec.pip_options]

    @property
    def has_pip(self) -> bool:
        """Whether the environment has a pip of its own."""
        return any(each.name == "pip" for each in self.platform.conda)


def render(to: str, locked: Locked) -> str:
    """Return an environment in one of [`FORMATS`][].

    Raises:
        InputError: the format cannot say what the environment has.
    """
    text: str = import_module(f"fleetenv.conda.export.{re.sub('[.-]', '_', to)}").render(locked)
    return text


def locked_for(spec: Spec, lock: Lock, platform: str | None) -> Locked:
    """Choose a platform of a lock; None: the only one, or linux-64.

    Raises:
        InputError: the lock has no packages for it.
    """
    platforms = lock.platforms
    chosen = platform or (next(iter(platforms)) if len(platforms) == 1 else DEFAULT_PLATFORM)
    if chosen not in platforms:
        have = ", ".join(platforms)
        raise InputError(f"{lock.path} has no packages for {chosen}", hint=f"it has {have}; say one with --platform")
    return Locked(spec, lock, platforms[chosen])


def in_order(packages: tuple[CondaPackage, ...]) -> list[CondaPackage]:
    """Sort packages so that each comes after what it depends on; in a circle, by name."""
    by_name = {each.name: each for each in packages}
    done: dict[str, CondaPackage] = {}
    begun: set[str] = set()
    stack = sorted(by_name, reverse=True)
    while stack:
        name = stack[-1]
        if name not in begun:
            begun.add(name)
            needs = {depend.split()[0] for depend in by_name[name].depends if depend.strip()}
            stack += sorted((need for need in needs if need in by_name and need not in begun), reverse=True)
        else:
            stack.pop()
            done.setdefault(name, by_name[name])
    return list(done.values())
