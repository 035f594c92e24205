"""`fleetenv gpu` as users run it, on embedded hosts whose GPUs are simulated."""

import json
import re
from dataclasses import replace

import pytest

from fleetenv.lab.nvidia_smi import A100, H100, MI300X, RTX4090, Fault

GPUS = {
    "gpu01": A100,
    "gpu02": replace(A100, count=7, driver="470.82.01", cuda="11.4"),
    "gpu03": replace(H100, ecc_uncorrected=2),
    "gpu04": replace(A100, fault=Fault.MISMATCH, library="560.35.03"),
    "gpu05": replace(A100, fault=Fault.NO_DRIVER),
    "gpu06": RTX4090,
    "gpu07": replace(MI300X, ecc_uncorrected=2),
}


@pytest.fixture(scope="module")
def fleet(shared_embedded_fleet):
    return shared_embedded_fleet([*GPUS, "login"], gpus=GPUS)


def test_the_fleet_is_a_table(fleet, fleetenv_cli):
    done = fleetenv_cli("gpu", "-i", fleet.inventory)
    assert (done.status, done.stderr) == (0, "")
    rows = {line.split()[0]: re.split(r" {2,}", line) for line in done.stdout.split("\n\n")[0].splitlines()}
    assert rows["HOST"] == ["HOST", "DRIVER", "CUDA", "GPUS", "HEALTH"]
    assert rows["gpu01"] == ["gpu01", "550.54.15", "12.4", "8 A100-SXM4-80GB (simulated)", "ok"]
    assert rows["gpu02"] == ["gpu02", "470.82.01", "11.4", "7 A100-SXM4-80GB (simulated)", "ok"]
    assert rows["gpu03"][-1] == "ecc-uncorrected"
    assert rows["gpu04"] == ["gpu04", "-", "-", "none (simulated)", "mismatch"]
    assert rows["gpu05"][-1] == "not-loaded"
    assert rows["gpu06"][3] == "4 GeForce RTX 4090 24 GiB (simulated)"
    assert rows["gpu07"] == ["gpu07", "6.16.6", "-", "8 AMD Instinct MI300X 192 GiB", "ecc-uncorrected"]
    assert done.stdout.count("(simulated)") == 7
    assert rows["login"] == ["login", "-", "-", "none", "-"]


def test_problems_come_with_advice(fleet, fleetenv_cli):
    told = fleetenv_cli("gpu", "-i", fleet.inventory).stdout
    assert "gpu03  GPU [0:7]\n  has had 4 uncorrected ECC errors since its driver was loaded\n  drain it" in told
    assert "does not fit libraries\n  560.35" in told
    assert "35 GPUs on 8 hosts; 4 with problems" in told


def test_output_in_a_pipe_is_plain_and_fits_80_columns(fleet, fleetenv_cli):
    told = fleetenv_cli("gpu", "-i", fleet.inventory).stdout
    assert "\x1b" not in told
    assert all(len(line) <= 80 and line == line.rstrip() for line in told.splitlines())


def test_a_pattern_chooses_hosts(fleet, fleetenv_cli):
    done = fleetenv_cli("gpu", "-i", fleet.inventory, "gpu01:gpu02:!gpu02", "--json")
    assert list(json.loads(done.stdout)["hosts"]) == ["gpu01"]


def test_json_has_every_gpu(fleet, fleetenv_cli):
    document = json.loads(fleetenv_cli("gpu", "-i", fleet.inventory, "--json").stdout)
    assert (document["format"], document["version"]) == ("fleetenv.gpu", 1)
    host = document["hosts"]["gpu03"]
    assert host["simulated"] is True
    assert host["driver"]["version"] == "550.54.15"
    assert len(host["gpus"]) == 8
    assert host["gpus"][7]["memory"]["volatile"]["uncorrected"] == 4
    assert {(problem["code"], problem["gpu"]) for problem in host["problems"]} == {
        ("ecc-uncorrected", index) for index in range(8)
    }
    assert document["hosts"]["login"]["problems"] == []
    amd = document["hosts"]["gpu07"]
    assert (amd["vendor"], amd["simulated"], amd["gpus"][0]["architecture"]) == ("amd", True, "gfx942")


def test_a_host_that_is_away_does_not_keep_the_others(fleet, fleetenv_cli, tmp_path):
    inventory = tmp_path / "more.ini"
    inventory.write_text("gone ansible_host=127.0.0.1 ansible_port=1\n")
    done = fleetenv_cli("gpu", "-i", fleet.inventory, "-i", inventory, "gpu01:gone")
    assert done.status == 4
    assert re.search(r"gone +- +- +- +unreachable", done.stdout)
    assert "8 GPUs on 1 host; 1 unreachable" in done.stdout


def test_a_pattern_that_matches_nothing_is_bad_input(fleet, fleetenv_cli):
    done = fleetenv_cli("gpu", "-i", fleet.inventory, "gpuu*")
    assert done.status == 1
    assert "no host matches 'gpuu*'" in done.stderr
