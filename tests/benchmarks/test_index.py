"""The simulated index of one environment's benchmark: solvers and conda read it, and choose real packages only."""

import asyncio
import json
from pathlib import Path

import msgspec
import zstandard
from rattler import Channel, Gateway, solve

from benchmarks.conda import bulk, index
from fleetenv.lab.channel import LabChannel

RECORDS = 10_000


def test_a_solver_chooses_what_can_be_downloaded(lab_channel: LabChannel, tmp_path: Path) -> None:
    channel = index.build(lab_channel.path, RECORDS, tmp_path / "index")
    solved = asyncio.run(
        solve(
            [Channel(channel.as_uri())],
            ["python", "fleet-text"],
            Gateway(cache_dir=tmp_path / "cache"),
            platforms=[lab_channel.subdir, "noarch"],
        )
    )
    assert {record.name.normalized for record in solved} >= {"python", "fleet-text", "fleet-tensor"}
    assert all((channel / record.subdir / record.file_name).is_file() for record in solved)


def test_it_is_as_large_as_asked_whole_and_in_shards(lab_channel: LabChannel, tmp_path: Path) -> None:
    channel = index.build(lab_channel.path, RECORDS, tmp_path / "index")
    assert index.build(lab_channel.path, RECORDS, tmp_path / "index") == channel  # made once
    total = 0
    for subdir in (lab_channel.subdir, "noarch"):
        whole = json.loads((channel / subdir / "repodata.json").read_text())
        names = {record["name"] for kind in ("packages", "packages.conda") for record in whole[kind].values()}
        total += len(whole["packages"]) + len(whole["packages.conda"])
        packed = (channel / subdir / "repodata_shards.msgpack.zst").read_bytes()
        shards = msgspec.msgpack.decode(zstandard.decompress(packed))["shards"]
        assert shards.keys() == names
        for name in ("python", "fleet-text"):
            if name in shards:
                data = zstandard.decompress(
                    (channel / f"{subdir}/shards/{shards[name].hex()}.msgpack.zst").read_bytes()
                )
                shard = msgspec.msgpack.decode(data)
                for kind in ("packages", "packages.conda"):
                    assert shard[kind].keys() == {k for k, v in whole[kind].items() if v["name"] == name}
    assert total == RECORDS


def test_bulk_is_called_simulated_and_half_of_it_brings_byte_code(lab_channel: LabChannel) -> None:
    noarch, platform = bulk.packages(2, lab_channel.subdir)
    assert all(
        package.name.startswith("simulated-") and "simulated" in package.summary for package in (noarch, platform)
    )
    assert not any(path.endswith(".pyc") for path in noarch.files)
    modules = [path for path in platform.files if path.endswith(".py")]
    assert {f"lib/{bulk.bytecode_path(path.removeprefix('lib/'))}" for path in modules} <= platform.files.keys()
