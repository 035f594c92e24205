"""The lab's channel is a real one: py-rattler solves and installs from it, and what it installs runs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import rattler
from rattler.exceptions import SolverError
from rattler.package import BuildString, PathsJson

from fleetenv.lab.channel import LabChannel, build_channel
from fleetenv.lab.package import PLACEHOLDER

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
ZERO = BuildString("0")
GLIBC = rattler.GenericVirtualPackage(rattler.PackageName("__glibc"), rattler.Version("2.17"), ZERO)
CUDA_12_2 = rattler.GenericVirtualPackage(rattler.PackageName("__cuda"), rattler.Version("12.2"), ZERO)
CUDA_12_8 = rattler.GenericVirtualPackage(rattler.PackageName("__cuda"), rattler.Version("12.8"), ZERO)


async def solve(
    channel: LabChannel, *specs: str, virtual: tuple[rattler.GenericVirtualPackage, ...] = (GLIBC,)
) -> list[rattler.RepoDataRecord]:
    return await rattler.solve([channel.url], specs, virtual_packages=virtual, gateway=rattler.Gateway())


async def install(channel: LabChannel, prefix: Path, cache: Path, *specs: str) -> None:
    await rattler.install(await solve(channel, *specs), prefix, cache_dir=cache, show_progress=False)


def says(prefix: Path, *command: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(prefix), "PIP_CONFIG_FILE": os.devnull}
    program = [str(prefix / "bin" / command[0]), *command[1:]]
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_python_runs_from_the_prefix_where_it_was_installed(
    channel: LabChannel, tmp_path: Path, cache: Path
) -> None:
    prefix = tmp_path / "a folder with spaces"
    await install(channel, prefix, cache, "python", "fleet-libc")
    code = "import sys, ssl, ctypes, sqlite3, bz2, lzma, hashlib, fleet_libc; print(sys.prefix); print(sys.version)"
    assert says(prefix, "python", "-c", code).splitlines() == [str(prefix), *sys.version.splitlines()]
    assert str(prefix) in says(prefix, "python", "-c", "import sysconfig; print(sysconfig.get_config_vars())")


async def test_python_does_not_look_into_the_python_that_it_was_packed_from(
    channel: LabChannel, tmp_path: Path, cache: Path
) -> None:
    await install(channel, tmp_path / "env", cache, "python")
    loaded = says(tmp_path / "env", "python", "-c", "print(open('/proc/self/maps').read())")
    paths = says(tmp_path / "env", "python", "-c", "import sys; print(sys.path)")
    assert f"{sys.base_prefix}/lib/libpython" not in loaded
    assert f"{sys.base_prefix}/lib/{PYTHON}" not in paths


async def test_python_comes_byte_compiled(channel: LabChannel, tmp_path: Path, cache: Path) -> None:
    prefix = tmp_path / "env"
    await install(channel, prefix, cache, "python")
    compiled = {path: path.read_bytes() for path in prefix.rglob("*.pyc")}
    assert len(compiled) > 400
    says(prefix, "python", "-m", "compileall", "-q", str(prefix / "lib" / PYTHON))
    assert {path: path.read_bytes() for path in compiled} == compiled


async def test_noarch_packages_and_their_scripts_work(channel: LabChannel, tmp_path: Path, cache: Path) -> None:
    prefix = tmp_path / "env"
    await install(channel, prefix, cache, "fleet-text", "fleet-data", "pip")
    assert says(prefix, "python", "-c", "import fleet_text as t; print(round(t.similarity('a b', 'b c'), 2))") == "0.5"
    assert says(prefix, "fleet-data") == f"{prefix}/share/fleet-data"
    table = tmp_path / "table.csv"
    table.write_text("1,10\n3,30\n")
    assert says(prefix, "fleet-data", str(table)) == "2.0 20.0"
    listed = {
        each["name"]: each["version"]
        for each in json.loads(says(prefix, "pip", "--disable-pip-version-check", "list", "--format", "json"))
    }
    assert listed.keys() == {"fleet-data", "fleet-tensor", "fleet-text", "pip"}


async def test_every_installed_file_has_the_hash_that_its_record_says(
    channel: LabChannel, tmp_path: Path, cache: Path
) -> None:
    prefix = tmp_path / "env"
    await install(channel, prefix, cache, "fleet-data", "pip")
    checked = 0
    for record in (prefix / "conda-meta").glob("*.json"):
        for path in json.loads(record.read_text())["paths_data"]["paths"]:
            wanted = path.get("sha256_in_prefix") or path.get("sha256")
            if wanted and path["path_type"] == "hardlink" and not path.get("no_link"):
                assert hashlib.sha256((prefix / path["_path"]).read_bytes()).hexdigest() == wanted, path
                checked += 1
    assert checked > 1000


async def test_versions_are_chosen_by_the_constraints_of_the_packages(channel: LabChannel) -> None:
    chosen = {r.name.normalized: str(r.version) for r in await solve(channel, "fleet-text ==0.9", "fleet-data")}
    assert chosen["fleet-tensor"] == "1.1"
    chosen = {r.name.normalized: str(r.version) for r in await solve(channel, "fleet-text")}
    assert chosen["fleet-tensor"] == "2.0"


async def test_a_package_needs_a_driver_with_cuda_12_4(channel: LabChannel) -> None:
    assert await solve(channel, "fleet-cuda", virtual=(GLIBC, CUDA_12_8))
    with pytest.raises(SolverError, match="__cuda"):
        await solve(channel, "fleet-cuda", virtual=(GLIBC, CUDA_12_2))


async def test_both_formats_are_there_with_their_hashes(channel: LabChannel) -> None:
    records = await solve(channel, "fleet-text ==1.0")
    records += await solve(channel, "fleet-tensor ==1.0", "fleet-data ==1.0")
    assert {r.file_name for r in records} >= {"fleet-tensor-1.0-pyh_0.tar.bz2", "fleet-text-1.0-pyh_0.conda"}
    for record in records:
        path = channel.path / record.subdir / record.file_name
        assert record.sha256 == hashlib.sha256(path.read_bytes()).digest()


def test_pip_installs_from_the_simple_index(channel: LabChannel, tmp_path: Path) -> None:
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "--isolated", "install", "-q", "--no-cache-dir", "--target", str(target)]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    subprocess.run([*command, "--index-url", channel.simple, "fleet-plots"], check=True, env=environment)
    assert {path.name for path in target.glob("*.dist-info")} == {
        "fleet_metrics-0.2.dist-info",
        "fleet_plots-1.0.dist-info",
    }


async def test_one_more_version_can_be_added(tmp_path: Path, channel: LabChannel, cache: Path) -> None:
    grown = build_channel(tmp_path / "lab")
    grown.add_package("fleet-tensor", "3.0", ("fleet-libc",), {"fleet_tensor/__init__.py": "VALUE = 3\n"})
    assert build_channel(tmp_path / "lab") == grown
    await install(grown, tmp_path / "env", cache, "fleet-tensor >=3")
    assert says(tmp_path / "env", "python", "-c", "import fleet_tensor, fleet_libc; print(fleet_tensor.VALUE)") == "3"
    assert "fleet-tensor-3.0-pyh_0.conda" not in [path.name for path in channel.path.rglob("*")]


def test_the_same_python_gives_the_same_bytes(channel: LabChannel, tmp_path: Path) -> None:
    again = build_channel(tmp_path)
    packages = [p for p in again.folder.rglob("*") if p.suffix in (".conda", ".bz2", ".whl")]
    assert len(packages) > 10
    for path in packages:  # other tests may have added some to the shared channel
        assert (channel.folder / path.relative_to(again.folder)).read_bytes() == path.read_bytes(), path.name


def test_an_intact_channel_is_returned_as_it_is_and_a_damaged_one_built_anew(tmp_path: Path) -> None:
    channel = build_channel(tmp_path)
    package = channel.path / "noarch/fleet-tensor-2.0-pyh_0.conda"
    whole = package.read_bytes()
    written = {path: path.stat().st_mtime_ns for path in channel.folder.rglob("*.*")}
    build_channel(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in channel.folder.rglob("*.*")} == written
    package.write_bytes(whole[:-1])
    build_channel(tmp_path)
    assert package.read_bytes() == whole


def test_no_package_tells_where_it_was_built(channel: LabChannel) -> None:
    python = next((channel.path / channel.subdir).glob("python-*.conda"))
    assert platform.python_version() in python.name
    paths = PathsJson.from_package_archive(python).paths
    replaced = [path for path in paths if path.prefix_placeholder is not None]
    assert all(path.prefix_placeholder and path.prefix_placeholder.placeholder == PLACEHOLDER for path in replaced)
    assert not [path.relative_path for path in paths if "test" in Path(path.relative_path).parts]


PACKS = """
import sys
from fleetenv.lab.cpython import Interpreter, pip_package, python_package
package = python_package(Interpreter.running())
print(package.version, len(package.files), pip_package().name)
"""
OTHERS = [Path("/usr/bin/python3"), *sorted((Path.home() / ".pyenv/versions").glob("3.1*/bin/python3"))]


@pytest.mark.parametrize("python", [path for path in OTHERS if path.exists()], ids=str)
def test_whatever_python_there_is_can_be_packed(python: Path) -> None:
    """Debian's, pyenv's: each package is tried from another prefix before it is taken."""
    version = "import sys; print(sys.version_info >= (3, 11), end='')"
    if subprocess.run([python, "-c", version], capture_output=True, text=True, check=True).stdout != "True":
        pytest.skip("older than 3.11")
    root = Path(__file__).parents[2]
    done = subprocess.run([python, "-c", PACKS], cwd=root, capture_output=True, text=True, check=False)
    if "comes without pip's wheel" in done.stderr:
        pytest.skip("this Python has no ensurepip")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 500
