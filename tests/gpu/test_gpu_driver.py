"""The module, over real answers of a host (bytes in, what the user reads out)."""

import msgspec
import pytest

from fleetenv.errors import TaskFailed
from fleetenv.modules.gpu_driver import GpuDriver
from fleetenv.remote import Completed
from fleetenv.state import compare

from .documents import Card, healthy

CARDS = [Card(bus=f"00000000:{number:02X}:00.0") for number in range(1, 9)]
EIGHT = b"module 535.104.05\nsmi 0\n" + healthy(*CARDS)
NO_GPU = b"smi absent\n"
NO_DRIVER = b"slot 0000:3b:00.0 0x20b2 -\nsmi absent\n"
MISMATCH = b"module 535.104.05\nlibrary 550.54.15\nsmi 18\nFailed to initialize NVML: Driver/library version mismatch\n"


def verdict(answer: bytes, **arguments: object) -> str | None:
    """Return None when all is as the task says, else the line that the user reads."""
    module = GpuDriver.from_arguments(arguments)
    found = module.observe().parse(Completed(0, answer))
    diff = compare(module.desired(found), found)
    if not diff:
        return None
    with pytest.raises(TaskFailed) as failed:
        list(module.converge(diff))
    assert "\n" not in str(failed.value)
    return str(failed.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"min_version": "535.104"},
        {"min_version": "535.104.05"},
        {"version": "535.104.05"},
        {"version": "535"},
        {"version": ">=535,<560"},
        {"version": "==535.104.05, !=535.104.06"},
        {"cuda": "12.2"},
        {"health": {"fail": "warning"}},
        {"count": 8},
        {"model": "A100"},
        {"min_version": "450", "version": "535.104.05", "count": 8, "model": "a100 sxm4", "required": True},
    ],
)
def test_a_host_as_wanted_passes(arguments):
    assert verdict(EIGHT, **arguments) is None


@pytest.mark.parametrize(
    ("answer", "arguments", "line"),
    [
        (NO_GPU, {}, "no NVIDIA GPU on the PCI bus; check that the card is seated"),
        (NO_DRIVER, {"min_version": "535"}, "1 NVIDIA GPU on the PCI bus, and no NVIDIA driver is installed"),
        (
            MISMATCH,
            {"min_version": "550", "count": 8},
            "driver/library mismatch: kernel module 535.104.05 does not fit libraries 550.54.15 (the driver was "
            "upgraded without a reboot); reboot the host",
        ),
        (
            EIGHT,
            {"min_version": "550.54.14"},
            "driver 535.104.05 is older than 550.54.14 (it supports CUDA up to 12.2); upgrade it and reboot",
        ),
        (
            EIGHT,
            {"version": "550.54.15"},
            "driver 535.104.05 is not the wanted 550.54.15; install 550.54.15 and reboot",
        ),
        (
            EIGHT,
            {"version": ">=535,<535.104"},
            "driver 535.104.05 is not the wanted >=535,<535.104; install >=535,<535.104 and reboot",
        ),
        (
            EIGHT,
            {"cuda": "12.4"},
            "driver 535.104.05 supports CUDA 12.2, CUDA 12.4 is wanted; upgrade it to 550.54.14 or newer and reboot",
        ),
        (EIGHT, {"flavour": "open"}, "whether the open kernel module runs is not told; see /proc/driver/nvidia"),
        (
            b"nvrm NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat\n" + EIGHT,
            {"flavour": "open"},
            "the proprietary kernel module runs, the open one is wanted; install nvidia-open and reboot",
        ),
        (EIGHT, {"count": 10}, "8 of 10 GPUs are there; look for 'Xid 79'"),
        (EIGHT, {"count": 4}, "8 GPUs are there, the task says 4; correct 'count'"),
        (EIGHT, {"model": "H100"}, "not every GPU is H100: GPU 0 is NVIDIA A100-SXM4-80GB, GPU 1 is"),
        (
            EIGHT,
            {"version": "550", "count": 10},
            "driver 535.104.05 is not the wanted 550; install 550 and reboot; also, 8 of 10 GPUs are there",
        ),
        (
            b"slot 0000:01:00.0 0x20b2 nvidia\nslot 0000:99:00.0 0x20b2 nvidia\nsmi 0\n" + healthy(CARDS[0]),
            {},
            "GPU 0000:99:00.0 has fallen off the bus",
        ),
        (b"smi 0\n" + healthy(CARDS[0], attached=2), {}, "a GPU has fallen off the bus"),
    ],
)
def test_each_fault_has_its_line(answer, arguments, line):
    said = verdict(answer, **arguments)
    print(said)
    assert said is not None
    assert said.startswith(line)


def test_one_foreign_gpu_is_named():
    cards = [*CARDS[:7], Card(bus="00000000:08:00.0", model="Tesla V100-SXM2-32GB", memory="32768 MiB")]
    said = verdict(b"smi 0\n" + healthy(*cards), model="A100", count=8)
    assert said == "not every GPU is A100: GPU 7 is Tesla V100-SXM2-32GB; correct the host's group, or its hardware"


def test_a_host_without_gpu_may_be_allowed():
    assert verdict(NO_GPU, required=False, min_version="535", count=8) is None


def test_a_host_with_a_broken_driver_is_not_excused():
    assert verdict(NO_DRIVER, required=False) is not None
    assert verdict(MISMATCH, required=False) is not None


def test_simulated_gpus_are_called_simulated_when_they_fail():
    document = healthy(CARDS[0]).replace(b"<nvidia_smi_log>", b"<!-- fleetenv lab: simulated --><nvidia_smi_log>")
    assert str(verdict(b"smi 0\n" + document, count=2)).startswith("simulated GPUs: 1 of 2 GPUs are there")


def test_what_differs_is_told_key_by_key():
    module = GpuDriver.from_arguments({"min_version": "550", "count": 10, "model": "H100"})
    found = module.observe().parse(Completed(0, EIGHT))
    differences = {each.key: (each.wanted, each.found) for each in compare(module.desired(found), found).differences}
    assert differences == {
        "driver": (">= 550", "535.104.05"),
        "count": (10, 8),
        "models.H100": (10, None),
        "models.NVIDIA A100-SXM4-80GB": (None, 8),
    }


def test_facts_are_plain_values():
    module = GpuDriver.from_arguments({})
    facts = module.facts(module.observe().parse(Completed(0, EIGHT)))
    assert facts["fleetenv_gpu_count"] == 8
    assert facts["fleetenv_gpu_driver"] == "535.104.05"
    assert facts["fleetenv_gpu_cuda"] == "12.2"
    assert facts["fleetenv_gpus_simulated"] is False
    gpus = facts["fleetenv_gpus"]
    assert isinstance(gpus, list)
    assert gpus[0]["model"] == "NVIDIA A100-SXM4-80GB"
    assert gpus[0]["memory_mib"] == 81920


def test_equal_tasks_ask_once():
    first, second = GpuDriver.from_arguments({"count": 8}), GpuDriver.from_arguments({"model": "A100"})
    assert first.observe() == second.observe()


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"min_version": 535.1}, 'write it in quotes, min_version: "535.1"'),
        ({"min_version": "latest"}, "Expected `str` matching regex"),
        ({"version": "latest"}, "'latest' is neither a version"),
        ({"version": ">=535,<"}, "'<' is neither a version"),
        ({"cuda": 12.4}, 'write it in quotes, cuda: "12.4"'),
        ({"flavour": "nouveau"}, "Invalid enum value 'nouveau'"),
        ({"health": {"fail": "always"}}, "Invalid enum value 'always'"),
        ({"health": {"ignore": ["heat"]}}, "'heat' is no code of a problem"),
        ({"health": {"ignore": ["remaping-pending"]}}, "did you mean 'remapping-pending'"),
        ({"health": {"severity": {"slowdown": "bad"}}}, "Invalid enum value 'bad'"),
        ({"count": 0}, ">= 1"),
        ({"modle": "A100"}, "modle"),
    ],
)
def test_bad_arguments_are_refused(arguments, wrong):
    with pytest.raises(msgspec.ValidationError, match=wrong):
        GpuDriver.from_arguments(arguments)


def test_a_branch_may_be_a_whole_number():
    assert verdict(EIGHT, version=535) is None


SICK = b"smi 0\n" + healthy(Card(ecc_uncorrected=2), Card(bus="00000000:86:00.0", ecc_uncorrected=2))
WAITING = b"smi 0\n" + healthy(Card(remapping="Yes"))


@pytest.mark.parametrize(
    ("answer", "health", "line"),
    [
        (SICK, {}, "GPUs 0, 1: has had 2 uncorrected ECC errors since its driver was loaded; drain it and reset it"),
        (SICK, {"fail": "never"}, None),
        (SICK, {"ignore": ["ecc-uncorrected"]}, None),
        (SICK, {"severity": {"ecc-uncorrected": "warning"}}, None),
        (WAITING, {}, None),
        (WAITING, {"fail": "warning"}, "GPU 0 has memory rows to remap at its next reset"),
        (WAITING, {"severity": {"remapping-pending": "error"}}, "GPU 0 has memory rows to remap at its next reset"),
    ],
)
def test_health_fails_as_its_rules_say(answer, health, line):
    said = verdict(answer, health=health)
    print(said)
    assert said is None if line is None else str(said).startswith(line)


def test_health_fails_nothing_that_did_not_ask_for_it():
    assert verdict(SICK) is None


XID = b"btime 1700000000\nkernel [1.0] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\nsmi 0\n" + healthy(
    Card()
)


def test_xids_are_one_kind_and_each_its_own():
    assert str(verdict(XID, health={})).startswith("GPU 0 Xid 79: the GPU has fallen off the bus")
    assert verdict(XID, health={"ignore": ["xid-79"]}) is None
    assert verdict(XID, health={"ignore": ["xid-N"]}) is None
    assert verdict(XID, health={"ignore": ["xid-48"]}) is not None


def test_what_ails_is_told_key_by_key_and_to_register():
    module = GpuDriver.from_arguments({"health": {"severity": {"ecc-uncorrected": "warning"}, "fail": "warning"}})
    found = module.observe().parse(Completed(0, SICK))
    differences = {each.key: (each.wanted, each.found) for each in compare(module.desired(found), found).differences}
    text = "has had 2 uncorrected ECC errors since its driver was loaded"
    assert differences == {
        "problems.GPU 0.ecc-uncorrected": (None, text),
        "problems.GPU 1.ecc-uncorrected": (None, text),
    }
    registered = module.returns(found)
    assert registered["health"] == [f"GPU 0 {text}", f"GPU 1 {text}"]
    problems = registered["problems"]
    assert isinstance(problems, list)
    assert [(each["code"], each["severity"], each["gpu"]) for each in problems] == [
        ("ecc-uncorrected", "warning", 0),
        ("ecc-uncorrected", "warning", 1),
    ]


def test_dcgm_is_another_question():
    assert GpuDriver.from_arguments({"dcgm": True}).observe() != GpuDriver.from_arguments({}).observe()
