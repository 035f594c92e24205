"""The damage that the demo does to its hosts, and its job, on an embedded host with a Miniconda of the lab's."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.errors import TaskFailed
from fleetenv.lab import damage
from fleetenv.lab.job import Job


@pytest.fixture(scope="module")
def host(shared_embedded_fleet, lab_installer):
    host = shared_embedded_fleet(1)["gpu01"]
    assert host.run(f"sh {lab_installer.path} -b -p ~/miniconda3").status == 0
    return host


@pytest.fixture
def prefix(host, tmp_path):
    """An environment to be hurt: a virtual one, which takes a moment to make."""
    prefix = tmp_path / "env"
    made = host.run(f"~/miniconda3/bin/python -m venv --system-site-packages --without-pip {prefix}")
    assert made.status == 0, made.error_text
    return str(prefix)


def test_pip_install_by_hand_overwrites_conda_and_edits_are_seen(host, prefix, lab_channel):
    said = damage.pip_install(host, prefix, "fleet-tensor==1.5", lab_channel.simple)
    assert said == f"gpu01: 'fleet-tensor==1.5' was installed with pip into {prefix}"
    (source,) = Path(prefix).rglob("fleet_tensor/__init__.py")

    cached = source.with_name("cached")
    cached.hardlink_to(source)
    before = source.read_text()
    assert damage.edit_module(host, prefix, "fleet_tensor") == f"gpu01: {source} was edited by hand"
    assert source.read_text() == f"# just trying something\n{before}"
    assert cached.read_text() == before

    damage.edit_module_in_place(host, prefix, "fleet_tensor")
    assert source.read_text().endswith("# just trying something\n")
    assert damage.remove_module(host, prefix, "fleet_tensor") == f"gpu01: {source} was removed"
    assert not source.exists()


def test_a_channel_added_to_condarc(host, tmp_path):
    condarc = tmp_path / ".condarc"
    condarc.write_text("channels:\n  - conda-forge\nshow_channel_urls: true\n")
    damage.edit_condarc(host, str(condarc))
    assert condarc.read_text() == "channels:\n  - some-channel\n  - conda-forge\nshow_channel_urls: true\n"


def test_damage_that_cannot_be_done_is_an_error(host, tmp_path):
    with pytest.raises(TaskFailed, match="gpu01: "):
        damage.edit_condarc(host, str(tmp_path / "absent"))


def test_a_job_beats_with_its_own_prefix_until_it_is_stopped(host, prefix, eventually):
    job = Job.start(host, prefix, "pip")
    try:
        assert job.running
        assert {beat.prefix for beat in job.beats()} == {prefix}
        eventually(lambda: len(job.beats()) > 3)
        assert [beat.number for beat in job.beats()][:3] == [0, 1, 2]
    finally:
        job.stop()
    eventually(lambda: not job.running)


def test_a_job_that_fails_at_once_did_not_start(host, prefix):
    with pytest.raises(TaskFailed, match="PackageNotFoundError"):
        Job.start(host, prefix, "absent-package")
