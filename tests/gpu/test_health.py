"""Every problem there is: found in the state that has it, and nothing else found there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetenv.gpu.diagnosis import driver_problem, health_problems
from fleetenv.gpu.hardware import EccErrors, Fabric, Gpu, Link, Memory, MigDevice, NvLink, Power, Temperatures
from fleetenv.gpu.problem import DRIVER_CODES, HEALTH_CODES, code_of
from fleetenv.gpu.states import (
    Answer,
    DcgmTest,
    FabricManager,
    GpuHost,
    KernelEvent,
    KernelLog,
    KernelModule,
    Slot,
    Vendor,
)
from fleetenv.severity import Severity

DRIVER = "535.104.05"
WELL = Gpu(
    index=0,
    bus_id="0000:3b:00.0",
    model="NVIDIA A100-SXM4-80GB",
    vbios="92.00.36.00.01",
    persistence=True,
    compute_mode="Default",
    mig=True,
    mig_after_reset=True,
    mig_devices=1,
    mig_layout=(MigDevice(index=0, profile="7g.80gb"),),
    memory=Memory(
        ecc=True,
        ecc_after_reset=True,
        volatile=EccErrors(corrected=3, uncorrected=0),
        aggregate=EccErrors(corrected=3, uncorrected=0),
        retired_pages=2,
        remapped_rows=1,
        remapping_pending=False,
        spare_rows={"max": 191, "high": 1, "none": 0},
    ),
    link=Link(
        generation=4, max_generation=4, max_device_generation=4, width=16, max_width=16, replays=9, replay_rollovers=0
    ),
    temperature_c=70,
    temperatures=Temperatures(memory=80, slowdown=89, memory_operating=95, margin=15),
    utilization=98,
    power=Power(limit=400, default=400),
    slowdowns=("sw_power_cap",),
    fabric="Completed",
    fabric_details=Fabric(status="Success", health={"bandwidth": "Full", "route_unhealthy": "False"}),
    nvlinks=(NvLink(index=0, active=True, speed=25.0, errors={"CRC": 0}), NvLink(index=1, active=True, speed=25.0)),
)


def host(gpu: Gpu = WELL, **more: object) -> GpuHost:
    return replace(
        GpuHost(
            answer=Answer.OK,
            driver=KernelModule(version=DRIVER),
            on_disk=DRIVER,
            gpus=(gpu, replace(WELL, index=1, bus_id="0000:86:00.0")),
            switches=6,
            fabric_manager=FabricManager(version=DRIVER, service="active"),
            kernel_log=KernelLog.READ,
        ),
        **more,
    )


def memory(**values: object) -> GpuHost:
    return host(replace(WELL, memory=replace(WELL.memory, **values)))


def gpu(**values: object) -> GpuHost:
    return host(replace(WELL, **values))


AT = datetime(2026, 11, 20, 10, 2, tzinfo=UTC)


def xid(code: int, kind: str = "xid", bus_id: str = WELL.bus_id, fatal: bool | None = None) -> GpuHost:
    event = KernelEvent(kind=kind, code=code, bus_id=bus_id, text="what it said", at=AT, fatal=fatal)
    return host(events=(event, event))


E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
CASES = [
    (gpu(recovery_action="Reboot"), "recovery", E, 0),
    (memory(volatile=EccErrors(uncorrected=2)), "ecc-uncorrected", E, 0),
    (memory(aggregate=EccErrors(uncorrected=2)), "ecc-uncorrected-past", N, 0),
    (memory(sram_threshold_exceeded=True), "sram-threshold", E, 0),
    (memory(remapping_pending=True), "remapping-pending", W, 0),
    (memory(remapping_failed=True), "remapping-failed", E, 0),
    (memory(spare_rows={"max": 191, "none": 1}), "spare-rows", W, 0),
    (memory(retirement_pending=True), "retirement-pending", W, 0),
    (memory(retired_pages=60), "retired-pages", W, 0),
    (memory(tpc_repair_pending=True), "repair-pending", W, 0),
    (memory(channel_repair_pending=True), "repair-pending", W, 0),
    (memory(unrepairable=True), "unrepairable", E, 0),
    (gpu(slowdowns=("hw_slowdown", "hw_power_brake_slowdown")), "slowdown", W, 0),
    (gpu(temperature_c=90), "hot", W, 0),
    (gpu(temperatures=Temperatures(memory=96, memory_operating=95)), "hot", W, 0),
    (gpu(temperatures=Temperatures(margin=-2)), "hot", W, 0),
    (gpu(fabric="In Progress"), "fabric", E, 0),
    (gpu(fabric_details=Fabric(status="Insufficient Resources")), "fabric", E, 0),
    (gpu(fabric_details=Fabric(health={"bandwidth": "Degraded"})), "fabric-unhealthy", W, 0),
    (host(fabric_manager=FabricManager(version=DRIVER, service="failed")), "fabric-manager", E, None),
    (host(fabric_manager=None), "fabric-manager", E, None),
    (host(fabric_manager=FabricManager(version="550.54.15", service="active")), "fabric-manager-version", E, None),
    (gpu(nvlinks=(*WELL.nvlinks, NvLink(index=2, active=False))), "nvlink-down", W, 0),
    (gpu(nvlinks=(NvLink(index=0, active=True, errors={"Recovery": 1}),)), "nvlink-errors", W, 0),
    (gpu(nvlinks=(NvLink(index=0, active=True, errors={"Replay": 9}),)), "nvlink-errors", N, 0),
    (gpu(link=replace(WELL.link, width=8)), "link-width", N, 0),
    (gpu(link=replace(WELL.link, generation=1)), "link-generation", N, 0),
    (gpu(link=replace(WELL.link, max_device_generation=5)), "link-generation", N, 0),
    (gpu(link=replace(WELL.link, replay_rollovers=1)), "pcie-replays", W, 0),
    (xid(79), "xid-79", E, 0),
    (xid(31), "xid-31", N, 0),
    (xid(9999), "xid-9999", W, 0),
    (xid(79, bus_id="0000:ff:00.0"), "xid-79", E, None),
    (xid(20009, "sxid", "0000:c3:00.0", fatal=False), "sxid-20009", W, None),
    (xid(24007, "sxid", "0000:c3:00.0", fatal=True), "sxid-24007", E, None),
    (host(dcgm=(DcgmTest(name="Memory", status="Fail", gpu=1, text="x"),)), "dcgm", E, 1),
    (host(dcgm=(DcgmTest(name="Memory", status="Warn", gpu=1),)), "dcgm-warning", W, 1),
    (host(dcgm_message="there is no dcgmi on the host"), "dcgm-silent", N, None),
    (gpu(model="NVIDIA A40"), "mixed-models", W, None),
    (gpu(vbios="92.00.19.00.01"), "mixed-vbios", N, None),
    (host(on_disk="550.54.15"), "reboot-pending", W, None),
    (gpu(mig_devices=0), "mig-empty", W, 0),
    (gpu(mig_after_reset=False), "mig-pending", N, 0),
    (memory(ecc_after_reset=False), "ecc-pending", N, 0),
    (gpu(compute_mode="Prohibited"), "compute-prohibited", W, 0),
    (gpu(persistence=False), "persistence-off", N, 0),
    (gpu(power=Power(limit=300, default=400)), "power-limit", N, 0),
    (host(kernel_log=KernelLog.DENIED), "kernel-log", N, None),
    (host(unread=("gpu/new",)), "unread", N, None),
]


def test_a_well_host_has_no_problem():
    assert driver_problem(host()) is None
    assert health_problems(host()) == ()


@pytest.mark.parametrize(("state", "code", "severity", "index"), CASES, ids=lambda value: str(value)[:30])
def test_each_problem_is_found_and_nothing_else(state, code, severity, index):
    (problem,) = health_problems(state)
    print(problem)
    assert (problem.code, problem.severity, problem.gpu) == (code, severity, index)
    assert problem.text
    assert problem.advice


def test_the_cases_are_all_the_codes():
    kinds = {code if code in HEALTH_CODES else code.partition("-")[0] + "-N" for _, code, _, _ in CASES}
    assert kinds == set(HEALTH_CODES)


def test_an_error_in_the_log_says_how_often_and_when():
    (problem,) = health_problems(xid(79))
    assert str(problem).startswith(
        "GPU 0 Xid 79: the GPU has fallen off the bus (2 times, last 2026-11-20 10:02 UTC); drain and power-cycle"
    )


def test_nothing_is_told_twice_of_one_device():
    at = [
        KernelEvent(kind="sxid", code=20009, bus_id=f"0000:c{number}:00.0", text="x", fatal=False)
        for number in range(3)
    ]
    at += [KernelEvent(kind="xid", code=79, bus_id=f"0000:f{number}:00.0", text="x") for number in range(2)]
    tests = tuple(DcgmTest(name=name, status="Fail", gpu=1, text="x") for name in ("Memory", "PCIe", "Software"))
    ill = host(replace(WELL, slowdowns=("hw_thermal_slowdown", "sw_thermal_slowdown")), events=tuple(at), dcgm=tests)
    problems = health_problems(ill)
    print(*problems, sep="\n")
    assert sorted((problem.code, problem.gpu) for problem in problems if problem.gpu is not None) == [
        ("dcgm", 1),
        ("slowdown", 0),
    ]
    assert sorted(problem.code for problem in problems if problem.gpu is None) == ["sxid-20009", "xid-79"]


def test_a_host_without_switches_needs_no_fabric_manager():
    assert health_problems(host(switches=0, fabric_manager=FabricManager(service="inactive"))) == ()


def test_links_that_are_all_down_have_no_bridge():
    links = (NvLink(index=0, active=False), NvLink(index=1, active=False))
    assert health_problems(gpu(nvlinks=links)) == ()


def test_amds_gpus_are_mended_with_amds_tools():
    ill = replace(memory(volatile=EccErrors(uncorrected=1)), vendor=Vendor.AMD, switches=0)
    assert "nvidia" not in str(health_problems(ill)[0])


def test_a_lost_amd_gpu_is_amds():
    slots = tuple(Slot(bus_id=bus, device="74a1", driver="amdgpu") for bus in ("0000:3b:00.0", "0000:99:00.0"))
    problem = driver_problem(GpuHost(vendor=Vendor.AMD, answer=Answer.OK, gpus=(WELL,), slots=slots))
    assert problem is not None
    assert problem.code == "lost"
    assert "0000:99:00.0" in problem.text
    assert "nvidia" not in str(problem)


def test_codes_of_numbers_are_known():
    assert code_of("xid-79") == code_of("xid-N") is not None
    assert code_of("sxid-20009") is not None
    assert code_of("xid-") is None
    assert code_of("xid-7x") is None
    assert code_of("heat") is None


def test_the_documentation_has_every_code_with_its_severity():
    page = (Path(__file__).parents[2] / "docs/gpu.md").read_text()
    for code, known in {**DRIVER_CODES, **HEALTH_CODES}.items():
        assert f"| `{code}` | {known.severity} | {known.meaning} |" in page
