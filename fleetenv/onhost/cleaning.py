"""Removing what nobody needs any more: old generations, unfinished builds, environments, packages of the cache.

What a process has open stays, and so does every package that an environment is linked to, and every generation of an
environment that a virtualenv stands on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from .arrivals import FOLDER
from .disk import Tally, network_file_system
from .generations import Generations, every, hold, remove
from .layers import ARRIVALS, Layer, found, standing
from .layers import register as register_layer
from .lock import holder_of
from .places import BASE, elsewhere, environments, register
from .processes import Process, Processes, told
from .wheelcache import WheelCache

_SETTLED = 3600.0  # seconds without change after which nobody can be about to link a package, or to send the rest
_ARCHIVES = (".conda", ".tar.bz2")


@dataclass(frozen=True)
class Item:
    """One thing that goes, or that would go but for what `stays` says."""

    kind: str  # unfinished | generation | environment | virtualenv | package
    name: str
    size: int  # bytes that the disk gets back, hard links considered
    stays: str = ""


@dataclass(frozen=True)
class Cleaning:
    """What was removed, or, in check mode, would be."""

    items: list[Item]
    notes: list[str]


@dataclass(frozen=True)
class _Doomed:
    """One thing that is to go."""

    item: Item
    remove: Callable[[], object]


def answer(prefix: str, names: Sequence[str], keep: int, *, check: bool, who: str, wait: float) -> Cleaning:
    """Clean a Miniconda prefix.

    Args:
        prefix: The Miniconda prefix.
        names: Environments, and paths of virtualenvs, that are to be removed, whoever made them.
        keep: Generations of each environment and virtualenv that stay, the current one included.
        check: Whether nothing is to be changed.
        who: user@controller.
        wait: Seconds to wait for another fleetenv.
    """
    plan = _Plan(Path(prefix), names, keep)
    folders = plan.folders()
    if check:
        busy = [str(each) for folder in folders if (each := holder_of(folder))]
        notes = [f"what {each} is working on is not looked at" for each in busy]
        return Cleaning([doomed.item for doomed in plan.items(busy=bool(busy))], plan.notes() + notes)
    with ExitStack() as holding:
        for folder in folders:
            holding.enter_context(hold(folder, who, "cleaning", wait))
        plan = _Plan(Path(prefix), names, keep)  # as it is now that nobody changes it
        doomed = list(plan.items(busy=False))  # all of it before the first is removed: hard links are counted
        notes = plan.notes()
        items = [_carry_out(each) for each in doomed]
        plan.remove_empty()
        return Cleaning(items, notes)


def _carry_out(doomed: _Doomed) -> Item:
    if doomed.item.stays:
        return doomed.item
    try:
        doomed.remove()
    except OSError as error:
        return replace(doomed.item, size=0, stays=f"{error.filename}: {error.strerror}")
    return doomed.item


class _Plan:
    """What is to go, in the order in which it goes: a package becomes unreferenced as its last environment does."""

    def __init__(self, prefix: Path, names: Sequence[str], keep: int) -> None:
        self._prefix = prefix
        self._names = names
        self._keep = keep
        layers = self._layers = found(prefix)
        self._own = [layer for layer in layers if layer.managed and (layer.own or str(layer.path) in names)]
        generations = prefix / "envs" / ".fleetenv"
        self._is_guest = bool(self._own) and generations.is_dir() and not os.access(generations, os.W_OK)
        places = [place.path for place in environments(prefix)]  # some are links
        places += [path for layer in layers for path in (layer.path, *layer.copies)]
        self._processes = Processes(prefix, *places)
        self._removed = Tally()
        self._settled = time.time() - _SETTLED
        self._doomed: set[Path] = set()  # environments and generations

    def folders(self) -> list[Path]:
        """List the folders whose locks say that nobody is building: of environments, and of each virtualenv's place."""
        kept = {layer.generations.folder.parent for layer in self._own}
        return [*([] if self._is_guest else [self._prefix / "envs" / ".fleetenv"]), *sorted(kept)]

    def notes(self) -> list[str]:
        """Say which of the names are none of an environment here, and what could not be seen."""
        there = {place.name for place in environments(self._prefix)} | {each.name for each in every(self._prefix)}
        there |= {str(layer.path) for layer in self._layers}
        lacking = [name for name in self._names if name not in there]
        notes = [
            f"there is no virtualenv {name} on this Miniconda" if "/" in name else f"there is no environment '{name}'"
            for name in lacking
        ]
        notes += ["base is Miniconda's own, and stays"] if BASE in self._names else []
        if self._is_guest:
            notes.append(f"only virtualenvs of your own are looked at: what lies in {self._prefix} is others' to clean")
        kind = network_file_system(
            Path("/proc/self/mounts").read_text("utf-8", "replace"), os.path.realpath(self._prefix)
        )
        return notes + (
            [f"{self._prefix} is on {kind}: what other hosts' processes use cannot be seen"] if kind else []
        )

    def remove_empty(self) -> None:
        """Remove the folders of environments that have no generations any more."""
        for generations in (*every(self._prefix), *(layer.generations for layer in self._layers)):
            with suppress(OSError):
                generations.folder.rmdir()

    def items(self, *, busy: bool) -> Iterator[_Doomed]:
        """Yield what goes; `busy`: somebody is building, so that what looks unfinished or unused may not be."""
        for layer in self._layers:  # first: an environment's generation goes only when nothing stands on it
            if str(layer.path) in self._names:
                yield self._virtualenv(layer)
            elif layer in self._own:
                if not busy:
                    yield from self._unfinished(layer.generations)
                yield from self._copies(layer)
        if not busy:
            yield from self._arrivals()
        if self._is_guest:
            return
        for generations in every(self._prefix):
            if not busy:
                yield from self._unfinished(generations)
            if generations.name not in self._names:
                yield from self._generations(generations)
        for name in self._names:
            if name != BASE and "/" not in name:
                yield from self._environment(name)
        if not busy:
            yield from self._transfers()
            yield from self._packages()
            yield from self._wheels()

    def _unfinished(self, generations: Generations) -> Iterator[_Doomed]:
        for path in generations.unfinished():
            name = f"{generations.title}/{path.name}"
            yield self._item("unfinished", name, path, self._processes.using(path), partial(remove, path))

    def _generations(self, generations: Generations) -> Iterator[_Doomed]:
        """Yield old generations; all of an environment that was removed while processes used it."""
        left = not generations.link.is_symlink() and not generations.link.exists()
        whole = set(generations.whole())
        for path in generations.old(0 if left else self._keep):
            if path in whole:
                yield self._generation(generations, path, self._above(generations.name, path.name))

    def _copies(self, layer: Layer) -> Iterator[_Doomed]:
        """Yield old generations of a virtualenv, and such as cannot be gone back to: their interpreter is gone."""
        generations = layer.generations
        left = not generations.link.is_symlink()
        old, current = generations.old(0 if left else self._keep), generations.current()
        for path in generations.whole():
            said = standing(self._prefix, path)
            if path in old or (path != current and said is not None and not said.works):
                yield self._generation(generations, path)

    def _generation(self, generations: Generations, path: Path, above: str = "") -> _Doomed:
        name = f"{generations.title}/{path.name}"
        return self._whole("generation", name, [path], self._processes.using(path), partial(remove, path), above)

    def _virtualenv(self, layer: Layer) -> _Doomed:
        """Return a virtualenv that was named, with all its generations."""
        paths = [layer.path, *(path for path in layer.copies if path != layer.path)]

        def go() -> None:
            layer.generations.remove_all()
            register_layer(self._prefix, layer.path, registered=False)
            with suppress(OSError):  # there are others
                layer.generations.folder.parent.rmdir()

        return self._whole("virtualenv", str(layer.path), paths, self._using(paths), go)

    def _environment(self, name: str) -> Iterator[_Doomed]:
        generations = Generations(self._prefix, name)
        if not generations.link.exists() and not generations.link.is_symlink() and not generations.numbered():
            return
        paths = [path for _, path in generations.numbered()]
        if generations.current() is None and generations.link.exists():
            paths.append(generations.link)

        def go() -> None:
            generations.remove_all()
            register(generations.link, registered=False)

        yield self._whole("environment", name, paths, self._using(paths), go, self._above(name))

    def _above(self, environment: str, generation: str = "") -> str:
        """Name the virtualenvs that stay, and stand on an environment, or on one generation of it."""
        names = []
        for layer in self._layers:
            said = standing(self._prefix, layer.path)
            if said and said.environment == environment and generation in ("", said.generation):
                names += [] if layer.path in self._doomed else [str(layer.path)]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{', '.join(names[:3])}{more} stand{'s' * (len(names) == 1)} on it" if names else ""

    def _using(self, paths: Sequence[Path]) -> list[Process]:
        using = {each for path in paths for each in self._processes.using(path)}
        return sorted(using, key=lambda each: each.number)

    def _transfers(self) -> Iterator[_Doomed]:
        """Yield what is left of downloads, and of what the controller sent, when nobody went on with them."""
        tools, downloads = self._prefix / ".fleetenv", self._prefix / "pkgs" / FOLDER
        for path in sorted((*tools.glob(".*"), *downloads.glob("*"))):
            if path.lstat().st_mtime < self._settled:
                name = str(path.relative_to(self._prefix))
                yield self._item("unfinished", name, path, self._processes.using(path), partial(remove, path))

    def _arrivals(self) -> Iterator[_Doomed]:
        """Yield the same of virtualenvs."""
        places = sorted({layer.generations.folder.parent / ARRIVALS / FOLDER for layer in self._own})
        for path in (path for place in places for path in sorted(place.glob("*"))):
            if path.lstat().st_mtime < self._settled:
                yield self._item("unfinished", str(path), path, self._processes.using(path), partial(remove, path))

    def _packages(self) -> Iterator[_Doomed]:
        cache = self._prefix / "pkgs"
        referenced = self._referenced()
        packages = [path.parent.parent for path in sorted(cache.glob("*/info/index.json"))]
        archives = [path for path in sorted(cache.iterdir()) if path.name.endswith(_ARCHIVES)] if packages else []
        for path in packages:
            if path.name in referenced or path.lstat().st_mtime > self._settled or not self._removed.frees_all(path):
                continue
            using = [each for each in self._processes.using(path) if each.certain]
            beside = [each for each in archives if _stem(each) == path.name]
            go = partial(_remove_all, [path, *beside, cache / f"{path.name}.lock"])
            doomed = self._item("package", path.name, path, using, go)
            extra = 0 if using else sum(self._removed.free(each) for each in beside)
            yield _Doomed(replace(doomed.item, size=doomed.item.size + extra), go)

    def _wheels(self) -> Iterator[_Doomed]:
        """Yield downloaded wheels that no environment has installed."""
        places = [place for place in self._environments() if place not in self._doomed]
        installed = {path.stem for place in places for path in place.glob("lib/python3*/site-packages/*.dist-info")}
        for path, name, distribution in WheelCache(self._prefix / "pkgs").kept():
            if distribution not in installed and path.stat().st_mtime < self._settled:
                yield self._item("package", name, path, self._processes.using(path), partial(remove, path))

    def _environments(self) -> list[Path]:
        """List all generations, and environments that have none."""
        places = [place.path for place in (*environments(self._prefix), *elsewhere(self._prefix)) if not place.managed]
        return places + [path for generations in every(self._prefix) for _, path in generations.numbered()]

    def _referenced(self) -> set[str]:
        """Name the packages of every environment that stays, as their folders in the cache are named."""
        found: set[str] = set()
        for place in self._environments():
            if place not in self._doomed and place.resolve() not in self._doomed:
                with suppress(OSError):
                    found.update(path.stem for path in (place / "conda-meta").glob("*.json"))
        return found

    def _item(self, kind: str, name: str, path: Path, using: list[Process], go: Callable[[], object]) -> _Doomed:
        return self._whole(kind, name, [path], using, go)

    def _whole(
        self,
        kind: str,
        name: str,
        paths: Sequence[Path],
        using: list[Process],
        go: Callable[[], object],
        stays: str = "",
    ) -> _Doomed:
        """Note what goes, unless it is in use, or something else says why it `stays`."""
        stays = f"in use by {told(using)}" if using else stays
        if stays:
            return _Doomed(Item(kind, name, 0, stays), go)
        self._doomed.update(paths)
        return _Doomed(Item(kind, name, sum(self._removed.free(path) for path in paths)), go)


def _remove_all(paths: Sequence[Path]) -> None:
    for path in paths:
        remove(path)


def _stem(archive: Path) -> str:
    for ending in _ARCHIVES:
        if archive.name.endswith(ending):
            return archive.name.removesuffix(ending)
    return archive.name
