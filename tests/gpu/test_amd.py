"""AMD's forms, of several versions; documents of our own making, in the documented form."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.gpu.amd import parse_amd_smi, parse_rocm_smi
from fleetenv.gpu.diagnosis import driver_problem, health_problems
from fleetenv.gpu.probe import parse_answer
from fleetenv.gpu.states import Answer, Vendor
from fleetenv.remote import Completed


def unit(value: object, name: str) -> dict[str, object]:
    return {"value": value, "unit": name}


STATIC = {
    "gpu": 0,
    "asic": {
        "market_name": "AMD Instinct MI300X",
        "vendor_name": "Advanced Micro Devices Inc. [AMD/ATI]",
        "device_id": "0x74a1",
        "asic_serial": "0x6F1F0A2B3C4D5E6F",
        "oam_id": 3,
        "target_graphics_version": "gfx942",
    },
    "bus": {"bdf": "0000:83:00.0", "max_pcie_width": 16, "max_pcie_speed": unit(32, "GT/s")},
    "vbios": {"name": "AMD MI300X", "version": "022.040.003.043.000001"},
    "limit": {
        "max_power": unit(750, "W"),
        "min_power": unit(0, "W"),
        "socket_power": unit(750, "W"),
        "slowdown_edge_temperature": "N/A",
        "slowdown_hotspot_temperature": unit(100, "C"),
        "shutdown_hotspot_temperature": unit(110, "C"),
        "slowdown_vram_temperature": unit(105, "C"),
    },
    "driver": {"name": "amdgpu", "version": "6.10.5"},
    "board": {"product_serial": "692424017146", "product_name": "N/A"},
    "ras": {"bad_page_threshold_exceeded": "False", "ecc_block_state": {"UMC": "ENABLED", "SDMA": "ENABLED"}},
    "vram": {"type": "HBM3", "size": unit(196592, "MB")},
    "process_isolation": "Disabled",
}
METRIC = {
    "gpu": 0,
    "usage": {"gfx_activity": unit(73, "%"), "umc_activity": unit(12, "%"), "vcn_activity": ["N/A"]},
    "clock": {"gfx_0": {"clk": unit(2774, "MHz")}, "mem_0": {"clk": "N/A"}},
    "fan": {"speed": 127, "usage": unit(49.8, "%")},
    "power": {"socket_power": unit(142, "W"), "throttle_status": "N/A"},
    "temperature": {"edge": "N/A", "hotspot": unit(61, "C"), "mem": unit(58, "C")},
    "pcie": {"width": 16, "speed": unit(32, "GT/s"), "replay_count": 3},
    "ecc": {"total_correctable_count": 5, "total_uncorrectable_count": 0, "total_deferred_count": 0},
    "ecc_blocks": {"UMC": {"correctable_count": 5, "uncorrectable_count": 0}},
    "mem_usage": {"used_vram": unit(49148, "MB")},
    "throttle": {"prochot_violation_status": "NOT ACTIVE", "hbm_thermal_violation_status": "NOT ACTIVE"},
}
VERSION = [{"tool": "AMDSMI Tool", "rocm_version": "7.0.2", "amdgpu_version": "6.16.6"}]
ROCM = {
    "card0": {
        "Card series": "AMD INSTINCT MI250 (MCM) OAM AC MBA",
        "VRAM Total Memory (B)": "68702699520",
        "VRAM Total Used Memory (B)": "10960896",
        "PCI Bus": "0000:2F:00.0",
        "Unique ID": "0x719d230578348e8c",
        "Serial Number": "PCB052715-0065",
        "VBIOS version": "113-D65209-073",
        "Temperature (Sensor edge) (C)": "32.0",
        "Temperature (Sensor junction) (C)": "35.0",
        "Average Graphics Package Power (W)": "89.0",
        "Max Graphics Package Power (W)": "560.0",
        "GPU use (%)": "10",
        "PCIe Replay Count": "147",
    },
    "system": {"Driver version": "6.7.0"},
}


@pytest.mark.parametrize("wrapped", [lambda gpus: gpus, lambda gpus: {"gpu_data": gpus}, lambda gpus: gpus[0]])
def test_amd_smi_is_read_in_all_its_wrappings(wrapped):
    warning = "WARNING: User is missing group: render\n"
    log = parse_amd_smi(warning + json.dumps(wrapped([STATIC])), json.dumps(wrapped([METRIC])), json.dumps(VERSION))
    (gpu,) = log.gpus
    assert log.driver == "6.16.6"
    assert (gpu.model, gpu.kind) == ("AMD Instinct MI300X", "AMD Instinct MI300X 192 GiB")
    assert (gpu.bus_id, gpu.architecture, gpu.serial) == ("0000:83:00.0", "gfx942", "692424017146")
    assert (gpu.memory_mib, gpu.memory_used_mib, gpu.utilization) == (196592, 49148, 73)
    assert (gpu.memory.ecc, gpu.memory.volatile.corrected, gpu.memory.volatile.uncorrected) == (True, 5, 0)
    assert gpu.memory.volatile.corrected_at == {"UMC": 5}
    assert (gpu.temperature_c, gpu.temperatures.memory, gpu.temperatures.slowdown) == (61.0, 58.0, 100.0)
    assert (gpu.power_w, gpu.power_limit_w, gpu.power.max) == (142.0, 750.0, 750.0)
    assert (gpu.link.generation, gpu.link.max_generation, gpu.link.width, gpu.link.replays) == (5, 5, 16, 3)
    assert (gpu.clocks, gpu.usage) == ({"graphics": 2774.0}, {"memory": 12, "fan": 49})
    assert gpu.slowdowns == ()


def test_values_without_units_and_limits_of_newer_versions_are_read():
    static = {**STATIC, "limit": {"ppt0": {"socket_power_limit": 700, "max_power_limit": "750 W"}}}
    metric = {"gpu": 0, "usage": {"gfx_activity": 50}, "power": {"average_socket_power": "90"}, "pcie": {"width": "16"}}
    (gpu,) = parse_amd_smi(json.dumps([static]), json.dumps([metric]), "").gpus
    assert (gpu.power_limit_w, gpu.power.max, gpu.power_w) == (700.0, 750.0, 90.0)
    assert (gpu.utilization, gpu.link.width) == (50, 16)


def test_a_driver_that_came_with_linux_has_its_version():
    static = {**STATIC, "driver": {"name": "amdgpu", "version": "Linuxversion6.14.0-24-generic(buildd@lcy02-amd64)"}}
    assert parse_amd_smi(json.dumps([static]), "", "").driver == "6.14.0"


def test_rocm_smi_is_read():
    log = parse_rocm_smi(json.dumps(ROCM))
    (gpu,) = log.gpus
    assert log.driver == "6.7.0"
    assert (gpu.model, gpu.memory_mib, gpu.bus_id) == ("AMD INSTINCT MI250 (MCM) OAM AC MBA", 65520, "0000:2f:00.0")
    assert (gpu.temperature_c, gpu.power_w, gpu.power_limit_w, gpu.link.replays) == (35.0, 89.0, 560.0, 147)


def answer(static: object = STATIC, metric: object = METRIC, slots: str = "amd 0000:83:00.0 0x74a1 amdgpu 0x120000"):
    lines = [slots, "amd-version []", f"amd-static {json.dumps([static])}", f"amd-metric {json.dumps([metric])}"]
    return parse_answer(Completed(0, "\n".join([*lines, "smi absent", ""]).encode()))


def test_a_host_with_amd_gpus_is_a_gpu_host():
    host = answer()
    assert (host.vendor, host.answer) == (Vendor.AMD, Answer.OK)
    assert host.driver is not None
    assert (host.driver.version, host.driver.flavour) == ("6.10.5", "open")
    assert [slot.driver for slot in host.slots] == ["amdgpu"]
    assert driver_problem(host) is None
    assert health_problems(host) == ()


def test_a_tool_without_a_gpu_is_no_amd_host():
    host = parse_answer(Completed(0, b"amd-version []\namd-static \namd-metric \nsmi absent\n"))
    problem = driver_problem(host)
    assert problem is not None
    assert problem.code == "no-gpu"


def test_an_amd_gpu_may_be_ill():
    metric = {
        **METRIC,
        "ecc": {"total_uncorrectable_count": 2},
        "throttle": {"hbm_thermal_violation_status": "ACTIVE", "ppt_violation_status": "ACTIVE"},
    }
    codes = {problem.code for problem in health_problems(answer(metric=metric))}
    assert codes == {"ecc-uncorrected", "slowdown"}


def test_an_amd_gpu_at_its_power_limit_is_well():
    metric = {**METRIC, "power": {"socket_power": unit(300, "W"), "throttle_status": "THROTTLED"}}
    host = answer(metric=metric)
    assert host.gpus[0].slowdowns == ("amd_throttled",)
    assert health_problems(host) == ()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("amd 0000:83:00.0 0x74a1 amdgpu 0x120000\n", "no-smi"),
        ("amd 0000:83:00.0 0x74a1 - 0x120000\n", "no-driver"),
        ("amd 0000:01:00.0 0x164e amdgpu 0x030000\n", "no-gpu"),  # graphics in a processor
        ("amd 0000:83:00.0 0x74a1 amdgpu 0x120000\namd-static Segmentation fault\n", "failed"),
        ("amd 0000:83:00.0 0x74a1 amdgpu 0x120000\namd-static \n", "failed"),
    ],
)
def test_why_amd_gpus_cannot_be_used_is_told(lines, code):
    problem = driver_problem(parse_answer(Completed(0, f"{lines}smi absent\n".encode())))
    assert problem is not None
    print(problem)
    assert problem.code == code
    assert "nvidia" not in problem.advice.lower() or code == "no-gpu"


@settings(max_examples=50)
@given(
    st.text()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*STATIC, *METRIC, "value", "gpu_data", "card0"]), inner)
        ),
    ).map(json.dumps)
)
def test_no_document_breaks_the_reading(document):
    for read in (lambda: parse_amd_smi(document, document, document), lambda: parse_rocm_smi(document)):
        try:
            read()
        except ValueError:
            continue
