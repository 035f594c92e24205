"""Which environments a host can run: drivers, toolkits and GPUs against each other."""

import io
import json

import pytest
from rich.console import Console

from fleetenv.conda.virtual import fits
from fleetenv.errors import Unreachable
from fleetenv.gpu.architecture import architecture_of, is_data_centre
from fleetenv.gpu.compat import FAMILY_DRIVERS, TOOLKIT_DRIVERS, compat_package, family_driver, max_cuda, min_driver
from fleetenv.gpu.fitness import Fit, Fitness, driver_for_all, fit
from fleetenv.gpu.matrix import Environment, Suited, installed
from fleetenv.gpu.needs import Needs, Reason, Virtual
from fleetenv.gpu.states import Answer, Gpu, GpuHost, KernelModule, Slot, Vendor
from fleetenv.gpu.version import parse_version
from fleetenv.report.gpu_envs import matrix_json, print_matrix


def host(driver: str, *models: str, cuda: str | None = None) -> GpuHost:
    gpus = tuple(Gpu(index=index, bus_id=f"0000:0{index}:00.0", model=model) for index, model in enumerate(models))
    return GpuHost(
        answer=Answer.OK,
        driver=KernelModule(version=driver),
        cuda=cuda or max_cuda(driver),
        gpus=gpus,
        attached=len(gpus),
    )


def cuda(version: str, *virtual: str) -> Needs:
    reasons = (Reason("cuda-version", f"version {version}", version),)
    return Needs(version, reasons, tuple(Virtual("cuda-version", spec, True) for spec in virtual))


A100, V100, K80, T4 = "NVIDIA A100-SXM4-80GB", "Tesla V100-SXM2-32GB", "Tesla K80", "Tesla T4"
RTX4090, RTX5090 = "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 5090"
R, CPU, MINOR, NEW = Fitness.RUNS, Fitness.CPU_ONLY, Fitness.MINOR, Fitness.NEW_GPU
DRIVER, OLD = Fitness.NEEDS_DRIVER, Fitness.OLD_GPU


@pytest.mark.parametrize(
    ("driver", "model", "wanted", "fitness", "least", "entirely", "package"),
    [
        ("550.54.15", A100, "12.4", R, None, None, None),
        ("550.54.15", A100, "12", R, None, None, None),
        ("550.54.15", A100, "11.8", R, None, None, None),
        ("535.104.05", A100, "12.4", MINOR, None, "550.54.14", "cuda-compat-12-4"),
        ("525.60.13", A100, "12.9", MINOR, None, "575.51.03", None),  # branch 525 has come to its end
        ("470.82.01", A100, "11.8", MINOR, None, "520.61.05", None),
        ("450.36.06", A100, "11.0", R, None, None, None),
        ("450.36.06", A100, "11.8", DRIVER, "450.80.02", "520.61.05", None),
        ("470.82.01", V100, "12.4", DRIVER, "525.60.13", "550.54.14", None),
        ("535.104.05", A100, "13.0", DRIVER, "580.65.06", "580.65.06", "cuda-compat-13-0"),
        ("570.124.06", A100, "12.9", MINOR, None, "575.51.03", "cuda-compat-12-9"),
        ("535.104.05", RTX4090, "13.0", DRIVER, "580.65.06", "580.65.06", None),  # not a data centre's GPU
        ("418.39", T4, "10.2", DRIVER, "440.33", "440.33", None),  # no minor versions before CUDA 11
        ("580.65.06", V100, "13.0", OLD, None, None, None),
        ("580.65.06", V100, "12.9", R, None, None, None),
        ("470.256.02", K80, "12.0", OLD, None, None, None),
        ("470.256.02", K80, "11.8", MINOR, None, None, None),  # 470 is Kepler's last branch: no driver has all of 11.8
        ("575.51.03", RTX5090, "12.8", R, None, None, None),
        ("575.51.03", RTX5090, "12.1", NEW, None, None, None),
        ("575.51.03", RTX5090, "12", R, None, None, None),  # which 12 it does not say
        ("999.1", "NVIDIA Z9", "13.4", R, None, None, None),
        ("580.65.06", A100, "14.0", DRIVER, None, None, None),  # newer than the table
    ],
)
def test_one_host_and_one_toolkit(driver, model, wanted, fitness, least, entirely, package):
    found = fit(cuda(wanted), host(driver, model), fits)
    assert (found.fitness, found.driver, found.full_driver, found.compat) == (fitness, least, entirely, package)
    assert found.fitness in (R, CPU) or found.text


def test_what_nvidia_smi_says_of_cuda_wins_over_the_table():
    """With a forward compatibility package on the host's path the driver's user-space part is a newer one."""
    assert fit(cuda("13.0"), host("535.104.05", A100, cuda="13.0"), fits).fitness is R


def test_conda_refuses_what_minor_version_compatibility_would_run():
    found = fit(cuda("12.4", ">=12.4"), host("535.104.05", A100), fits)
    assert (found.fitness, found.driver) == (DRIVER, "550.54.14")
    assert "conda wants __cuda >=12.4 (cuda-version)" in found.text


def test_a_driver_too_new_for_a_spec_is_no_advice_to_upgrade():
    found = fit(cuda("11.8", "<12"), host("550.54.15", A100), fits)
    assert (found.fitness, found.driver, found.full_driver) == (DRIVER, None, None)
    assert "__cuda <12" in found.text


def test_a_host_is_judged_by_those_of_its_gpus_that_can():
    """A workstation has a small old card for its screen."""
    found = fit(cuda("13.0"), host("580.65.06", A100, "Quadro P400", V100, A100), fits)
    assert (found.fitness, found.gpus) == (R, (1, 2))
    assert found.text == "CUDA 13.0 no longer supports Pascal, Volta"
    assert fit(cuda("13.0"), host("580.65.06", V100, "Quadro P400"), fits).fitness is OLD
    behind = fit(cuda("13.1"), host("535.104.05", A100, V100), fits)
    assert (behind.fitness, behind.driver, behind.compat) == (DRIVER, "580.65.06", "cuda-compat-13-1")
    ahead = fit(cuda("12.4"), host("575.51.03", A100, RTX5090), fits)
    assert (ahead.fitness, ahead.gpus) == (R, (1,))
    mixed = Suited("linux-64", host("575.51.03", A100, RTX5090), dict.fromkeys(ENVIRONMENTS, ahead), {})
    assert "runs (1 of 2 GPUs)" in shown({"gpu01": mixed})


def test_no_driver_is_asked_for_that_does_not_know_the_gpu():
    found = fit(cuda("11.8", ">=11.8"), host("470.256.02", K80), fits)
    assert found.fitness is OLD
    assert "470 is the last branch" in found.text


def test_hosts_without_a_working_driver():
    slot = Slot(bus_id="0000:3b:00.0", device="20b2")
    bare = fit(cuda("12.4"), GpuHost(slots=(slot,)), fits)
    assert (bare.fitness, bare.driver, bare.full_driver) == (DRIVER, "525.60.13", "550.54.14")
    torn = GpuHost(answer=Answer.MISMATCH, driver=KernelModule(version="550.54.15"), library="570.26")
    upgraded = fit(cuda("12.4"), torn, fits)
    assert (upgraded.fitness, upgraded.driver, upgraded.full_driver) == (DRIVER, None, None)
    assert "without a reboot" in upgraded.text
    assert fit(cuda("12.4"), GpuHost(), fits).fitness is Fitness.NO_GPU


def test_hosts_with_gpus_of_amd():
    mi300 = GpuHost(vendor=Vendor.AMD, answer=Answer.OK, gpus=(Gpu(index=0, bus_id="0000:01:00.0", model="MI300X"),))
    assert [fit(each, mi300, fits).fitness for each in (Needs(), Needs(rocm="6.1"), cuda("12.4"))] == [
        CPU, R, Fitness.NO_GPU,
    ]  # fmt: skip
    assert fit(Needs(rocm="6.1"), host("550.54.15", A100), fits).fitness is Fitness.NO_GPU


def test_an_environment_without_cuda_runs_anywhere():
    for each in (GpuHost(), host("470.82.01", K80), GpuHost(answer=Answer.MISMATCH)):
        assert fit(Needs(), each, fits).fitness is CPU
    restricted = Needs(virtual=(Virtual("openmpi", ">=12.0", False),))
    assert fit(restricted, GpuHost(), fits).fitness is CPU
    assert fit(restricted, host("470.82.01", A100), fits).fitness is DRIVER


def test_one_driver_lets_all_run():
    poor = host("450.80.02", A100)
    assert driver_for_all(fit(each, poor, fits) for each in (cuda("11.8"), cuda("12.4"), Needs())) == (
        "525.60.13",
        "550.54.14",
    )
    assert driver_for_all([Fit(fitness=R)]) == (None, None)


def test_the_driver_that_is_named_would_do():
    """For every toolkit, driver and model: with the driver that the verdict names it runs, or runs entirely."""
    for wanted in (*TOOLKIT_DRIVERS, "11", "12", "13"):
        for running in TOOLKIT_DRIVERS.values():
            for model in (K80, V100, T4, A100, RTX4090, RTX5090):
                found = fit(cuda(wanted), host(running, model), fits)
                if found.driver:
                    assert not found.fitness.runs
                    assert fit(cuda(wanted), host(found.driver, model), fits).fitness.runs
                if found.full_driver:
                    assert fit(cuda(wanted), host(found.full_driver, model), fits).fitness in (R, NEW)


def test_every_row_of_the_tables_agrees_with_itself():
    for version, driver in TOOLKIT_DRIVERS.items():
        assert min_driver(version) == driver
        assert fit(cuda(version), host(driver, "GPU"), fits).fitness is R
        assert parse_version(family_driver(version)) <= parse_version(driver)
    for major, driver in FAMILY_DRIVERS.items():
        assert parse_version(max_cuda(driver))[0] == major
    assert family_driver("10.2") == "440.33"
    assert family_driver("14.0") is None


@pytest.mark.parametrize(
    ("wanted", "driver", "package"),
    [
        ("12.4", "535.104.05", "cuda-compat-12-4"),
        ("12.7", "535.104.05", "cuda-compat-12-8"),
        ("12.4", "550.54.15", None),  # 12.4 is paired with 550
        ("12.3", "570.26", None),
        ("13.0", "570.26", "cuda-compat-13-0"),
        ("13.4", "610.43.02", "cuda-compat-13-4"),
        ("13.3", "610.43.02", None),
        ("13.0", "470.82.01", None),
        ("14.0", "580.65.06", None),
    ],
)
def test_forward_compatibility_packages(wanted, driver, package):
    """As NVIDIA's table 'CUDA forward compatibility package' has it: C is a package, X and N/A are none."""
    assert compat_package(wanted, driver) == package


@pytest.mark.parametrize(
    ("model", "architecture", "data_centre"),
    [
        ("Tesla K80", "Kepler", True),
        ("GeForce GTX TITAN X", "Maxwell", False),
        ("GeForce GTX TITAN Black", "Kepler", False),
        ("Tesla M40 24GB", "Maxwell", True),
        ("NVIDIA TITAN X (Pascal)", "Pascal", False),
        ("Quadro P400", "Pascal", False),
        ("GeForce GTX 1070 Ti", "Pascal", False),
        ("Tesla P100-PCIE-16GB", "Pascal", True),
        ("Tesla V100-SXM2-32GB", "Volta", True),
        ("Tesla T4", "Turing", True),
        ("NVIDIA GeForce GTX 1660 SUPER", "Turing", False),
        ("Quadro RTX 8000", "Turing", False),
        ("NVIDIA A10G", "Ampere", True),
        ("NVIDIA A100-PCIE-40GB", "Ampere", True),
        ("NVIDIA RTX A6000", "Ampere", False),
        ("NVIDIA GeForce RTX 3080", "Ampere", False),
        ("NVIDIA L40S", "Ada Lovelace", True),
        ("NVIDIA RTX 4000 SFF Ada Generation", "Ada Lovelace", False),
        ("NVIDIA GeForce RTX 4090", "Ada Lovelace", False),
        ("NVIDIA H100 80GB HBM3", "Hopper", True),
        ("NVIDIA GH200 480GB", "Hopper", True),
        ("NVIDIA B200", "Blackwell", True),
        ("NVIDIA GB200", "Blackwell", True),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "Blackwell", False),
        ("NVIDIA GeForce RTX 5090", "Blackwell", False),
        ("NVIDIA Z9", None, False),
    ],
)
def test_models_tell_their_architecture(model, architecture, data_centre):
    gpu = Gpu(index=0, bus_id="0000:01:00.0", model=model)
    found = architecture_of(gpu)
    assert (found.name if found else None) == architecture
    assert is_data_centre(gpu) is data_centre


def test_the_architecture_that_nvidia_smi_names_wins():
    gpu = Gpu(index=0, bus_id="0000:01:00.0", model="NVIDIA Graphics Device", architecture="Hopper")
    assert architecture_of(gpu).name == "Hopper"


ENVIRONMENTS = {
    "cpu_prep": Environment("envs/cpu_prep.lock", {"linux-64": Needs()}),
    "nlp_train": Environment("envs/nlp_train.lock", {"linux-64": cuda("12.4")}),
    "old_torch": Environment("envs/old_torch.lock", {"linux-64": cuda("11.8")}),
}


def suited(seen: GpuHost) -> Suited:
    wanted = {name: each.needs["linux-64"] for name, each in ENVIRONMENTS.items()}
    return Suited("linux-64", seen, {name: fit(each, seen, fits) for name, each in wanted.items()}, wanted)


def shown(answers) -> str:
    stream = io.StringIO()
    print_matrix(ENVIRONMENTS, answers, Console(file=stream, width=100))
    return stream.getvalue()


def test_alike_hosts_share_a_row():
    answers = {f"gpu{number:02}": suited(host("550.54.15", *[A100] * (4 + number % 5))) for number in range(1, 39)}
    answers |= {"gpu39": suited(host("470.82.01", V100)), "gpu40": Unreachable("no answer")}
    told = shown(answers)
    assert len(told.splitlines()) <= 20
    rows = [line.split() for line in told.splitlines()]
    assert rows[0] == ["HOSTS", "DRIVER", "GPUS", "cpu_prep", "nlp_train", "old_torch"]
    assert rows[1] == ["gpu[01:38]", "550.54.15", "A100-SXM4-80GB", "CPU", "only", "runs", "runs"]
    assert rows[2] == ["gpu39", "470.82.01", "Tesla", "V100-SXM2-32GB", "CPU", "only", ">=", "525.60.13", "minor"]
    assert rows[3][:4] == ["gpu40", "-", "unreachable", "-"]
    assert "driver 525.60.13 or newer runs what these GPUs can run, 550.54.14 or newer entirely" in told
    assert "3 environments on 39 hosts: 116 of 117 can run; 1 unreachable; driver 525.60.13 would do" in told
    assert max(map(len, told.splitlines())) <= 100


def test_hosts_that_cannot_be_folded_fill_no_screen():
    seen = {0: suited(host("550.54.15", A100)), 1: suited(host("470.82.01", V100))}
    told = shown({f"node{number}": seen[number % 2] for number in range(400)})
    assert len(told.splitlines()) < 30
    assert "node0, node2," in told
    assert "(200 in all)" in told


def test_many_environments_are_rows_of_their_own():
    many = {f"team_project_{number:02}": ENVIRONMENTS["nlp_train"] for number in range(20)}
    answers = {}
    for name, seen in {"gpu01": host("550.54.15", A100), "gpu02": host("470.82.01", V100)}.items():
        answers[name] = Suited("linux-64", seen, dict.fromkeys(many, fit(cuda("12.4"), seen, fits)), {})
    stream = io.StringIO()
    print_matrix(many, answers, Console(file=stream, width=80))
    rows = [line.split() for line in stream.getvalue().splitlines()]
    assert rows[2] == ["2", "gpu02", "470.82.01", "Tesla", "V100-SXM2-32GB"]
    assert rows[4] == ["ENVIRONMENT", "#1", "#2"]
    assert rows[5] == ["team_project_00", "runs", ">=", "525.60.13"]
    assert len(rows[24]) == 4


def test_hosts_need_not_have_the_same_environments():
    one, other = host("550.54.15", A100), host("550.54.15", A100)
    answers = {
        "gpu01": Suited("linux-64", one, {"a": fit(cuda("12.4"), one, fits)}, {"a": cuda("12.4")}),
        "gpu02": Suited(
            "linux-64", other, {"a": Fit(fitness=R), "b": Fit(fitness=CPU)}, {"a": cuda("11.8"), "b": Needs()}
        ),
    }
    found = installed(answers.values())
    assert {name: each.needs["linux-64"].cuda for name, each in found.items()} == {"a": "12.4", "b": None}
    stream = io.StringIO()
    print_matrix(found, answers, Console(file=stream, width=80))
    assert [line.split()[3:] for line in stream.getvalue().splitlines()[1:3]] == [
        ["runs", "-"],
        ["runs", "CPU", "only"],
    ]


def test_what_a_host_says_steers_no_terminal():
    evil = "\x1b[31m\u202eA100\n"
    told = shown({evil: suited(host("550.54.15", evil)), "b": Unreachable(evil)})
    assert not {"\x1b", "\u202e"} & set(told)
    assert matrix_json(ENVIRONMENTS, {evil: suited(host("550.54.15", evil))}).isascii()


def test_the_document_has_every_pair():
    document = json.loads(matrix_json(ENVIRONMENTS, {"a": suited(host("470.82.01", V100)), "b": Unreachable("gone")}))
    assert (document["format"], document["version"]) == ("fleetenv.gpu-envs", 1)
    assert document["environments"]["nlp_train"]["platforms"]["linux-64"]["cuda"] == "12.4"
    assert document["environments"]["cpu_prep"]["platforms"]["linux-64"]["cpu_only"] is True
    one = document["hosts"]["a"]["environments"]["nlp_train"]
    assert (one["runs"], one["fitness"], one["driver"]) == (False, "needs-driver", "525.60.13")
    assert document["hosts"]["a"]["driver_for_all"] == "525.60.13"
    assert document["hosts"]["b"] == {"error": "gone"}
    assert (document["driver_for_all"], document["full_driver_for_all"]) == ("525.60.13", "550.54.14")
