"""Installing the pip part of a generation: exactly the locked files and commits, by their hashes."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .report import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    supply: Supply,
    progress: Progress,
) -> None:
    """Install wheels with the environment's own pip, or with Miniconda's when it has none.

    Args:
        wheels: What to install.
        options: Lines for the requirements file that say where from; pip's own settings hold for the rest. When the
            controller has the files, neither counts.
        generation: Where to.
        lib: Its `lib/python3.N`.
        base: The Miniconda prefix.
        supply: Where files come from that no index is asked for.
        progress: Gets one step a wheel.

    Raises:
        Failure: pip failed, with its reason; or what it leaves does not fit together.
    """
    files = [wheel for wheel in wheels if wheel.sha256]
    commits = [wheel.requirement(from_folder=False) for wheel in wheels if not wheel.sha256]
    folder = _fetched(files, supply)
    environment = _environment()
    if folder:
        options = ["--no-index", f"--find-links {folder.as_uri()}"]
        environment["PIP_CONFIG_FILE"] = os.devnull
    command = [
        *_pip(generation, lib, base), "install", "--no-deps", "--no-compile", "--no-input",
        "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off",
    ]  # fmt: skip
    if files:
        lines = [*options, *(wheel.requirement(from_folder=folder is not None) for wheel in files)]
        _install([*command, "--require-hashes"], lines, generation, environment, progress)
    if commits:  # pip has no hashes for these: with --require-hashes it would refuse them
        _install(command, [*options, *commits], generation, environment, progress)


def _install(
    command: Sequence[str], lines: Sequence[str], generation: Path, environment: Mapping[str, str], progress: Progress
) -> None:
    requirements = generation / ".requirements.txt"  # a file, because an index's URL may hold a password
    descriptor = os.open(requirements, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    output: list[str] = []
    with subprocess.Popen(
        [*command, "-r", str(requirements)], cwd=generation, close_fds=False, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", env=environment,
    ) as pip:  # fmt: skip
        assert pip.stdout
        for line in pip.stdout:
            output.append(line.strip())
            if line.startswith("Collecting "):
                progress.step(line.split()[1])
    requirements.unlink()
    if pip.returncode:
        raise Failure(f"pip: {_reason(output)}")


def _fetched(wheels: Sequence[Wheel], supply: Supply) -> Path | None:
    """Fetch all files from the controller into one folder, under their names; None: they come from an index."""
    if supply.offered is None:
        return None
    folder = supply.downloader.folder / "wheels"
    folder.mkdir(exist_ok=True)
    for wheel, path in zip(wheels, supply.get_all([supply.wheel(each) for each in wheels]), strict=True):
        (folder / wheel.file_name).unlink(missing_ok=True)
        (folder / wheel.file_name).hardlink_to(path)
    return folder


def check(wheels: Sequence[Wheel], generation: Path, lib: Path, base: Path) -> None:
    """See that what pip installed fits together with all else; what conda alone says of its packages is conda's.

    Raises:
        Failure: it does not.
    """
    done = subprocess.run(
        [*_pip(generation, lib, base), "check", "--disable-pip-version-check"],
        cwd=generation, close_fds=False, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        encoding="utf-8", errors="replace", env=_environment(),
    )  # fmt: skip
    names = {wheel.name for wheel in wheels}
    for line in done.stdout.splitlines():
        if names & {re.sub(r"[-_.]+", "-", word.strip(",").lower()) for word in re.split(r"[\s<>=!~\[(]+", line)}:
            raise Failure(f"pip check: {line.strip()}")


def _pip(generation: Path, lib: Path, base: Path) -> list[str]:
    own = [str(generation / "bin" / "python"), "-I", "-m", "pip"]
    if (lib / "site-packages" / "pip").is_dir():
        return own
    return [str(base / "bin" / "python"), "-I", "-m", "pip", "--python", own[0]]


def _environment() -> dict[str, str]:
    """The environment, made such that pip installs into the generation whatever the host's pip.conf says."""
    away = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}
    kept = {name: value for name, value in os.environ.items() if name not in away}
    return kept | {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def _reason(output: list[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in output if line.startswith("ERROR: ")]
    text = errors[0] if errors else (output[-1] if output else "it failed without a word")
    return re.sub(r"//[^/@\s]*@", "//", text)
