"""One lock, hosts of different kind and history: the same bytes on each, or a refusal before anything is downloaded."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from fleetenv.lab import damage
from fleetenv.lab.namespace_host import NamespaceHost
from fleetenv.lab.nvidia_smi import A100, V100
from tests.system.conftest import PREFIX, Site

pytestmark = [pytest.mark.root, pytest.mark.sshd]

SPEC = """\
name: nlp
channels: [{channel}]
dependencies:
  - python
  - pip
  - fleet-data =1.2
  - fleet-libc
  - pip:
      - --index-url {index}
      - fleet-plots
"""
PLACE = b"<PREFIX>"


def simulate_glibc(host: NamespaceHost, version: str) -> None:
    """Let a host say that it has another glibc than it has."""
    host.must_run(f"printf '#!/bin/sh\\necho glibc {version}\\n' >/usr/bin/getconf")


def files(host: NamespaceHost, name: str) -> dict[str, str]:
    """Hash all of an environment but byte-code and what depends on its own folder's name; links by their targets."""
    inside = str(host.path(f"{PREFIX}/envs/{name}").readlink())
    root = host.path(inside)
    found: dict[str, bytes] = {}
    for folder, _, names in os.walk(root):
        for each in names:
            path = Path(folder, each)
            data = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            found[path.relative_to(root).as_posix()] = data
    placed = {path for path, data in found.items() if inside.encode() in data}
    return {
        path: hashlib.sha256(without_hashes(path, data, placed).replace(inside.encode(), PLACE)).hexdigest()
        for path, data in found.items()
        if not path.endswith(".pyc") and path not in ("conda-meta/history", "conda-meta/fleetenv")  # hold the time
    }


def without_hashes(path: str, data: bytes, placed: set[str]) -> bytes:
    """Leave out what records say of files that hold their folder's name."""
    if path.endswith("/RECORD"):
        packages = Path(path).parent.parent
        lines = data.decode().splitlines()
        return "\n".join(
            line for line in lines if os.path.normpath(f"{packages}/{line.partition(',')[0]}") not in placed
        ).encode()
    if re.fullmatch(r"conda-meta/.*\.json", path):
        record = json.loads(data)
        for entry in record["paths_data"]["paths"]:
            if entry["_path"] in placed:
                entry.pop("sha256_in_prefix", None)
                if entry["path_type"] == "unix_python_entry_point":  # a script that was written where it is
                    del entry["sha256"]
        return json.dumps(record, sort_keys=True).encode()
    return data


def test_hosts_of_different_kind_and_history_get_the_same_bytes(namespace_fleet, site):
    fleet = namespace_fleet(2, gpus=A100)
    here: Site = site(fleet)
    old, new = fleet["gpu01"], fleet["gpu02"]
    assert here.apply("--limit", "gpu01").status == 0
    here.write_spec("nlp", "fleet-tensor =1.0")
    assert here.apply("--limit", "gpu01").status == 0
    damage.edit_module_in_place(old, here.environment("nlp"), "fleet_tensor")
    damage.edit_module_in_place(old, here.environment("vision"), "fleet_data")  # in the package cache, too
    simulate_glibc(old, "2.28")
    new.set_gpus(None)
    for host in fleet.hosts:
        host.must_run(f"printf '[global]\\ntrusted-host = {fleet.gateway}\\n' >/etc/pip.conf")

    (here.folder / "envs/nlp.yml").write_text(SPEC.format(channel=here.channel, index=here.index))
    locked = here.cli("lock", "envs/nlp.yml", "--platform", "linux-64", cwd=here.folder)
    assert locked.status == 0, locked.stderr
    done = here.apply("--skip-tags", "gpu")
    assert done.status == 0, done.stdout
    for name in ("nlp", "vision"):
        assert files(old, name) == files(new, name)
    assert len(files(new, "nlp")) > 1000


def test_a_host_that_cannot_have_it_is_refused_before_anything_is_downloaded(namespace_fleet, site, web, lab_channel):
    fleet = namespace_fleet(3, gpus=A100)
    here: Site = site(fleet)
    assert here.apply().status == 0
    simulate_glibc(fleet["gpu02"], "2.12")
    fleet["gpu03"].set_gpus(V100)
    packages = {host.name: host.must_run(f"ls {PREFIX}/pkgs") for host in fleet.hosts}

    spec = here.folder / "envs/nlp.yml"
    spec.write_text(spec.read_text() + "  - fleet-cuda\n  - fleet-libc\n")
    assert here.cli("lock", spec, "--platform", "linux-64", "--cuda", "12.4", cwd=here.folder).status == 0
    done = here.apply("--skip-tags", "gpu")
    assert done.status == 2
    messages = {name: " ".join(task["msg"] for task in host["tasks"]) for name, host in here.report.items()}
    assert here.counts("failed") == {"gpu01": 0, "gpu02": 1, "gpu03": 1}, messages
    assert "glibc is 2.12; nlp needs __glibc >=2.17 (fleet-libc)" in messages["gpu02"]
    assert "nlp needs __cuda >=12.4 (fleet-cuda)" in messages["gpu03"]
    for name in ("gpu02", "gpu03"):
        assert f"[{name}]" in done.stdout
        assert fleet[name].must_run(f"ls {PREFIX}/pkgs") == packages[name]
