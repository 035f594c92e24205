"""Installing the pip part of a generation: exactly the locked files and commits, by their hashes."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from . import pip
from .indexes import indexes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .report import Progress
    from .supply import Supply


def file_name(url: str) -> str:
    """Return the name of the file at a URL."""
    return unquote(urlsplit(url).path).rpartition("/")[2]


@dataclass(frozen=True)
class Wheel:
    """One locked file of the pip part, or one commit of a git repository, which is built here."""

    name: str
    version: str
    url: str
    sha256: str  # empty for a commit: its own hash is in the URL
    direct: bool  # fetched from its URL, not looked up in an index

    @property
    def file_name(self) -> str:
        """The file's name: it says what the file fits."""
        return file_name(self.url)

    def requirement(self, *, from_folder: bool) -> str:
        """Return the line of a requirements file that allows this file only."""
        direct = self.direct and not from_folder
        what = f"{self.name} @ {self.url}" if direct else f"{self.name}=={self.version}"
        return f"{what} --hash=sha256:{self.sha256}" if self.sha256 else what


def install(
    wheels: Sequence[Wheel],
    options: Sequence[str],
    generation: Path,
    lib: Path,
    base: Path,
    folder: Path | None,
    progress: Progress,
) -> None:
    """Install wheels with the environment's own pip, or with Miniconda's when it has none.

    Args:
        wheels: What to install.
        options: Lines for the requirements file that say where from; pip's own settings hold for the rest. For what is
            in the folder neither counts.
        generation: Where to.
        lib: Its `lib/python3.N`.
        base: The Miniconda prefix.
        folder: Where files are that no index is asked for; it is removed.
        progress: Gets one step a wheel.

    Raises:
        Failure: pip failed, with its reason; or what it leaves does not fit together.
    """
    install_with(_pip(generation, lib, base), wheels, options, generation, folder, progress)


def install_with(
    program: Sequence[str],
    wheels: Sequence[Wheel],
    options: Sequence[str],
    generation: Path,
    folder: Path | None,
    progress: Progress,
) -> None:
    """Install wheels with a certain pip; arguments and errors otherwise as for [`install`][]."""
    here = {path.name for path in folder.iterdir()} if folder else set()
    files = [wheel for wheel in wheels if wheel.sha256]
    arrived = [wheel.requirement(from_folder=True) for wheel in files if wheel.file_name in here]
    others = [wheel.requirement(from_folder=False) for wheel in files if wheel.file_name not in here]
    commits = [wheel.requirement(from_folder=False) for wheel in wheels if not wheel.sha256]
    no_settings = {"PIP_CONFIG_FILE": os.devnull}
    parts: list[tuple[list[str], Sequence[str], list[str], dict[str, str]]] = []
    if folder and arrived:
        from_folder = ["--no-index", f"--find-links {folder.as_uri()}"]
        parts.append((["--require-hashes"], from_folder, arrived, no_settings))
    if others:
        parts.append((["--require-hashes"], options, others, {}))
    if commits:  # pip has no hashes for these: with --require-hashes it would refuse them
        parts.append(([], options, commits, {}))
    requirements = generation / ".requirements.txt"
    for more, where, lines, variables in parts:
        pip.write_lines(requirements, [*where, *lines])
        how = ["--no-deps", "--no-compile", *more, "-r", str(requirements)]
        pip.install(program, how, generation, progress, variables)
        requirements.unlink()
    if folder:
        shutil.rmtree(folder)


def fetch(wheels: Sequence[Wheel], supply: Supply, generation: Path, options: Sequence[str] = ()) -> Path | None:
    """Fetch files into one folder, under their names: from the controller all of them, else those that can be had.

    Args:
        wheels: What is wanted.
        supply: What fetches, and keeps what has come of a file for the next time.
        generation: Where the folder is made.
        options: Lines for a requirements file that say where from, when the controller has not got them.

    Returns:
        The folder; None: all comes from an index, which is pip's to ask.
    """
    files = [wheel for wheel in wheels if wheel.sha256]
    if not files:
        return None
    if supply.offered is not None:
        found = dict(zip(files, supply.get_all([supply.wheel(each) for each in files]), strict=True))
    else:
        known = indexes(options, generation)
        if known is None:
            return None
        # of one that is named by its URL pip notes that, which makes other bytes
        found = supply.get_found([each for each in files if each.file_name.endswith(".whl") and not each.direct], known)
    folder = generation / ".wheels"
    folder.mkdir()
    for wheel, path in found.items():
        (folder / wheel.file_name).hardlink_to(path)
    return folder


def check(wheels: Sequence[Wheel], generation: Path, lib: Path, base: Path) -> None:
    """See that what pip installed fits together with all else; what conda alone says of its packages is conda's.

    Raises:
        Failure: it does not.
    """
    pip.check(_pip(generation, lib, base), {wheel.name for wheel in wheels}, generation)


def _pip(generation: Path, lib: Path, base: Path) -> list[str]:
    own = [str(generation / "bin" / "python"), "-I", "-m", "pip"]
    if (lib / "site-packages" / "pip").is_dir():
        return own
    return [str(base / "bin" / "python"), "-I", "-m", "pip", "--python", own[0]]
