"""Resolving a spec's pip section for a target, on the controller, with uv.

What conda provides must stay conda's: pip would silently overwrite it. So each Python distribution in a locked conda
package is given to uv as the only candidate there is, as an empty wheel of the same name and version. Requirements that
it does not meet are an error now, not a broken environment later.
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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetenv.conda.cache import cache_folder
from fleetenv.conda.distributions import Distribution, provided
from fleetenv.conda.lock import PipPackage, Target
from fleetenv.conda.repodata import run
from fleetenv.conda.sources import Sources, without_secrets
from fleetenv.conda.spec import Spec, normalized
from fleetenv.errors import InputError, Location

if TYPE_CHECKING:
    from rattler import RepoDataRecord

_MANYLINUX = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)  # the minor versions of glibc that uv knows as targets
_MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}
_NO_ANSWER = re.compile("error sending request|dns error|tcp connect error|operation timed out")


class IndexUnreachable(InputError):
    """A package index does not answer."""


@dataclass(frozen=True, slots=True)
class PipIndex:
    """How the packages of a pip section are found."""

    url: str | None = None  # instead of the official index, or of the spec's `--index-url`
    offline: bool = False  # use what uv's cache has
    cache: Path = field(default_factory=cache_folder)  # of what was learnt about conda packages


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a resolution must agree with."""

    provided: Sequence[Distribution] = ()  # what conda brings
    keep: Mapping[str, str] = field(default_factory=dict)  # versions that stay as long as they fit
    dependencies: bool = True  # whether what the wishes need is looked for


def resolve(
    spec: Spec,
    target: Target,
    records: Sequence[RepoDataRecord],
    sources: Sources,
    index: PipIndex,
    keep: Iterable[PipPackage] = (),
) -> tuple[PipPackage, ...]:
    """Resolve the pip section of a spec against the conda packages that are already chosen.

    Args:
        spec: The spec; nothing is done when it has no pip section.
        target: The platform.
        records: The conda packages.
        sources: Where to look into conda packages.
        index: Where to find the section's packages.
        keep: Locked packages whose versions stay as long as they fit.

    Raises:
        IndexUnreachable: no index answers.
        InputError: the section cannot be resolved, at the requirement that uv names.
    """
    if not spec.pip:
        return ()
    python = _python(spec, records)
    limits = _Limits(run(provided(records, sources, index.cache)), {each.name: each.version for each in keep})
    answer = _compile(spec, target, python, [each.text for each in spec.pip], index, limits)
    of_conda = {each.name for each in limits.provided}
    return tuple(each for each in answer if each.name not in of_conda)


def newest(
    spec: Spec, target: Target, records: Sequence[RepoDataRecord], index: PipIndex, names: Iterable[str]
) -> dict[str, str]:
    """Return the newest version of each package that suits a target and its Python, whatever the spec says.

    Raises:
        IndexUnreachable: no index answers.
        InputError: an index does not have one of them.
    """
    wishes = sorted(names)
    if not wishes:
        return {}
    answer = _compile(spec, target, _python(spec, records), wishes, index, _Limits(dependencies=False))
    return {each.name: each.version for each in answer}


def _python(spec: Spec, records: Sequence[RepoDataRecord]) -> str:
    version = next((str(record.version) for record in records if record.name.normalized == "python"), None)
    if version is None:
        raise InputError("a pip section needs a Python to install into", location=spec.pip[0].location)
    return version


def _compile(
    spec: Spec, target: Target, python: str, wishes: Sequence[str], index: PipIndex, limits: _Limits
) -> list[PipPackage]:
    from uv import find_uv_bin

    if target.platform not in _MACHINES:
        raise InputError(f"a pip section cannot be locked for {target.platform}", location=spec.pip[0].location)
    environment = dict(os.environ)
    if index.url:
        environment["UV_DEFAULT_INDEX"] = index.url  # not as an argument: it may hold a password
    options = [each for each in spec.pip_options if not (index.url and each.option == "--index-url")]
    lines = [*(f"{each.option} {each.value}" for each in options), *wishes]
    with tempfile.TemporaryDirectory(prefix="fleetenv-lock-") as name:
        folder = Path(name)
        locked, constraints = folder / "pylock.toml", folder / "constraints.txt"
        if limits.keep:
            locked.write_text(_preferences(limits.keep), encoding="utf-8")
        stand_ins = (f"{each.name} @ {_stand_in(each, folder).as_uri()}\n" for each in limits.provided)
        constraints.write_text("".join(stand_ins), encoding="utf-8")
        command = [
            find_uv_bin(), "pip", "compile", "-", "--quiet", "--no-config", "--color", "never", "--no-header",
            "--format", "pylock.toml", "--output-file", str(locked), "--python", sys.executable,
            "--python-version", python, "--python-platform", _python_platform(target),
            "--index-strategy", "unsafe-best-match", "--constraints", str(constraints),
            *(["--offline"] if index.offline else []), *([] if limits.dependencies else ["--no-deps"]),
        ]  # fmt: skip
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=text.encode(), capture_output=True, env=environment, check=False)
        if done.returncode:
            raise _unresolvable(spec, target, done.stderr.decode("utf-8", "replace"))
        answer = tomllib.loads(locked.read_text(encoding="utf-8"))
    return [package for each in answer.get("packages", []) if (package := _locked(each, spec))]


def _preferences(versions: Mapping[str, str]) -> str:
    """Write versions as a lock of uv's, which it prefers when it is to write that file again."""
    packages = (f"[[packages]]\nname = {json.dumps(name)}\nversion = {json.dumps(v)}\n" for name, v in versions.items())
    return 'lock-version = "1.0"\ncreated-by = "fleetenv"\n\n' + "\n".join(packages)


def _locked(package: Mapping[str, Any], spec: Spec) -> PipPackage | None:
    """Read one package of uv's pylock.toml (PEP 751); None for a stand-in."""
    name, version = str(package["name"]), str(package.get("version", ""))
    if "vcs" in package:
        return PipPackage(normalized(name), version, _commit_url(package["vcs"]), "")
    archive = package.get("archive") or best_wheel(package.get("wheels", [])) or package.get("sdist")
    if archive is None or "path" in archive:
        return None
    sha256 = archive.get("hashes", {}).get("sha256")
    if not sha256:
        raise InputError(f"the index gives no sha256 for {name} {version}", location=_where(spec, name))
    return PipPackage(normalized(name), version, plain_url(str(archive["url"])), str(sha256))


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
    return f"{_MACHINES[target.platform]}-manylinux_2_{known}"


def _unresolvable(spec: Spec, target: Target, output: str) -> InputError:
    lines = (line.strip().removeprefix("error: ").removeprefix("cause: ") for line in output.splitlines())
    reason = without_secrets(" ".join(lines))
    if _NO_ANSWER.search(reason):
        return IndexUnreachable(f"a package index does not answer: {reason}", location=spec.pip[0].location)
    named = [
        each for each in spec.pip if re.search(rf"(?<![\w.-]){re.escape(each.name)}(?![\w-])", reason, re.IGNORECASE)
    ]
    location = named[0].location if named else spec.pip[0].location
    return InputError(f"the pip section cannot be resolved for {target.platform}: {reason}", location=location)


def _where(spec: Spec, name: str) -> Location:
    return next((each.location for each in spec.pip if each.name == normalized(name)), spec.pip[0].location)


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
