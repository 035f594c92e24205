"""`fleetenv gpu --envs` as users run it, on embedded hosts whose GPUs are simulated."""

import json
import sys
from dataclasses import replace

import pytest

from fleetenv.conda.spec import read_spec
from fleetenv.lab.nvidia_smi import A100, RTX4090, V100, Fault

from .locks import write_lock

GPUS = {
    "gpu01": A100,
    "gpu02": replace(A100, driver="535.104.05", cuda="12.2"),
    "gpu03": V100,
    "gpu04": replace(A100, fault=Fault.MISMATCH, library="560.35.03"),
    "gpu05": replace(RTX4090, driver="580.65.06", cuda="13.0"),
}


@pytest.fixture(scope="module")
def fleet(shared_embedded_fleet):
    return shared_embedded_fleet([*GPUS, "login"], gpus=GPUS)


@pytest.fixture
def project(tmp_path):
    envs = tmp_path / "envs"
    write_lock(envs / "arm.lock", [("cuda-version", "12.4", "0")], platform="linux-aarch64")
    write_lock(envs / "data_prep.lock", [("numpy", "1.26.4", "py311h64a7726_0")])
    write_lock(
        envs / "nlp_train.lock", [("cuda-version", "12.4", "h3060b56_3"), ("pytorch", "2.5.1", "cuda124_py311_1")]
    )
    write_lock(envs / "strict.lock", [("fleet-cuda", "12.4", "0")], depends=["__cuda >=12.4"])
    write_lock(envs / "wheels.lock", [("python", "3.11.9", "0")], [("torch", "2.9.0+cu130")])
    return tmp_path


def test_the_matrix_of_hosts_and_the_locks_of_this_folder(fleet, fleetenv_cli, project):
    done = fleetenv_cli("gpu", "--envs", "-i", fleet.inventory, "--json", cwd=project)
    assert (done.status, done.stderr) == (2, "")
    document = json.loads(done.stdout)
    assert {
        host: [each["fitness"] for each in told["environments"].values()] for host, told in document["hosts"].items()
    } == {
        #         arm           data_prep   nlp_train        strict          wheels
        "gpu01": ["not-locked", "cpu-only", "runs", "runs", "needs-driver"],
        "gpu02": ["not-locked", "cpu-only", "minor-version", "needs-driver", "needs-driver"],
        "gpu03": ["not-locked", "cpu-only", "needs-driver", "needs-driver", "old-gpu"],
        "gpu04": ["not-locked", "cpu-only", "needs-driver", "needs-driver", "needs-driver"],
        "gpu05": ["not-locked", "cpu-only", "runs", "runs", "runs"],
        "login": ["not-locked", "cpu-only", "no-gpu", "no-gpu", "no-gpu"],
    }
    assert document["hosts"]["gpu02"]["driver_for_all"] == "580.65.06"
    assert document["hosts"]["gpu02"]["simulated"] is True
    needs = document["environments"]["wheels"]["platforms"]["linux-64"]
    assert needs["reasons"] == [{"package": "torch", "says": "version 2.9.0+cu130", "cuda": "13.0"}]


def test_text_fits_80_columns_and_says_why(fleet, fleetenv_cli, project):
    told = fleetenv_cli("gpu", "--envs", "-i", fleet.inventory, cwd=project).stdout
    assert all(len(line) <= 80 and line == line.rstrip() for line in told.splitlines())
    assert "nlp_train  CUDA 12.4  cuda-version 12.4, pytorch cuda124_py311_1" in told
    assert "strict     GPU        __cuda >=12.4 (fleet-cuda)" in told
    assert "without a new driver: package cuda-compat-13-0" in told
    assert "wheels: CUDA 13.0 no longer supports Volta" in told
    assert "simulated GPUs are fleetenv's" in told


def test_a_named_spec_on_hosts_that_can_run_it(fleet, fleetenv_cli, project):
    spec, lock = project / "envs/nlp_train.yml", project / "envs/nlp_train.lock"
    spec.write_text("name: nlp_train\nchannels: [conda-forge]\ndependencies: [pytorch=2.5]\n")
    lock.write_text(f'# fleetenv: {{"spec-sha256": "{read_spec(spec).digest}"}}\n{lock.read_text()}')
    done = fleetenv_cli("gpu", "gpu01:gpu05", "-i", fleet.inventory, "--envs", "envs/nlp_train.yml", cwd=project)
    assert done.status == 0
    assert "1 environment on 2 hosts: 2 of 2 can run" in done.stdout
    assert "strict" not in done.stdout


def test_bad_input_is_said_before_any_host_is_asked(fleet, fleetenv_cli, project):
    swallowed = fleetenv_cli("gpu", "-i", fleet.inventory, "--envs", "gpu01", cwd=project)
    assert swallowed.status == 1
    assert "write the pattern of hosts before --envs" in swallowed.stderr
    (project / "envs/cv.yml").write_text("name: cv\nchannels: [conda-forge]\ndependencies: [python]\n")
    spec = fleetenv_cli("gpu", "-i", fleet.inventory, "--envs", "envs/cv.yml", cwd=project)
    assert (spec.status, "cv.yml has no lock" in spec.stderr) == (1, True)
    for lock in (project / "envs").glob("*.lock"):
        lock.unlink()
    empty = fleetenv_cli("gpu", "-i", fleet.inventory, "--envs", cwd=project)
    assert empty.status == 1
    assert "note: envs/cv.yml has no lock, and is left out" in empty.stderr
    assert "there are no locks in envs/" in empty.stderr


def test_what_hosts_have_installed(fleet, fleetenv_cli, tmp_path):
    prefix = tmp_path / "miniconda3"
    records = {
        "envs/cv": {"name": "pytorch", "version": "2.5.1", "build": "cuda124_py311_1", "depends": ["python", "__cuda"]},
        "envs/prep": {"name": "numpy", "version": "1.26.4", "build": "py311_0", "depends": ["python"]},
        ".": {"name": "conda", "version": "26.7.0", "build": "py311_0"},
    }
    for folder, record in records.items():
        (prefix / folder / "conda-meta").mkdir(parents=True)
        (prefix / folder / "conda-meta" / f"{record['name']}-1.json").write_text(json.dumps(record))
    (prefix / "envs/cv/conda-meta/broken-cuda.json").write_text("{")
    info = prefix / "envs/prep/lib/python3.11/site-packages/nvidia_cuda_runtime_cu12-12.9.79.dist-info"
    info.mkdir(parents=True)
    (info / "INSTALLER").write_text("pip\n")
    (prefix / "bin").mkdir()
    (prefix / "bin/python").symlink_to(sys.executable)
    done = fleetenv_cli("gpu", "gpu01:gpu03", "--installed", "--prefix", prefix, "-i", fleet.inventory, "--json")
    assert (done.status, done.stderr) == (2, "")
    document = json.loads(done.stdout)
    assert document["environments"]["prep"]["lock"] is None
    assert {
        host: {
            name: (each["cuda"], each["fitness"])
            for name, each in told["environments"].items()
            if not name.startswith("/")  # an embedded host sees what this machine's users have registered
        }
        for host, told in document["hosts"].items()
    } == {
        "gpu01": {"base": (None, "cpu-only"), "cv": ("12.4", "runs"), "prep": ("12.9", "minor-version")},
        "gpu03": {"base": (None, "cpu-only"), "cv": ("12.4", "needs-driver"), "prep": ("12.9", "needs-driver")},
    }


def test_a_host_that_is_away_does_not_keep_the_others(fleet, fleetenv_cli, project, tmp_path):
    inventory = tmp_path / "more.ini"
    inventory.write_text("gone ansible_host=127.0.0.1 ansible_port=1\n")
    done = fleetenv_cli("gpu", "gpu01:gone", "-i", fleet.inventory, "-i", inventory, "--envs", cwd=project)
    assert done.status == 6
    assert "1 environment" not in done.stdout
    assert "1 unreachable" in done.stdout
