"""Locks in rattler-lock's format, of packages that nobody has to build: names, versions and needs are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_URL = "https://conda.anaconda.org/conda-forge/{platform}/{name}-{version}-{build}.conda"
_WHEEL = "https://wheels.example/packages/{name}-{version}-py3-none-any.whl"
_SHA256 = "0" * 63 + "1"


def write_lock(
    path: Path,
    conda: Sequence[tuple[str, str, str]] = (),
    pip: Sequence[tuple[str, str]] = (),
    depends: Sequence[str] = (),
    platform: str = "linux-64",
) -> Path:
    """Write a lock of conda packages (name, version, build), which all have the same `depends`, and pip packages."""
    urls = [_URL.format(platform=platform, name=name, version=version, build=build) for name, version, build in conda]
    wheels = [_WHEEL.format(name=name.replace("-", "_"), version=version.replace("+", "%2B")) for name, version in pip]
    named = "".join(f"      - conda: {url}\n" for url in urls) + "".join(f"      - pypi: {url}\n" for url in wheels)
    packages = "".join(
        f"- conda: {url}\n  sha256: {_SHA256}\n  depends:\n"
        + "".join(f"  - '{each}'\n" for each in ("python", *depends))
        for url in urls
    ) + "".join(
        f"- pypi: {url}\n  name: {name}\n  version: {version}\n  sha256: {_SHA256}\n"
        for url, (name, version) in zip(wheels, pip, strict=True)
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "version: 6\nenvironments:\n  default:\n    channels:\n"
        "    - url: https://conda.anaconda.org/conda-forge/\n    indexes:\n    - https://wheels.example/simple\n"
        f"    packages:\n      {platform}:\n{named}packages:\n{packages}"
    )
    return path
