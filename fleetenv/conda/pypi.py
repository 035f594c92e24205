"""Resolving a spec's pip section for a target, on the controller, with uv.

What conda provides must stay conda's: pip would silently overwrite it. So each Python distribution in a locked conda
package (found in that package's own list of files) is given to uv as the only candidate there is, as an empty wheel of
the same name and version. Requirements that it does not meet are an error now, not a broken environment later.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fleetenv.conda.lock import PipPackage, Target
from fleetenv.conda.solve import client, run
from fleetenv.conda.spec import Spec, normalized
from fleetenv.errors import InputError, Location

if TYPE_CHECKING:
    from rattler import Client, RepoDataRecord

_DISTRIBUTION = re.compile(r"(?:\A|/)site-packages/([^/-]+)-([^/-]+)(?:-[^/]*)?\.(?:dist|egg)-info(?:/|\Z)")
_MANYLINUX = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)  # the minor versions of glibc that uv knows as targets
_MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Distribution:
    """One Python distribution that a conda package brings."""

    name: str
    version: str


def resolve(
    spec: Spec,
    target: Target,
    records: Sequence[RepoDataRecord],
    mirrors: Mapping[str, Sequence[str]],
    index: str | None,
    cache: Path,
) -> tuple[PipPackage, ...]:
    """Resolve the pip section of a spec against the conda packages that are already chosen.

    Args:
        spec: The spec; nothing is done when it has no pip section.
        target: The platform.
        records: The conda packages.
        mirrors: Where to look into conda packages instead of at canonical URLs.
        index: The package index to ask instead of the official one, or instead of the spec's `--index-url`.
        cache: A folder for what was learnt about conda packages.

    Raises:
        InputError: the section cannot be resolved, at the requirement that uv names.
    """
    if not spec.pip:
        return ()
    python = next((str(record.version) for record in records if record.name.normalized == "python"), None)
    if python is None:
        raise InputError("a pip section needs a Python to install into", location=spec.pip[0].location)
    if target.platform not in _MACHINES:
        raise InputError(f"a pip section cannot be locked for {target.platform}", location=spec.pip[0].location)
    provided = run(_provided(records, client(mirrors), cache))
    with tempfile.TemporaryDirectory(prefix="fleetenv-lock-") as folder:
        constraints = Path(folder, "constraints.txt")
        lines = [f"{each.name} @ {_stand_in(each, Path(folder)).as_uri()}" for each in provided]
        constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
        answer = _compile(spec, target, python, constraints, index)
    kept = {each.name for each in provided}
    return tuple(each for each in answer if each.name not in kept)


def _compile(spec: Spec, target: Target, python: str, constraints: Path, index: str | None) -> list[PipPackage]:
    from uv import find_uv_bin

    options = [word for each in spec.pip_options if each.option != "--index-url" for word in (each.option, each.value)]
    index = index or next((each.value for each in spec.pip_options if each.option == "--index-url"), None)
    environment = dict(os.environ)
    if index:
        environment["UV_DEFAULT_INDEX"] = index  # not as an argument: it may hold a password
    command = [
        find_uv_bin(), "pip", "compile", "-", "--quiet", "--no-config", "--color", "never", "--no-header",
        "--format", "pylock.toml", "--python", sys.executable, "--python-version", python,
        "--python-platform", _python_platform(target), "--index-strategy", "unsafe-best-match",
        "--constraints", str(constraints), *options,
    ]  # fmt: skip
    wishes = "".join(f"{each.text}\n" for each in spec.pip)
    done = subprocess.run(command, input=wishes.encode(), capture_output=True, env=environment, check=False)
    if done.returncode:
        raise _unresolvable(spec, target, done.stderr.decode("utf-8", "replace"))
    return [
        package
        for each in tomllib.loads(done.stdout.decode()).get("packages", [])
        if (package := _locked(each, spec, target))
    ]


def _locked(package: Mapping[str, Any], spec: Spec, target: Target) -> PipPackage | None:
    """Read one package of uv's pylock.toml (PEP 751); None for a stand-in."""
    name, version = str(package["name"]), str(package.get("version", ""))
    archive = package.get("archive") or best_wheel(package.get("wheels", [])) or package.get("sdist")
    if archive is None or "path" in archive:
        return None
    sha256 = archive.get("hashes", {}).get("sha256")
    if not sha256:
        raise InputError(f"the index gives no sha256 for {name} {version}", location=_where(spec, name))
    return PipPackage(normalized(name), version, plain_url(str(archive["url"])), str(sha256))


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
    """Return the URL of a file without user, password and fragment: what a lock may hold."""
    return re.sub(r"\A(https?://)[^/@]*@", r"\1", url.partition("#")[0])


def _python_platform(target: Target) -> str:
    glibc = next((each.split("=")[1] for each in target.virtual_packages if each.startswith("__glibc=")), "2.17")
    minor = int(f"{glibc}.0".split(".")[1])
    known = max((each for each in _MANYLINUX if each <= minor), default=_MANYLINUX[0])
    return f"{_MACHINES[target.platform]}-manylinux_2_{known}"


def _unresolvable(spec: Spec, target: Target, output: str) -> InputError:
    reason = " ".join(line.strip().removeprefix("error: ").removeprefix("cause: ") for line in output.splitlines())
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


async def _provided(records: Sequence[RepoDataRecord], http: Client, cache: Path) -> list[Distribution]:
    """Find the Python distributions that conda packages bring; only those that need Python are looked into."""
    wanted = [each for each in records if any(depend.split()[0] == "python" for depend in each.depends)]
    found = await asyncio.gather(*(_distributions(record, http, cache) for record in wanted))
    return sorted({each for distributions in found for each in distributions}, key=lambda each: each.name)


async def _distributions(record: RepoDataRecord, http: Client, cache: Path) -> list[Distribution]:
    known = cache / "distributions" / f"{record.sha256.hex() if record.sha256 else record.file_name}.json"
    try:
        return [Distribution(name, version) for name, version in json.loads(known.read_text())]
    except (OSError, ValueError, TypeError):
        pass  # not looked into yet
    paths = await _paths(record.url, http)
    matches = (_DISTRIBUTION.search(path) for path in paths)
    distributions = sorted({(normalized(match[1]), match[2]) for match in matches if match})
    known.parent.mkdir(parents=True, exist_ok=True)
    draft = known.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(distributions))
    draft.replace(known)
    return [Distribution(name, version) for name, version in distributions]


async def _paths(url: str, http: Client) -> list[str]:
    """List a conda package's files; of a `.conda` file on a server only the index is fetched."""
    from rattler.exceptions import ExtractError, IoError
    from rattler.package_streaming import PackageArchive

    try:
        if url.startswith("file:"):
            archive = await PackageArchive.from_path(unquote(urlsplit(url).path))
        else:
            archive = await PackageArchive.from_url(http, url)
        return [str(entry.relative_path) for entry in (await archive.paths_json()).paths]
    except (OSError, ExtractError, IoError) as error:
        raise InputError(f"cannot look into {url}: {str(error).splitlines()[0]}") from error
