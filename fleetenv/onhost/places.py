"""Where environments are on this host: those of a Miniconda prefix, and those that conda has registered elsewhere."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .generations import Generations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BASE = "base"


@dataclass(frozen=True)
class Place:
    """One environment."""

    name: str  # under which conda knows it; of one that lies elsewhere its whole path
    path: Path
    managed: bool  # one of fleetenv's


def environments(prefix: Path) -> list[Place]:
    """List base and the environments in PREFIX/envs, by name."""
    found = [Place(BASE, prefix, managed=False)] if _is_environment(prefix) else []
    folder = prefix / "envs"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return found + [
        Place(path.name, path, Generations(prefix, path.name).current() is not None)
        for path in paths
        if not path.name.startswith(".") and _is_environment(path)
    ]


def elsewhere(prefix: Path) -> list[Place]:
    """List the environments that users have registered with conda and that do not lie in the prefix."""
    real = os.path.realpath(prefix)
    found = {}
    for path in registered():
        place = os.path.realpath(path)
        if place != real and not place.startswith(f"{real}/") and _is_environment(path):
            found[place] = Place(str(path), path, managed=False)
    return [found[place] for place in sorted(found)]


def registered(within: Iterable[Path] | None = None) -> Iterator[Path]:
    """Yield what `~/.conda/environments.txt` lists in these homes, else in all users', as far as it can be read."""
    for home in homes() if within is None else within:
        with suppress(OSError):
            for line in (home / ".conda" / "environments.txt").read_text("utf-8", "replace").splitlines():
                if line.startswith("/"):
                    yield Path(line.strip())


def register(link: Path, *, registered: bool) -> None:
    """Keep conda's list of environments, ~/.conda/environments.txt; a mere convenience: failures do not count."""
    listed = Path.home() / ".conda" / "environments.txt"
    with suppress(OSError):
        lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
        wanted = [line for line in lines if line != str(link)] + ([str(link)] if registered else [])
        if wanted != lines:
            listed.parent.mkdir(exist_ok=True)
            draft = listed.with_name(f".environments.txt-{os.getpid()}")
            draft.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
            draft.replace(listed)


def homes() -> list[Path]:
    """List the homes of all users: of this one, of those that the host knows, and what lies in /home."""
    homes = {Path.home(), *(Path(each.pw_dir) for each in pwd.getpwall() if each.pw_dir.startswith("/"))}
    with suppress(OSError):
        homes.update(Path("/home").iterdir())  # of users whom only a directory service knows
    return sorted(homes)


def _is_environment(path: Path) -> bool:
    try:
        return (path / "conda-meta" / "history").is_file() or any((path / "conda-meta").glob("*.json"))
    except OSError:
        return False
