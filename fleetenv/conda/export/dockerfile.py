"""A Dockerfile: one stage builds the environment with micromamba, the image gets nothing but the environment.

The lists are in the file itself (here-documents: BuildKit, or Buildah 1.33), so there is nothing to copy beside it.
Each part is a layer of its own, so that a change of the pip section leaves the conda layer cached.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleetenv.conda.export import Locked
from fleetenv.conda.export.explicit import urls
from fleetenv.conda.export.requirements import hashed
from fleetenv.conda.export.script import END, MICROMAMBA, create, install_pip
from fleetenv.errors import InputError

_MACHINES = {"linux-64": "linux/amd64", "linux-aarch64": "linux/arm64", "linux-ppc64le": "linux/ppc64le"}


def render(locked: Locked) -> str:
    """Return the file.

    Raises:
        InputError: a variable has more than one line, which a Dockerfile cannot say.
    """
    prefix = f"/opt/envs/{locked.name}"
    machine = _MACHINES[locked.platform.platform]
    lines = [
        "# syntax=docker/dockerfile:1",
        f"# {locked.title}. Written by 'fleetenv export': do not edit.",
        f"ARG MICROMAMBA=mambaorg/micromamba:{MICROMAMBA}",
        "ARG BASE=debian:12-slim",
        "",
        f"FROM --platform={machine} ${{MICROMAMBA}} AS build",
        "USER root",
        *_copied(urls(locked), "/tmp/explicit.txt"),  # noqa: S108  # in a stage of its own
        "RUN --mount=type=cache,target=/opt/conda/pkgs \\",
        f"    {create(prefix, '/tmp/explicit.txt')}",  # noqa: S108
    ]
    if locked.platform.pip:
        commands = install_pip(locked, prefix, "/tmp/requirements.txt")  # noqa: S108
        lines += _copied(hashed(locked), "/tmp/requirements.txt")  # noqa: S108
        lines += ["RUN --mount=type=cache,target=/root/.cache/pip \\", f"    {' && '.join(commands)}"]
    lines += [
        "",
        f"FROM --platform={machine} ${{BASE}}",
        f"COPY --from=build {prefix} {prefix}",
        f"ENV PATH={prefix}/bin:$PATH CONDA_PREFIX={prefix} CONDA_DEFAULT_ENV={locked.name}",
        *(f"ENV {name}={_quoted(name, value)}" for name, value in locked.spec.variables.items()),
        'CMD ["bash"]',
    ]
    return "".join(f"{line}\n" for line in lines)


def _copied(lines: Sequence[str], path: str) -> list[str]:
    return [f"COPY <<'{END}' {path}", *lines, END]


def _quoted(name: str, value: str) -> str:
    if "\n" in value:
        raise InputError(f"the variable '{name}' has several lines: a Dockerfile cannot say that")
    for character in '\\"$':
        value = value.replace(character, f"\\{character}")
    return f'"{value}"'
