"""`fleetenv gpu --smoke` as users run it, over SSH, on embedded hosts whose GPUs and driver are simulated."""

import json
from dataclasses import replace

import pytest

from fleetenv.lab.nvidia_smi import A100, RTX4090, Fault

from .simulated import simulated_driver, simulated_prefix

GPUS = {
    "gpu01": replace(A100, count=2),
    "gpu02": replace(RTX4090, count=1),
    "gpu03": replace(A100, fault=Fault.MISMATCH),
}
SICK = GPUS["gpu01"].uuids[1]


@pytest.fixture(scope="module")
def fleet(shared_embedded_fleet, tmp_path_factory):
    driver = simulated_driver(tmp_path_factory.mktemp("driver"))
    folder = tmp_path_factory.mktemp("conda")
    fleet = shared_embedded_fleet([*GPUS, "login"], gpus=GPUS)
    simulated_prefix(folder / "miniconda3", driver, {SICK: "wrong"}, "nlp_train")
    return fleet, folder / "miniconda3"


def test_failing_gpus_are_named(fleet, fleetenv_cli):
    done = fleetenv_cli("gpu", "--smoke", "nlp_train", "-i", fleet[0].inventory, "--prefix", fleet[1])
    assert (done.status, done.stderr) == (2, "")
    bus = GPUS["gpu01"].bus_ids[1].lower()[4:]
    assert f"gpu01  GPU 1  {SICK}  {bus}\n  driver (CUDA 12.4): failed: the product is wrong" in done.stdout
    assert "gpu03\n  driver/library mismatch" in done.stdout
    assert "nlp_train: 3 GPUs on 4 hosts, 1 failed; simulated GPUs are" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_the_document_has_every_gpu_and_healthy_hosts_end_with_0(fleet, fleetenv_cli):
    done = fleetenv_cli(
        "gpu", "gpu02:login", "--smoke", "nlp_train", "-i", fleet[0].inventory, "--prefix", fleet[1], "--json"
    )
    assert done.status == 0
    document = json.loads(done.stdout)
    assert (document["format"], document["version"]) == ("fleetenv.gpu-smoke", 1)
    host = document["hosts"]["gpu02"]
    assert (host["failed"], host["simulated"], host["frameworks"], host["driver"]) == (False, True, [], "550.54.15")
    (gpu,) = host["devices"]
    assert (gpu["index"], gpu["uuid"]) == (0, GPUS["gpu02"].uuids[0])
    (trial,) = gpu["trials"]
    assert (trial["framework"], trial["state"], trial["device"]) == ("driver", "ok", "Simulated GPU 0")
    assert document["hosts"]["login"]["devices"] == []


def test_bad_input_is_said_before_any_host_is_asked(fleet, fleetenv_cli):
    done = fleetenv_cli("gpu", "--smoke", "../x", "-i", fleet[0].inventory)
    assert (done.status, "is not the name of an environment" in done.stderr) == (1, True)
    both = fleetenv_cli("gpu", "--smoke", "x", "--envs", "-i", fleet[0].inventory)
    assert (both.status, "not allowed with" in both.stderr) == (1, True)
    also = fleetenv_cli("gpu", "--smoke", "x", "--dcgm", "-i", fleet[0].inventory)
    assert (also.status, "--dcgm do not go with" in also.stderr) == (1, True)


def test_a_host_without_the_environment_says_so(fleet, fleetenv_cli):
    done = fleetenv_cli("gpu", "gpu02", "--smoke", "cv", "-i", fleet[0].inventory, "--prefix", fleet[1])
    assert done.status == 2
    assert "not tried: there is no environment 'cv' in" in done.stdout
