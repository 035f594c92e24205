"""A stand-in for conda, of fleetenv's lab: it looks at environments, and neither solves nor installs.

It answers `--version`, `info`, `list`, `env list` and `run` in conda's own form; whatever else it is asked, it says
what it is and fails. It runs on lab hosts and needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__version__ = "@VERSION@"
_LABEL = "fleetenv's stand-in for conda (simulated: it cannot solve or install)"
_ROOT = Path(sys.prefix)


def main() -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="conda", description=_LABEL)
    parser.add_argument("-V", "--version", action="version", version=f"conda {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    info = commands.add_parser("info", help="what this is")
    info.add_argument("--base", action="store_true")
    info.add_argument("-e", "--envs", action="store_true")
    _common(info)
    _common(commands.add_parser("list", help="packages of an environment"))
    env = commands.add_parser("env", help="env list: known environments").add_subparsers(dest="what", required=True)
    _common(env.add_parser("list"))
    run = commands.add_parser("run", help="run a program in an environment")
    _common(run)
    run.add_argument("--no-capture-output", action="store_true")
    run.add_argument("program", nargs=argparse.REMAINDER)
    options, unknown = parser.parse_known_args()
    if unknown:
        parser.error(f"{_LABEL} does not know {' '.join(unknown)}")
    if options.command == "run":
        return _run(_prefix(options), options.program)
    if options.command == "list":
        return _list(_prefix(options), options.json)
    if options.command == "env" or options.envs:
        return _env_list(options.json)
    _write(str(_ROOT) if options.base else _info(options.json))
    return 0


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--name")
    parser.add_argument("-p", "--prefix", type=Path)
    parser.add_argument("--json", action="store_true")


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _prefix(options: argparse.Namespace) -> Path:
    prefix: Path = options.prefix or (_ROOT / "envs" / options.name if options.name not in (None, "base") else _ROOT)
    if not (prefix / "conda-meta").is_dir():
        sys.stderr.write(f"\nEnvironmentLocationNotFound: Not a conda environment: {prefix}\n\n")
        raise SystemExit(1)
    return prefix.absolute()


def _info(as_json: bool) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    facts = {"conda_version": __version__, "python_version": version, "root_prefix": str(_ROOT), "label": _LABEL}
    if as_json:
        return json.dumps({**facts, "envs": [str(path) for path in _environments()]}, indent=2)
    return "\n".join(f"{name.replace('_', ' '):>20} : {value}" for name, value in facts.items())


def _environments() -> list[Path]:
    known = Path.home() / ".conda" / "environments.txt"
    lines = known.read_text().splitlines() if known.is_file() else []
    candidates = [_ROOT, *sorted((_ROOT / "envs").glob("*")), *(Path(line) for line in lines)]
    return list(dict.fromkeys(path for path in candidates if (path / "conda-meta" / "history").is_file()))


def _env_list(as_json: bool) -> int:
    environments = _environments()
    if as_json:
        _write(json.dumps({"envs": [str(path) for path in environments]}, indent=2))
        return 0
    _write("# conda environments:\n#")
    for path in environments:
        name = "base" if path == _ROOT else path.name if path.parent == _ROOT / "envs" else ""
        _write(f"{name:<24} {'*' if path == _ROOT else ' '} {path}")
    _write("")
    return 0


def _packages(prefix: Path) -> list[dict[str, Any]]:
    conda = []
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        record = json.loads(path.read_text())
        conda.append({
            "base_url": record.get("channel", ""),
            "build_number": record["build_number"],
            "build_string": record["build"],
            "channel": str(record.get("channel", "")).rstrip("/").rpartition("/")[2],
            "dist_name": path.stem,
            "name": record["name"],
            "platform": record["subdir"],
            "version": record["version"],
        })  # fmt: skip
    return sorted(conda + _pip_packages(prefix), key=lambda each: str(each["name"]))


def _pip_packages(prefix: Path) -> list[dict[str, Any]]:
    result = []
    for info in prefix.glob("lib/python3*/site-packages/*.dist-info"):
        installer = info / "INSTALLER"
        if not installer.is_file() or installer.read_text().strip() == "conda":
            continue
        name, _, version = info.stem.partition("-")
        build: dict[str, Any] = {"build_number": 0, "build_string": "pypi_0", "channel": "pypi", "platform": "pypi"}
        described = {"base_url": "https://conda.anaconda.org/pypi", "dist_name": f"{name}-{version}-pypi_0"}
        result.append({**build, **described, "name": name.replace("_", "-"), "version": version})
    return result


def _list(prefix: Path, as_json: bool) -> int:
    packages = _packages(prefix)
    if as_json:
        _write(json.dumps(packages, indent=2))
        return 0
    _write(f"# packages in environment at {prefix}:\n#")
    _write(f"# {'Name':<23} {'Version':<15} {'Build':>15}  Channel")
    for each in packages:
        _write(f"{each['name']:<25} {each['version']:<15} {each['build_string']:>15}  {each['channel']}")
    return 0


def _run(prefix: Path, program: Sequence[str]) -> int:
    if not program:
        sys.stderr.write("conda run: error: no program given\n")
        return 2
    place = {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": prefix.name, "CONDA_SHLVL": "1"}
    os.environ.update({**place, "PATH": f"{prefix}/bin:{os.environ.get('PATH', os.defpath)}"})
    try:
        os.execvp(program[0], list(program))  # noqa: S606  # running a program is what it is for
    except OSError as error:
        sys.stderr.write(f"conda run: {program[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    raise SystemExit(main())
