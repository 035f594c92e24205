"""`packages_via: controller`: hosts with no route but SSH get environments, and each package is downloaded once."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fleetenv.conda.builder import runtime
from fleetenv.conda.cache import cache_folder
from fleetenv.conda.lock import read_lock
from fleetenv.conda.relock import Wishes, relock
from fleetenv.conda.spec import read_spec
from fleetenv.errors import InputError
from fleetenv.lab.namespaces import Account
from fleetenv.remote import Run

from .machine import Machine, Project
from .wayward import Wayward, serving

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - miniconda: {{prefix: /opt/miniconda3, installer: {installer}}}
    - conda_env:
        spec: "{{{{ item }}}}.yml"
        prefix: /opt/miniconda3
        packages_via: controller
        mirrors: ["{mirror}"]
      loop: [nlp_train, cv_detect]
    - become: false
      virtualenv:
        path: ~/venvs/plots
        environment: nlp_train
        prefix: /opt/miniconda3
        system_site_packages: true
        requirements: plots.txt
        packages_via: controller
        pip_index: "{index}"
"""


@contextmanager
def site_of(project: Project, folder: Path) -> Iterator[Wayward]:
    """A mirror of a conda-forge that is the lab's channel, on this machine's loopback."""
    (folder / "site" / "anaconda" / "cloud").mkdir(parents=True)
    (folder / "site" / "anaconda" / "cloud" / "conda-forge").symlink_to(project.channel.path)
    with serving(folder / "site") as site:
        yield site


def index_of(project: Project, folder: Path, *names: str) -> Path:
    """Make an index that tells what wheels need beside them (PEP 658), as the official one does."""
    for name in names:
        wheels = sorted((project.channel.simple_path / name).glob("*.whl"))
        (folder / name).mkdir(parents=True)
        for wheel in wheels:
            (folder / name / wheel.name).symlink_to(wheel)
            with zipfile.ZipFile(wheel) as files:
                (said,) = (files.read(each) for each in files.namelist() if each.endswith(".dist-info/METADATA"))
            (folder / name / f"{wheel.name}.metadata").write_bytes(said)
        links = (
            f'<a href="{wheel.name}#sha256={sha256(wheel)}" data-dist-info-metadata="true">{wheel.name}</a>'
            for wheel in wheels
        )
        (folder / name / "index.html").write_text(f"<!DOCTYPE html><body>{'<br>'.join(links)}</body>")
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cache_without_packages(folder: Path) -> str:
    """Return a controller's cache that has no package; py-rattler for hosts, which takes long to pack, it has."""
    for zstd in (False, True):
        runtime(platform.machine(), zstd=zstd)
    (folder / "cache" / "fleetenv").mkdir(parents=True)
    for path in cache_folder().glob("py-rattler-*"):
        os.link(path, folder / "cache" / "fleetenv" / path.name)
    return str(folder / "cache")


def forge(project: Project, site: Wayward, name: str, *packages: str, pip: tuple[str, ...] = ()) -> Path:
    """Lock a spec of conda-forge, which the site has, and of the lab's index of wheels, which it has too."""
    path = project.spec(*packages, name=name, pip=pip)
    path.write_text(path.read_text().replace(project.channel.url, "conda-forge"))
    relock(read_spec(path), Wishes(mirror=f"{site.url}/anaconda", pip_index=project.channel.simple))
    return path.with_suffix(".lock")


@pytest.mark.root
@pytest.mark.sshd
def test_hosts_with_no_route_but_ssh_get_their_environments_and_packages_are_downloaded_once(
    namespace_fleet: Any, project: Project, miniconda: Path, fleetenv_cli: Any, tmp_path: Path
) -> None:
    fleet = namespace_fleet(3, account=Account("ops", sudo="nopasswd"))
    *_, strict = fleet.hosts
    strict.must_run("echo 'AllowTcpForwarding no' >>/etc/ssh/sshd_config")
    strict.kill_sshd()
    strict.start_sshd()
    (tmp_path / "more.yml").write_text("all: {hosts: {gpu02: {ansible_connection: paramiko}}}\n")
    with site_of(project, tmp_path) as site:  # on this machine's loopback, where no host comes
        locks = [
            forge(project, site, "nlp_train", "fleet-text", "pip", pip=("fleet-metrics",)),
            forge(project, site, "cv_detect", "fleet-data"),
        ]
        index_of(project, tmp_path / "site" / "simple", "fleet-plots", "fleet-metrics")
        (project.folder / "envs" / "plots.txt").write_text("fleet-plots\n")
        site.asked.clear()
        playbook = project.folder / "site.yml"
        mirror, index = f"{site.url}/anaconda", f"{site.url}/simple"
        playbook.write_text(PLAYBOOK.format(installer=miniconda, mirror=mirror, index=index))

        def apply(*words: str) -> dict[str, Any]:
            sources = ("-i", fleet.inventory, "-i", tmp_path / "more.yml", "--workers", "2")
            done = fleetenv_cli("apply", playbook, *sources, "--json", "-", *words, env={"XDG_CACHE_HOME": cache})
            assert done.status == 0, done.stdout + done.stderr
            hosts: dict[str, Any] = json.loads(done.stdout)["hosts"]
            return hosts

        cache = cache_without_packages(tmp_path)
        assert {host["changed"] for host in apply().values()} == {3}
        locked = [package for lock in locks for package in read_lock(lock).platforms[project.channel.subdir].conda]
        lacking = [each for each in locked if each.name.startswith("fleet-")]  # Miniconda has brought the others along
        wanted = {f"/anaconda/cloud/conda-forge/{'/'.join(each.url.split('/')[-2:])}" for each in lacking}
        wanted.add("/simple/fleet-plots/fleet_plots-1.0-py3-none-any.whl")  # fleet-metrics lies beneath
        assert Counter(path for path, _ in site.asked if path.endswith((".conda", ".bz2", ".whl"))) == Counter(wanted)
        assert {host["changed"] for host in apply().values()} == {0}

        for host in fleet.hosts:
            say = "import fleet_text, fleet_plots, fleet_metrics; print(fleet_text.__version__)"
            assert host.must_run(f"/home/ops/venvs/plots/bin/python -c '{say}'") == "1.0\n", host.name
            assert host.must_run("ls -d /home/ops/venvs/plots/lib/python3*/site-packages/fleet_*").count("fleet_") == 2
            assert host.must_run("ls -A /home/ops/venvs/.fleetenv/.arrivals") == ""
            record = json.loads(host.must_run("cat /opt/miniconda3/envs/nlp_train/conda-meta/fleet-text-*.json"))
            assert record["url"].startswith("https://conda.anaconda.org/conda-forge/noarch/fleet-text")
            frozen = host.must_run("/opt/miniconda3/envs/nlp_train/bin/python -m pip freeze")
            assert any(line.startswith("fleet-metrics==") for line in frozen.splitlines())
            assert host.must_run("ls -A /opt/miniconda3/pkgs | grep -c '^[.]fleetenv'; :") == "0\n"

        mine = fleetenv_cli("clean", "gpu01", "-i", fleet.inventory, "--check", "--env", "/home/ops/venvs/plots")
        assert re.search(
            r"gpu01 +virtualenv +/home/ops/venvs/plots +\d", mine.stdout
        )  # ops built it; the rest is root's
        assert "only virtualenvs of your own are looked at" in mine.stdout

        site.asked.clear()
        damage = "echo damaged >>$(echo /opt/miniconda3/pkgs/fleet-text-*/site-packages/fleet_text/__init__.py)"
        strict.must_run(damage)
        fleet["gpu01"].must_run(damage)
        mended = apply()
        assert {name for name, host in mended.items() if host["changed"]} == {"gpu01", strict.name}
        assert [
            path for path, _ in site.asked if path.endswith((".conda", ".bz2", ".whl"))
        ] == []  # the controller has it


def test_a_host_whose_server_forwards_nothing(
    embedded_fleet: Any, project: Project, miniconda: Path, fleetenv_cli: Any, tmp_path: Path
) -> None:
    fleet = embedded_fleet(1)
    prefix = fleet.hosts[0].variables["lab_root"] + "/miniconda3"
    fleet.hosts[0].run(f"sh {miniconda} -b -p {prefix}")
    playbook = project.folder / "site.yml"
    cache = cache_without_packages(tmp_path)

    def apply(*mirrors: str, spec: str = "nlp_train", via: str = "controller") -> Any:
        task = f"spec: {spec}.yml, prefix: {prefix}, packages_via: {via}, mirrors: {list(mirrors)}"
        playbook.write_text(f"- {{hosts: all, gather_facts: false, tasks: [{{conda_env: {{{task}}}}}]}}\n")
        return fleetenv_cli("apply", playbook, "-i", fleet.inventory, env={"XDG_CACHE_HOME": cache})

    with site_of(project, tmp_path) as site:
        forge(project, site, "nlp_train", "fleet-text")
        forge(project, site, "cv_detect", "fleet-tensor")
        told = apply("http://127.0.0.1:9/anaconda", f"{site.url}/anaconda", spec="cv_detect", via="host")
        assert "conda_env: http://127.0.0.1:9: Connection refused; 1 file came from elsewhere\n" in told.stdout
    told = apply(f"{site.url}/anaconda")  # it is down
    assert told.status == 2
    assert f"cannot download {site.url}/anaconda/cloud/conda-forge/" in told.stdout
    assert "Connection refused" in told.stdout
    assert not list(Path(prefix).glob("envs/.fleetenv/nlp_train/*"))

    project.lock("fleet-text", "pip", pip=("fleet-plots",))  # a channel and wheels in folders of the controller
    done = apply()
    assert done.status == 0, done.stdout + done.stderr
    (record,) = Path(prefix, "envs", "nlp_train", "conda-meta").glob("fleet-text-*.json")
    assert json.loads(record.read_text())["url"].startswith(f"{project.channel.url}/noarch/fleet-text-")
    assert apply().stdout.count("changed: ") == 0

    layer = f"path: {prefix}-plots, environment: nlp_train, prefix: {prefix}, requirements: plots.txt"
    task = f"virtualenv: {{{layer}, packages_via: controller, pip_index: '{project.channel.simple}'}}"
    playbook.write_text(f"- {{hosts: all, gather_facts: false, tasks: [{{{task}}}]}}\n")
    (project.folder / "envs" / "plots.txt").write_text("fleet-plots\n")
    done = fleetenv_cli("apply", playbook, "-i", fleet.inventory, env={"XDG_CACHE_HOME": cache})
    assert done.status == 0, done.stdout + done.stderr
    installed = Path(f"{prefix}-plots").glob("lib/python3*/site-packages/fleet_*.dist-info")
    assert sorted(path.name.partition("-")[0] for path in installed) == ["fleet_metrics", "fleet_plots"]
    assert not list(Path(prefix).parent.glob(".fleetenv/.arrivals/*/*"))


def test_a_source_distribution_is_refused_before_any_host_is_touched(machine: Machine, project: Project) -> None:
    project.lock("pip", pip=("fleet-plots",))
    lock = project.folder / "envs" / "nlp_train.lock"
    lock.write_text(lock.read_text().replace("fleet_plots-1.0-py3-none-any.whl", "fleet_plots-1.0.tar.gz"))
    told = r"nlp_train\.yml:\d+:\d+: fleet_plots-1\.0\.tar\.gz has to be built, .*; ask for a version of fleet-plots"
    with pytest.raises(InputError, match=told):
        project.task(machine, packages_via="controller")


def test_what_is_offered_is_what_the_lock_has_and_nothing_when_the_host_downloads(
    machine: Machine, project: Project
) -> None:
    project.lock("fleet-text", "pip", pip=("fleet-plots",))
    (locked,) = read_lock(project.folder / "envs" / "nlp_train.lock").platforms.values()
    for via, hashes in (("host", set()), ("controller", {each.sha256 for each in (*locked.conda, *locked.pip)})):
        task = project.task(machine, packages_via=via)
        *_, build = task.converge(machine.diff(task))
        assert isinstance(build, Run)
        assert {offer.sha256 for offer in build.offers} == hashes
