"""The simulated nvidia-smi answers as the real one does, and says that it is simulated."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from fleetenv.lab.nvidia_smi import A100, H100, RTX4090, SIMULATED, V100, Fault, Gpus, program, xml


@pytest.fixture
def smi(tmp_path: Path):
    """`smi(gpus, "-L")` runs the program."""

    def run(gpus: Gpus, *words: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "nvidia-smi"
        path.write_text(program(gpus))
        path.chmod(0o755)
        return subprocess.run([path, *words], capture_output=True, text=True)

    return run


@pytest.mark.parametrize("gpus", [A100, H100, RTX4090, V100, Gpus(count=0)])
def test_xml_says_what_was_described(smi, gpus):
    done = smi(gpus, "-q", "-x")
    assert done.returncode == 0
    log = ElementTree.fromstring(done.stdout)
    assert log.findtext("driver_version") == gpus.driver
    assert log.findtext("cuda_version") == gpus.cuda
    assert log.findtext("attached_gpus") == str(gpus.count)
    assert [gpu.findtext("product_name") for gpu in log.findall("gpu")] == [gpus.model] * gpus.count
    assert {gpu.findtext("fb_memory_usage/total") for gpu in log.findall("gpu")} <= {f"{gpus.memory} MiB"}
    assert len({gpu.findtext("uuid") for gpu in log.findall("gpu")}) == gpus.count


def test_xml_is_labelled_simulated():
    assert xml(A100).count(SIMULATED) == 1
    assert "simulated" in program(A100).splitlines()[1].lower()


def test_names_are_escaped(smi):
    gpus = Gpus(model="A <b> & 'c' $(id) `id`", count=1)
    assert ElementTree.fromstring(smi(gpus, "-q", "-x").stdout).findtext("gpu/product_name") == gpus.model
    assert gpus.model in smi(gpus, "-L").stdout
    assert smi(gpus, "--query-gpu=name", "--format=csv,noheader").stdout == f"{gpus.model}\n"


def test_list_has_a_line_a_gpu(smi):
    lines = smi(RTX4090, "-L").stdout.splitlines()
    assert [line.split(" (UUID")[0] for line in lines] == [f"GPU {index}: {RTX4090.model}" for index in range(4)]


def test_query_gives_the_asked_fields_in_their_order(smi):
    done = smi(replace(V100, count=2), "--query-gpu=index,memory.total,driver_version", "--format=csv")
    assert done.stdout == (
        "index, memory.total [MiB], driver_version\n0, 32768 MiB, 470.82.01\n1, 32768 MiB, 470.82.01\n"
    )


def test_query_without_header_and_units(smi):
    done = smi(replace(V100, count=1), "--query-gpu=memory.total,power.limit", "--format=csv,noheader,nounits")
    assert done.stdout == "32768, 300.00\n"


def test_an_unknown_field_is_refused(smi):
    done = smi(A100, "--query-gpu=name,weight", "--format=csv")
    assert (done.returncode, done.stdout) == (2, 'Field "weight" is not a valid field to query.\n\n')


@pytest.mark.parametrize(
    ("gpus", "status", "text"),
    [
        (
            Gpus(fault=Fault.NO_DRIVER),
            9,
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        ),
        (
            Gpus(fault=Fault.MISMATCH, library="550.90.07"),
            18,
            "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.90\n",
        ),
        (Gpus(fault=Fault.NO_DEVICES), 6, "No devices were found\n"),
        (Gpus(fault=Fault.LOST), 15, "Unable to determine the device handle for GPU7"),
    ],
)
def test_faults_have_their_message_and_status(smi, gpus, status, text):
    for words in ((), ("-L",), ("-q", "-x")):
        done = smi(gpus, *words)
        assert done.returncode == status
        assert done.stdout.startswith(text)
        assert done.stderr == f"{SIMULATED}\n"
