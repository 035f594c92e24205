"""A stand-in for conda that creates and updates environments: simulated, py-rattler does the work that conda would do.

It takes the lab's stand-in, which only looks at environments, and adds `env create` and `env update`. Repodata is
fetched, specs are solved, packages downloaded, checked and linked, and noarch packages byte-compiled, as conda does;
nothing waits. It is quicker at all this than conda itself, so whoever calls it looks better than with the real one.
It runs on benchmark hosts, on the base's Python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import fleetenv_standin_conda

if TYPE_CHECKING:
    from rattler import PrefixRecord, RepoDataRecord

_LABEL = "a stand-in for conda (simulated: py-rattler solves and installs)"
_ROOT = Path(sys.prefix)


class _Failed(Exception):
    """It cannot be done; the message says why."""


def main() -> int:
    """Run the command line and return its exit status."""
    words = sys.argv[1:]
    if words[:2] not in (["env", "create"], ["env", "update"]):
        return fleetenv_standin_conda.main()
    options = _parser().parse_args(words[1:])
    try:
        asyncio.run(_change(options))
    except _Failed as failure:
        sys.stderr.write(f"\n{failure}\n")
        return 1
    sys.stdout.flush()
    os._exit(0)  # py-rattler's threads may still be at work: an orderly end can crash (seen with 0.28)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="conda env", description=_LABEL)
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make an environment from a spec", description=_LABEL)
    update = actions.add_parser("update", help="change an environment to what a spec says", description=_LABEL)
    update.add_argument("--prune", action="store_true", help="remove what the spec does not ask for")
    for action in (create, update):
        action.add_argument("-f", "--file", type=Path, required=True)
        action.add_argument("-n", "--name")
        action.add_argument("-p", "--prefix", type=Path)
        action.add_argument("-q", "--quiet", action="store_true")
        action.add_argument("-y", "--yes", action="store_true")
    return parser


async def _change(options: argparse.Namespace) -> None:
    import yaml

    spec = yaml.safe_load(options.file.read_text())
    prefix = _prefix(options, spec.get("name"))
    specs = [str(each) for each in spec["dependencies"]]
    if options.action == "create" and (prefix / "conda-meta" / "history").is_file():
        raise _Failed(f"CondaValueError: prefix already exists: {prefix}")
    kept = [] if options.action == "create" or options.prune else _installed(prefix)
    await _install(
        await _solve([*specs, *(each.name.normalized for each in kept)], spec["channels"], kept), prefix, specs
    )


def _prefix(options: argparse.Namespace, name: str | None) -> Path:
    wanted = options.name or name
    if options.prefix is None and not wanted:
        raise _Failed("one of the arguments -n -p is required")
    prefix: Path = options.prefix or _ROOT / "envs" / wanted
    return prefix.absolute()


def _installed(prefix: Path) -> list[PrefixRecord]:
    from rattler import PrefixRecord

    return [PrefixRecord.from_path(path) for path in sorted((prefix / "conda-meta").glob("*.json"))]


async def _solve(specs: Sequence[str], channels: Sequence[str], kept: Sequence[PrefixRecord]) -> list[RepoDataRecord]:
    from rattler import Channel, Gateway, Subdir, VirtualPackage, solve

    return await solve(
        sources=[Channel(channel) for channel in channels],
        specs=list(specs),
        gateway=Gateway(cache_dir=_ROOT / "pkgs" / "cache"),
        platforms=[Subdir.current(), "noarch"],
        locked_packages=list(kept),
        virtual_packages=VirtualPackage.detect(),
    )


async def _install(records: Sequence[RepoDataRecord], prefix: Path, specs: Sequence[str]) -> None:
    from rattler import install

    meta = prefix / "conda-meta"
    before = {path.name for path in meta.glob("*.json")}
    await install(list(records), prefix, cache_dir=_ROOT / "pkgs", execute_link_scripts=True, show_progress=False)
    added = [json.loads(path.read_text()) for path in meta.glob("*.json") if path.name not in before]
    _compile(prefix, added)
    with (meta / "history").open("a") as history:
        history.write(f"==> {time.strftime('%Y-%m-%d %H:%M:%S')} <==\n# cmd: {' '.join(sys.argv)}\n")
        history.write(f"# update specs: {json.dumps(list(specs))}\n")
    _register(prefix)


def _compile(prefix: Path, records: Sequence[dict[str, object]]) -> None:
    """Compile the modules of noarch packages to byte-code, as conda does when it links them."""
    files = [
        f"{prefix}/{name}"
        for record in records
        if record.get("noarch") == "python"
        for name in record["files"]  # type: ignore[attr-defined]
        if name.endswith(".py")
    ]
    if files:
        command = [f"{prefix}/bin/python", "-Wi", "-m", "compileall", "-q", "-l", "-i", "-"]
        subprocess.run(command, input="\n".join(files), text=True, check=False, stdout=subprocess.DEVNULL)


def _register(prefix: Path) -> None:
    known = Path.home() / ".conda" / "environments.txt"
    known.parent.mkdir(exist_ok=True)
    lines = known.read_text().splitlines() if known.is_file() else []
    if str(prefix) not in lines:
        known.write_text("".join(f"{line}\n" for line in (*lines, prefix)))


if __name__ == "__main__":
    raise SystemExit(main())
