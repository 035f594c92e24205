"""The script, run by a real shell; where root, on a machine whose /sys and /proc are as the test says."""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.gpu.diagnosis import driver_problem, health_problems
from fleetenv.gpu.probe import SCRIPT, parse_answer
from fleetenv.gpu.states import Answer, GpuHost
from fleetenv.remote import Completed

from .documents import Card, healthy, smi

MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.54\n"
NOT_LOADED = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA "
    "driver is installed and running.\n"
)
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
namespaces = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root for namespaces")


def programs(folder: Path, output: bytes | str | None, status: int = 0, on_disk: str | None = None) -> Path:
    """Make an nvidia-smi that writes `output`, and a modinfo that knows `on_disk`."""
    folder.mkdir(exist_ok=True)
    if output is not None:
        (folder / "said").write_bytes(output if isinstance(output, bytes) else output.encode())
        (folder / "nvidia-smi").write_text(
            f'#!/bin/sh\n[ "$*" = "-q -x" ] || exit 2\ncat "{folder}/said"\nexit {status}\n'
        )
        (folder / "nvidia-smi").chmod(0o755)
    known = f"echo {on_disk}" if on_disk else "exit 1"
    (folder / "modinfo").write_text(f'#!/bin/sh\n[ "$*" = "-F version nvidia" ] || exit 2\n{known}\n')
    (folder / "modinfo").chmod(0o755)
    return folder


def ask(folder: Path, *, shell: str = "sh", machine: str = "") -> GpuHost:
    words = [shell, "sh", "-c"] if shell == "busybox" else [shell, "-c"]
    command = [*words, f"{machine}\n{SCRIPT}"]
    if machine:
        command = ["unshare", "-m", *command]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return parse_answer(Completed(done.returncode, done.stdout, done.stderr))


def machine(*slots: str, driver: str = "", nvrm: str = "", nouveau: bool = False, bound: str = "nvidia") -> str:
    """Write sh text that hides this machine's /sys and /proc behind one with such GPUs."""
    lines = [
        "set -e",
        "mount -t tmpfs none /proc/driver",
        "mount -t tmpfs none /sys/module",
        "mount -t tmpfs none /sys/bus/pci",
        "mkdir -p /sys/bus/pci/devices /sys/bus/pci/drivers",
    ]
    for bus, vendor, kind in [("0000:00:00.0", "0x8086", "0x060000"), ("0000:01:00.0", "0x10de", "0x068000")]:
        lines += _pci(bus, vendor, kind)
    for bus in slots:
        lines += _pci(bus, "0x10de", "0x030200")
        if bound == "nvidia":
            lines.append(f"mkdir -p /proc/driver/nvidia/gpus/{bus}")
        elif bound:
            lines.append(f"mkdir -p /sys/bus/pci/drivers/{bound}/{bus}")
    if driver:
        lines.append(f"mkdir /sys/module/nvidia; echo {driver} >/sys/module/nvidia/version")
    if nvrm:
        lines.append(f"mkdir -p /proc/driver/nvidia; echo '{nvrm}' >/proc/driver/nvidia/version")
    if nouveau:
        lines.append("mkdir /sys/module/nouveau")
    return "\n".join([*lines, "set +e"])


def _pci(bus: str, vendor: str, kind: str) -> list[str]:
    folder = f"/sys/bus/pci/devices/{bus}"
    return [
        f"mkdir {folder}; echo {vendor} >{folder}/vendor; echo {kind} >{folder}/class; echo 0x20b2 >{folder}/device"
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_driver_that_answers(tmp_path, shell):
    host = ask(programs(tmp_path / "bin", healthy(Card(), Card(bus="00000000:86:00.0"))), shell=shell)
    assert host.answer is Answer.OK
    assert host.driver is not None
    assert (host.driver.version, host.cuda, host.attached) == ("535.104.05", "12.2", 2)
    assert [gpu.bus_id for gpu in host.gpus] == ["0000:3b:00.0", "0000:86:00.0"]
    assert not host.simulated


def test_the_list_of_clocks_is_not_sent(tmp_path):
    clocks = "<supported_clocks>\n" + "<supported_graphics_clock>1 MHz</supported_graphics_clock>\n" * 1000
    document = healthy(Card(extra=f"{clocks}</supported_clocks>\n<after>1</after>"))
    folder = programs(tmp_path / "bin", document)
    sent = subprocess.run(["sh", "-c", SCRIPT], capture_output=True, env={"PATH": f"{folder}:/usr/bin:/bin"}).stdout
    assert b"supported_graphics_clock" not in sent
    assert b"<after>" in sent


def test_a_simulated_gpu_is_called_simulated(tmp_path):
    document = healthy(Card()).replace(b"<nvidia_smi_log>", b"<!-- fleetenv lab: simulated -->\n<nvidia_smi_log>")
    host = ask(programs(tmp_path / "bin", document, on_disk="550.54.15"))
    assert host.simulated
    assert host.on_disk is None
    assert host.driver is not None
    assert host.driver.version == "535.104.05"


def test_a_simulated_failure_is_called_simulated(tmp_path):
    host = ask(programs(tmp_path / "bin", f"<!-- fleetenv lab: simulated -->\n{MISMATCH}", 18))
    assert (host.answer, host.simulated) == (Answer.MISMATCH, True)
    assert "simulated" not in host.message


@pytest.mark.parametrize(
    ("output", "status", "answer"),
    [
        (MISMATCH, 18, Answer.MISMATCH),
        (MISMATCH, 255, Answer.MISMATCH),
        (NOT_LOADED, 9, Answer.NOT_LOADED),
        ("No devices were found\n", 6, Answer.NO_DEVICES),
        ("No devices were found\n", 0, Answer.NO_DEVICES),
        ("Unable to determine the device handle for GPU0000:88:00.0: GPU is lost.\n", 15, Answer.GPU_LOST),
        ("Segmentation fault\n", 139, Answer.FAILED),
        ("", 137, Answer.HUNG),
        ("", 0, Answer.UNREADABLE),
        ("<?xml version='1.0'?><nvidia_smi_log><gpu", 0, Answer.UNREADABLE),
        (None, 0, Answer.ABSENT),
        ("nvidia-smi: not found\n", 127, Answer.ABSENT),
    ],
)
def test_every_way_to_fail_is_told_apart(tmp_path, output, status, answer):
    assert ask(programs(tmp_path / "bin", output, status)).answer is answer


def test_words_around_the_document_do_not_hide_it(tmp_path):
    words = b"Unable to determine the device handle for GPU0000:88:00.0: Unknown Error\n"
    host = ask(programs(tmp_path / "bin", words + smi(Card()) + b"WARNING: infoROM is corrupted\n"))
    assert len(host.gpus) == 1
    assert host.message.startswith("Unable to determine")
    assert host.message.endswith("infoROM is corrupted")


def test_an_answer_that_was_cut_off_is_refused():
    for answer in (b"", b"slot 0000:3b:00.0 0x20b2 nvidia\n", b"\n" * 20_000):
        with pytest.raises(ValueError, match="incomplete"):
            parse_answer(Completed(0, answer))


def test_a_hostile_answer_is_only_data():
    answer = b"slot \x1b[2J\nslot a b c d e\nmodule $(reboot)\nnvrm \xff\xfe\nsmi 99999999999999999999\n\x00\xff<?xml"
    host = parse_answer(Completed(0, answer))
    assert host.driver is None
    assert host.slots == ()
    assert host.answer is Answer.UNREADABLE


KEYS = [
    "slot",
    "amd",
    "switch",
    "nvrm",
    "user",
    "list",
    "link",
    "error",
    "kernel",
    "btime",
    "amd-static",
    "rocm",
    "dcgm",
]


@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.binary(max_size=60)), max_size=20),
    st.sampled_from([b"0", b"9", b"cut", b"absent", b"x"]),
    st.binary(max_size=200),
)
def test_no_answer_breaks_the_reading(lines, status, output):
    answer = b"".join(key.encode() + b" " + value.replace(b"\n", b"") + b"\n" for key, value in lines)
    host = parse_answer(Completed(0, answer + b"smi " + status + b"\n" + output))
    driver_problem(host)
    health_problems(host)


@pytest.mark.parametrize(
    "document",
    [
        b"<nvidia_smi_log><gpu>"
        + b"".join(b"<f%d>1</f%d>" % (n, n) for n in range(99_000))
        + b"</gpu></nvidia_smi_log>",
        b"<nvidia_smi_log>" + b"<gpu/>" * 257 + b"</nvidia_smi_log>",
        b"<nvidia_smi_log><gpu><processes>"
        + b"<process_info><pid>1</pid></process_info>" * 49_000
        + b"</processes></gpu></nvidia_smi_log>",
    ],
    ids=["fields", "gpus", "processes"],
)
def test_what_is_kept_of_a_swollen_document_is_bounded(document):
    host = parse_answer(Completed(0, b"smi 0\n" + document))
    assert len(msgspec.json.encode(host)) < 500_000


@pytest.mark.parametrize(
    ("line", "version", "flavour"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023",
            "535.104.05",
            "proprietary",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  565.57.01  Release Build  (dvs-builder@U16)",
            "565.57.01",
            "open",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.65.06  Release Build", "580.65.06", "open"),
    ],
)
def test_both_forms_of_the_kernel_modules_version(line, version, flavour):
    host = parse_answer(Completed(0, f"nvrm {line}\nsmi absent\n".encode()))
    assert host.driver is not None
    assert (host.driver.version, host.driver.flavour) == (version, flavour)


@namespaces
@pytest.mark.root
@pytest.mark.parametrize(
    ("hardware", "output", "status", "on_disk", "code"),
    [
        (machine(), None, 0, None, "no-gpu"),
        (machine(), NOT_LOADED, 9, "535.104.05", "no-gpu"),
        (machine("0000:3b:00.0", bound=""), None, 0, None, "no-driver"),
        (machine("0000:3b:00.0", bound="nouveau", nouveau=True), None, 0, None, "nouveau"),
        (machine("0000:3b:00.0", bound="vfio-pci"), None, 0, None, "passed-through"),
        (machine("0000:3b:00.0", bound=""), NOT_LOADED, 9, "535.104.05", "not-loaded"),
        (machine("0000:3b:00.0", driver="535.104.05"), None, 0, "535.104.05", "no-smi"),
        (machine("0000:3b:00.0", driver="535.104.05"), MISMATCH, 18, "550.54.15", "mismatch"),
        (machine("0000:3b:00.0", driver="535.104.05"), "couldn't find libnvidia-ml.so", 12, None, "no-library"),
        (machine("0000:3b:00.0", driver="535.104.05"), "No devices were found", 6, None, "no-devices"),
        (machine("0000:3b:00.0", driver="535.104.05"), "GPU is lost.", 15, None, "lost"),
        (machine("0000:3b:00.0", "0000:86:00.0", driver="535.104.05"), healthy(Card()), 0, None, "lost"),
        (machine("0000:3b:00.0", driver="535.104.05"), "what?", 3, None, "failed"),
        (machine("0000:3b:00.0", driver="535.104.05"), healthy(Card()), 0, None, None),
        (machine("0000:3b:00.0", "0000:86:00.0", bound=""), healthy(Card()), 0, None, None),  # a container's view
    ],
)
def test_a_machines_condition_is_told_from_its_hardware_and_driver(tmp_path, hardware, output, status, on_disk, code):
    host = ask(programs(tmp_path / "bin", output, status, on_disk), machine=hardware)
    problem = driver_problem(host)
    print(problem)
    assert (problem.code if problem else None) == code


@namespaces
@pytest.mark.root
def test_a_mismatch_names_both_versions(tmp_path):
    open_module = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build"
    host = ask(programs(tmp_path / "bin", MISMATCH, 18), machine=machine("0000:3b:00.0", nvrm=open_module))
    assert str(driver_problem(host)).startswith(
        "driver/library mismatch: kernel module 535.104.05 does not fit libraries 550.54"
    )
    assert host.driver is not None
    assert host.driver.flavour == "open"
