"""Running pip on this host, whatever the user's own settings say about where it installs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .report import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


def install(
    program: Sequence[str],
    options: Sequence[str],
    folder: Path,
    progress: Progress | None = None,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run `pip install`.

    Args:
        program: How pip is run, for the environment that it is to install into.
        options: What to install, in pip's words.
        folder: The working directory.
        progress: Gets one step a package.
        variables: For pip's environment, beside this process's own.

    Raises:
        Failure: pip failed, with its reason.
    """
    command = [
        *program, "install", "--no-input", "--disable-pip-version-check", "--no-warn-script-location",
        "--progress-bar=off", *options,
    ]  # fmt: skip
    output: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", env=_environment() | dict(variables or {}),
    ) as pip:  # fmt: skip
        assert pip.stdout
        for line in pip.stdout:
            output.append(line.strip())
            if progress and line.startswith("Collecting "):
                progress.step(line.split()[1])
    if pip.returncode:
        raise Failure(f"pip: {_reason(output)}")


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a requirements file that nobody else can read: an index's URL may hold a password."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def check(program: Sequence[str], names: Collection[str], folder: Path) -> None:
    """See that packages fit together with all else that is installed; what does not concern them does not count.

    Raises:
        Failure: they do not.
    """
    done = subprocess.run(
        [*program, "check", "--disable-pip-version-check"],
        cwd=folder, close_fds=False, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        encoding="utf-8", errors="replace", env=_environment(),
    )  # fmt: skip
    for line in done.stdout.splitlines():
        words = re.split(r"[\s<>=!~\[(]+", line)
        if not {re.sub(r"[-_.]+", "-", word.strip(",").lower()) for word in words}.isdisjoint(names):
            raise Failure(f"pip check: {line.strip()}")


def _environment() -> dict[str, str]:
    """The environment, made such that pip installs where it is told, whatever the host's pip.conf says; and resumes."""
    away = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}
    kept = {name: value for name, value in os.environ.items() if name not in away}
    resuming = {"PIP_RESUME_RETRIES": "5"}  # pip 25.1 and newer; older ones pass over it
    return kept | resuming | {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def _reason(output: list[str]) -> str:
    at = next((at for at, line in enumerate(output) if line.startswith("ERROR: ")), -1)
    text = output[at].removeprefix("ERROR: ") if output else "it failed without a word"
    if text.endswith(":") and 0 <= at < len(output) - 1:  # what it is about stands on the next line
        text = f"{text} {output[at + 1]}"
    return re.sub(r"//[^/@\s]*@", "//", text)
