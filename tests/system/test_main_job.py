"""The main job on real OpenSSH hosts: converge, stay converged, find what was done by hand, mend it."""

from __future__ import annotations

from typing import Any

import pytest

from fleetenv.lab import damage
from fleetenv.lab.job import Job
from fleetenv.lab.nvidia_smi import A100
from tests.system.conftest import PREFIX

pytestmark = [pytest.mark.root, pytest.mark.sshd]


def found(report: dict[str, Any]) -> dict[str, list[str]]:
    """What a drift report found, by host: each task's name, with its item."""
    names = {item["id"]: " ".join(filter(None, (item["task"], item["item"]))) for item in report["items"]}
    differing = {
        name: [names[item["id"]] for item in host["items"] if item["verdict"] not in ("same", "skipped")]
        for name, host in report["hosts"].items()
    }
    return {name: items for name, items in differing.items() if items}


def test_eight_hosts_converge_drift_of_three_is_found_and_mended(namespace_fleet, site):
    fleet = namespace_fleet(8, gpus=A100)
    here = site(fleet)
    everywhere = {host.name for host in fleet.hosts}

    first = here.apply()
    assert first.status == 0, first.stdout + first.stderr
    assert set(here.counts("changed").values()) == {3}
    ask = f"{here.environment('nlp')}/bin/python -c 'import fleet_text; print(fleet_text.__version__)'"
    assert {host.must_run(ask) for host in fleet.hosts} == {"1.0\n"}

    again = here.apply()
    assert again.status == 0
    assert here.counts("changed") == dict.fromkeys(everywhere, 0)
    assert here.drift()[0] == 0

    damage.edit_module(fleet["gpu02"], here.environment("nlp"), "fleet_text")
    damage.edit_condarc(fleet["gpu05"], f"{PREFIX}/.condarc")
    damage.pip_install(fleet["gpu07"], here.environment("vision"), "fleet-tensor==1.5", here.index)
    status, report = here.drift()
    assert status == 2
    assert found(report) == {
        "gpu02": ["Environment nlp"],
        "gpu05": ["Write .condarc"],
        "gpu07": ["Environment vision"],
    }

    assert here.apply().status == 0
    assert here.counts("changed") == dict.fromkeys(everywhere, 0) | {"gpu02": 1, "gpu05": 1, "gpu07": 1}
    assert here.drift()[0] == 0


def test_running_job_survives_a_switch(namespace_fleet, site, eventually):
    fleet = namespace_fleet(1, gpus=A100)
    here = site(fleet)
    here.write_spec("nlp", "fleet-tensor =1.0")
    assert here.apply().status == 0
    host = fleet["gpu01"]
    job = Job.start(host, here.environment("nlp"), "fleet-tensor")
    before = job.beats()[0]

    here.write_spec("nlp", "fleet-tensor =1.1")
    assert here.apply().status == 0
    assert here.counts("changed") == {"gpu01": 1}
    ask = f"{here.environment('nlp')}/bin/python -c 'import fleet_tensor; print(fleet_tensor.__version__)'"
    assert host.must_run(ask) == "1.1\n"

    since = len(job.beats())
    eventually(lambda: len(job.beats()) > since)
    assert {(beat.prefix, beat.version) for beat in job.beats()} == {(before.prefix, "1.0")}
    assert job.running
    job.stop()
