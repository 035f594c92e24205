"""Resolving Python requirements for a target, on the controller, with uv: for specs' pip sections, and for virtualenvs.

What lies beneath must stay, since pip would silently overwrite or hide it: each Python distribution of it is given to
uv as the only candidate there is, as an empty wheel of the same name and version.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleetenv.conda.cache import cache_folder
from fleetenv.conda.distributions import Distribution
from fleetenv.conda.lock import PipPackage, Target
from fleetenv.conda.requirement import normalized
from fleetenv.conda.sources import without_secrets

MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}
"""The platforms that can be resolved for, and what wheels call them."""

_MANYLINUX = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)  # the minor versions of glibc that uv knows as targets
_NO_ANSWER = re.compile("error sending request|dns error|tcp connect error|operation timed out")


class Unresolved(Exception):
    """uv found no answer.

    Attributes:
        reason: Why, in one line without secrets.
        unreachable: Whether that is because an index does not answer.
    """

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unreachable = unreachable


@dataclass(frozen=True, slots=True)
class PipIndex:
    """How the packages of a pip section are found."""

    url: str | None = None  # instead of the official index, or of the spec's `--index-url`
    offline: bool = False  # use what uv's cache has
    cache: Path = field(default_factory=cache_folder)  # of what was learnt about conda packages


@dataclass(frozen=True, slots=True)
class Limits:
    """What a resolution must agree with."""

    provided: Sequence[Distribution] = ()  # what lies beneath
    keep: Mapping[str, str] = field(default_factory=dict)  # versions that stay as long as they fit
    dependencies: bool = True  # whether what the wishes need is looked for
    constraints: Sequence[str] = ()  # lines of a constraints file


def answer(
    lines: Sequence[str], target: Target, python: str, index: PipIndex, limits: Limits
) -> list[Mapping[str, Any]]:
    """Resolve the lines of a requirements file; returns the packages of uv's pylock.toml (PEP 751).

    Args:
        lines: Requirements, and options that say where they come from.
        target: The platform, which is one of [`MACHINES`][], and its glibc.
        python: The version of Python.
        index: Where to find packages.
        limits: What the answer must agree with.

    Raises:
        Unresolved: there is no answer.
    """
    from uv import find_uv_bin

    environment = dict(os.environ)
    if index.url:
        environment["UV_DEFAULT_INDEX"] = index.url  # not as an argument: it may hold a password
    with tempfile.TemporaryDirectory(prefix="fleetenv-lock-") as name:
        folder = Path(name)
        locked, constraints = folder / "pylock.toml", folder / "constraints.txt"
        if limits.keep:
            locked.write_text(_preferences(limits.keep), encoding="utf-8")
        stand_ins = [f"{each.name} @ {_stand_in(each, folder).as_uri()}" for each in limits.provided]
        constraints.write_text("".join(f"{line}\n" for line in (*stand_ins, *limits.constraints)), encoding="utf-8")
        command = [
            find_uv_bin(), "pip", "compile", "-", "--quiet", "--no-config", "--color", "never", "--no-header",
            "--format", "pylock.toml", "--output-file", str(locked), "--python", sys.executable,
            "--python-version", python, "--python-platform", _python_platform(target),
            "--index-strategy", "unsafe-best-match", "--constraints", str(constraints),
            *(["--offline"] if index.offline else []), *([] if limits.dependencies else ["--no-deps"]),
            *(["--prerelease", "allow"] if "--pre" in lines else []),
        ]  # fmt: skip
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=text.encode(), capture_output=True, env=environment, check=False)
        if done.returncode:
            said = (line.strip().removeprefix("error: ").removeprefix("cause: ") for line in _text(done.stderr))
            reason = without_secrets(" ".join(said))
            raise Unresolved(reason, unreachable=_NO_ANSWER.search(reason) is not None)
        packages: list[Mapping[str, Any]] = tomllib.loads(locked.read_text(encoding="utf-8")).get("packages", [])
        return packages


def chosen(package: Mapping[str, Any]) -> PipPackage | None:
    """Return the file, or the commit, that one package of an answer means; None for a stand-in.

    Raises:
        Unresolved: the index gives no hash for it.
    """
    name, version = str(package["name"]), str(package.get("version", ""))
    if "vcs" in package:
        return PipPackage(normalized(name), version, _commit_url(package["vcs"]), "")
    archive = package.get("archive") or best_wheel(package.get("wheels", [])) or package.get("sdist")
    if archive is None or "path" in archive:
        return None
    sha256 = archive.get("hashes", {}).get("sha256")
    if not sha256:
        raise Unresolved(f"the index gives no sha256 for {name} {version}")
    return PipPackage(normalized(name), version, plain_url(str(archive["url"])), str(sha256))


def _preferences(versions: Mapping[str, str]) -> str:
    """Write versions as a lock of uv's, which it prefers when it is to write that file again."""
    packages = (f"[[packages]]\nname = {json.dumps(name)}\nversion = {json.dumps(v)}\n" for name, v in versions.items())
    return 'lock-version = "1.0"\ncreated-by = "fleetenv"\n\n' + "\n".join(packages)


def _commit_url(vcs: Mapping[str, Any]) -> str:
    folder = f"#subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
    return plain_url(f"{vcs['type']}+{vcs['url']}@{vcs['commit-id']}") + folder


def best_wheel(wheels: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Choose the most specific of the wheels that fit the target; uv lists only such."""
    return max(wheels, key=lambda wheel: _specificity(str(wheel["url"])), default=None)


def _specificity(url: str) -> tuple[int, int, int]:
    python, abi, platform = url.rpartition("/")[2].removesuffix(".whl").rsplit("-", 3)[1:]
    kind = 0 if platform == "any" else 1 if abi == "none" else 2 if abi == "abi3" else 3
    versions = [int(digits) for digits in re.findall(r"[a-z]+3(\d+)", python)]
    glibc = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)", platform)]
    return kind, max(versions, default=0), max(glibc, default=0)


def plain_url(url: str) -> str:
    """Return the URL of a file or a commit without user, password and fragment: what a lock may hold."""
    return re.sub(r"\A((?:git\+)?https?://)[^/@]*@", r"\1", url.partition("#")[0])


def _python_platform(target: Target) -> str:
    glibc = next((each.split("=")[1] for each in target.virtual_packages if each.startswith("__glibc=")), "2.17")
    minor = int(f"{glibc}.0".split(".")[1])
    known = max((each for each in _MANYLINUX if each <= minor), default=_MANYLINUX[0])
    return f"{MACHINES[target.platform]}-manylinux_2_{known}"


def _stand_in(distribution: Distribution, folder: Path) -> Path:
    """Make an empty wheel of what conda provides. It requires nothing: conda has seen to that."""
    stem = f"{distribution.name.replace('-', '_')}-{distribution.version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        info = f"{stem}.dist-info"
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {distribution.name}\nVersion: {distribution.version}\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def _text(output: bytes) -> list[str]:
    return output.decode("utf-8", "replace").splitlines()
