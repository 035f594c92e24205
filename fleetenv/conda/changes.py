"""What a new lock has otherwise than the old one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleetenv.conda.lock import CondaPackage, Lock, PipPackage, PlatformLock


@dataclass(frozen=True, slots=True)
class Change:
    """One package that is new (no `old`), gone (no `new`), or another one, on some platforms."""

    platforms: tuple[str, ...]
    package: str
    old: str | None  # its version; with the build where only that differs
    new: str | None
    channel: str  # conda-forge, or pip; `main -> conda-forge` where it has moved


def changes(old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """Compare two locks package by package; what changes alike on several platforms is one change."""
    found: dict[tuple[str, str | None, str | None, str], list[str]] = {}
    before = old.platforms if old else {}
    for platform in sorted({*before, *new.platforms}):
        was, now = _packages(before.get(platform)), _packages(new.platforms.get(platform))
        for kind, name in sorted({*was, *now}, key=lambda key: (key[1], key[0])):
            left, right = was.get((kind, name)), now.get((kind, name))
            if left != right:
                found.setdefault((name, *_versions(left, right), _channel(left, right)), []).append(platform)
    return tuple(Change(tuple(platforms), *what) for what, platforms in found.items())


def _packages(lock: PlatformLock | None) -> dict[tuple[str, str], CondaPackage | PipPackage]:
    packages: Iterable[CondaPackage | PipPackage] = (*lock.conda, *lock.pip) if lock else ()
    return {("pip" if isinstance(each, PipPackage) else "conda", each.name): each for each in packages}


def _versions(
    old: CondaPackage | PipPackage | None, new: CondaPackage | PipPackage | None
) -> tuple[str | None, str | None]:
    if old is None or new is None or old.version != new.version:
        return old.version if old else None, new.version if new else None
    left, right = _exact(old), _exact(new)
    return (left, right) if left != right else (f"{left} {_file(old)}", f"{right} {_file(new)}")


def _exact(package: CondaPackage | PipPackage) -> str:
    return f"{package.version} {package.build}" if isinstance(package, CondaPackage) else package.version


def _file(package: CondaPackage | PipPackage) -> str:
    return f"sha256:{package.sha256[:8]}" if package.sha256 else package.url.rpartition("@")[2][:8]


def _channel(old: CondaPackage | PipPackage | None, new: CondaPackage | PipPackage | None) -> str:
    names = [each.channel if isinstance(each, CondaPackage) else "pip" for each in (old, new) if each]
    return " -> ".join(dict.fromkeys(names))
