"""Trying GPUs out: the program that runs on a host, on a simulated driver, and on real frameworks where there are any.

The driver's side is simulated (libcuda.c), unless there is a real GPU, for the one test that is marked so. NVIDIA's own
assembler checks the kernel where `ptxas` is on the PATH; frameworks run, on the CPU, by the Python that
FLEETENV_TEST_FRAMEWORKS names.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from fleetenv.conda.inquiry import GPU_PACKAGES, SMOKE, ask_smoke
from fleetenv.errors import TaskFailed, Unreachable
from fleetenv.gpu.devices import devices
from fleetenv.gpu.hardware import MigDevice
from fleetenv.gpu.probe import gpu_probe
from fleetenv.gpu.states import Answer, Gpu, GpuHost
from fleetenv.onhost.cuda_driver import KERNEL
from fleetenv.onhost.frameworks import FRAMEWORKS
from fleetenv.onhost.smoke import FRAMEWORKS as LOOKED_FOR
from fleetenv.onhost.smoke import Smoke, Trial, Tried
from fleetenv.remote import Completed, Run
from fleetenv.report.gpu_smoke import Smoked, print_smoke, smoke_json

from .simulated import prefix_with, simulated_driver, simulated_prefix

FAULTS = ("healthy", "unknown", "crash", "noise", "invisible", "full", "memory", "wrong", "fault")
UUIDS = {fault: f"GPU-{index}0000000" for index, fault in enumerate(FAULTS)}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return simulated_driver(tmp_path_factory.mktemp("driver"))


def ask(step: Run) -> Smoke:
    """Put the question to this machine, as the shell would."""
    done = subprocess.run(["/bin/sh", "-c", step.script], input=step.stdin, capture_output=True, timeout=120)
    return SMOKE.read(Completed(done.returncode, done.stdout, done.stderr))


def test_each_gpu_is_tried_alone_and_what_is_wrong_is_said(driver, tmp_path):
    prefix = simulated_prefix(tmp_path / "conda", driver, {uuid: fault for fault, uuid in UUIDS.items()}, "bare")
    smoke = ask(ask_smoke(str(prefix), "bare", list(UUIDS.values()), 100))
    assert (smoke.generation, smoke.frameworks) == ("", [])
    found = {fault: each.trials[0] for fault, each in zip(FAULTS, smoke.tried, strict=True)}
    assert {fault: (trial.state, trial.text.removeprefix("CudaError: ")) for fault, trial in found.items()} == {
        "healthy": ("ok", ""),
        "unknown": ("failed", "cuInit: CUDA_ERROR_UNKNOWN"),
        "crash": ("failed", "ended by signal 6 (Aborted): simulated: the driver crashes"),
        "noise": ("ok", ""),
        "invisible": ("failed", "the driver sees no GPU"),
        "full": ("busy", "cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY"),
        "memory": ("failed", "memory does not keep what was written to it"),
        "wrong": ("failed", "the product is wrong: the CPU has another one"),
        "fault": ("failed", "cuCtxSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS"),
    }
    healthy = found["healthy"]
    assert (healthy.framework, healthy.version, healthy.device) == ("driver", "12.4", "Simulated GPU 0")
    assert healthy.gflops == pytest.approx(2 * 512**3 / healthy.seconds / 1e9)


def test_a_gpu_that_hangs_holds_up_nothing(driver, tmp_path):
    prefix = simulated_prefix(tmp_path / "conda", driver, {"GPU-1": "hang"}, ".fleetenv/bare/7-abc")
    (prefix / "envs/bare").symlink_to(".fleetenv/bare/7-abc")
    smoke = ask(ask_smoke(str(prefix), "bare", ["GPU-1"], 1))
    (only,) = smoke.tried
    assert smoke.generation == "7-abc"
    assert [(trial.state, trial.text) for trial in only.trials] == [("hung", "it did not end within 1 s")]


def test_what_keeps_an_environment_from_being_tried(driver, tmp_path):
    prefix = simulated_prefix(tmp_path / "conda", driver, {}, "broken")
    with pytest.raises(TaskFailed, match=f"there is no environment 'absent' in {prefix}"):
        ask(ask_smoke(str(prefix), "absent", ["GPU-1"], 5))
    (prefix / "envs/broken/bin/python").write_text("#!/bin/sh\necho 'libpython is not here' >&2\nexit 127\n")
    with pytest.raises(TaskFailed, match="Python does not work: exit status 127: libpython is not here"):
        ask(ask_smoke(str(prefix), "broken", ["GPU-1"], 5))


def test_an_environment_without_python_is_tried_with_minicondas_and_its_own_variables(driver, tmp_path):
    prefix = simulated_prefix(tmp_path / "conda", driver, {}, "tools")
    (prefix / "envs/tools/bin/python").unlink()
    variables = {"LD_LIBRARY_PATH": str(driver), "SIMULATED_CUDA_FAULTS": "GPU-1 invisible"}
    (prefix / "envs/tools/conda-meta/state").write_text(json.dumps({"env_vars": variables}))
    python = prefix / "bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    smoke = ask(ask_smoke(str(prefix), "tools", ["GPU-1"], 20))
    assert smoke.tried[0].trials[0].text == "CudaError: the driver sees no GPU"


@pytest.mark.skipif("FLEETENV_TEST_FRAMEWORKS" not in os.environ, reason="FLEETENV_TEST_FRAMEWORKS names no Python")
def test_real_frameworks_multiply_on_the_cpu(tmp_path):
    prefix = prefix_with(tmp_path / "conda", base=sys.executable, real=os.environ["FLEETENV_TEST_FRAMEWORKS"])
    step = ask_smoke(str(prefix), "real", ["GPU-1"], 120)
    asked = json.loads(step.stdin)
    asked["arguments"] |= {"kind": "cpu", "size": 256}
    smoke = ask(Run(step.script, stdin=json.dumps(asked).encode()))
    assert smoke.frameworks
    assert [(trial.framework, trial.state, trial.text) for trial in smoke.tried[0].trials] == [
        (name, "ok", "") for name in smoke.frameworks
    ]


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no NVIDIA GPU")
def test_every_real_gpu_of_this_machine_multiplies(tmp_path):
    prefix = prefix_with(tmp_path / "conda", base=os.environ.get("FLEETENV_TEST_FRAMEWORKS", sys.executable))
    seen = gpu_probe()
    listed = subprocess.run(["/bin/sh", "-c", seen.script], capture_output=True, check=True)
    found = devices(seen.parse(Completed(0, listed.stdout)))
    assert found
    smoke = ask(ask_smoke(str(prefix), "base", [each.visible for each in found], 300))
    print(smoke)
    for each in smoke.tried:
        assert [trial.state for trial in each.trials if trial.state != "cpu-build"]
        assert {trial.state for trial in each.trials} <= {"ok", "cpu-build"}, each


def test_all_frameworks_that_are_looked_for_can_be_tried():
    assert tuple(FRAMEWORKS) == LOOKED_FOR


@pytest.mark.parametrize("name", ["frameworks", "cuda_driver", "multiply"])
def test_the_program_is_python_3_7s_own(name):
    """Old environments have old Pythons: what runs in them may use nothing newer."""
    source = Path(sys.modules[SMOKE.answer.__module__].__file__).with_name(f"{name}.py").read_text()
    ast.parse(source, feature_version=(3, 7))
    assert source.count("from __future__ import annotations") == 1


def test_the_kernel_multiplies(driver):
    """Each of its threads, carried out by a small interpreter of the PTX that it is written in."""
    size, left, right = 3, [1.0, 2, 3, 4, 5, 6, 7, 8, 9], [9.0, 8, 7, 6, 5, 4, 3, 2, 1]
    memory = dict(enumerate([*left, *right, *[None] * 9]))
    for row in range(4):
        for column in range(4):  # one more than there are: such threads must do nothing
            _thread(
                memory,
                {"%ctaid.x": 0, "%ctaid.y": 0, "%ntid.x": 4, "%ntid.y": 4, "%tid.x": column, "%tid.y": row},
                size,
            )
    product = [
        sum(left[row * 3 + k] * right[k * 3 + column] for k in range(3)) for row in range(3) for column in range(3)
    ]
    assert [memory[18 + index] for index in range(9)] == product
    assert len(memory) == 27


def _thread(memory: dict[int, float | None], registers: dict[str, int | float], size: int) -> None:
    lines = [line.strip() for line in KERNEL.decode("ascii").partition("{")[2].partition("}")[0].splitlines()]
    parameters = {"[left]": 0, "[right]": 9 * 4, "[product]": 18 * 4, "[size]": size}

    def value(word: str) -> int | float:
        if word.startswith("0f"):
            return struct.unpack(">f", bytes.fromhex(word[2:]))[0]
        return registers[word] if word.startswith("%") else int(word)

    at = 0
    while True:
        line = lines[at].rstrip(";")
        at += 1
        if line.startswith("@"):
            predicate, _, label = line[1:].replace("bra ", "").partition(" ")
            at = lines.index(f"{label}:") if registers[predicate] else at
            continue
        name, *words = re.split(r",? +", line)
        kind = name.split(".")[0]
        if name == "ret":
            return
        if not name or kind == "" or name.endswith(":"):
            continue
        if name.startswith("ld.param"):
            registers[words[0]] = parameters[words[1]]
        elif name.startswith("ld.global"):
            registers[words[0]] = memory[value(words[1].strip("[]")) // 4]
        elif name.startswith("st.global"):
            memory[value(words[0].strip("[]")) // 4] = value(words[1])
        elif kind == "setp":
            one, other = map(value, words[1:])
            registers[words[0]] = one >= other if ".ge." in name else one < other
        else:
            operands = [value(word) for word in words[1:]]
            registers[words[0]] = {
                "mov": lambda a: a, "cvta": lambda a: a, "add": lambda a, b: a + b, "mul": lambda a, b: a * b,
                "mad": lambda a, b, c: a * b + c, "fma": lambda a, b, c: a * b + c,
            }[kind](*operands)  # fmt: skip


@pytest.mark.skipif(shutil.which("ptxas") is None, reason="NVIDIA's assembler is not on the PATH")
def test_nvidias_assembler_takes_the_kernel_for_every_gpu_that_it_knows(tmp_path):
    (tmp_path / "kernel.ptx").write_bytes(KERNEL.rstrip(b"\0"))
    helped = subprocess.run(["ptxas", "--help"], capture_output=True, text=True, check=True).stdout
    known = sorted(set(re.findall(r"'(sm_\d+)'", helped)))
    assert known
    for each in known:
        subprocess.run(["ptxas", f"-arch={each}", tmp_path / "kernel.ptx", "-o", tmp_path / "kernel.cubin"], check=True)


A100 = "NVIDIA A100-SXM4-80GB"
EVIL = "[red]\x1b[31m\n\u202eevil"


def host(*trials: Trial, model: str = A100) -> Smoked:
    gpus = tuple(Gpu(index=at, bus_id=f"0000:0{at}:00.0", model=model, uuid=f"GPU-{at}") for at in range(len(trials)))
    smoke = Smoke("3-abc", ["torch"], [Tried(f"GPU-{index}", [trial]) for index, trial in enumerate(trials)])
    return Smoked(GpuHost(answer=Answer.OK, gpus=gpus, attached=len(gpus)), smoke)


def good(gflops: float = 18000.0) -> Trial:
    return Trial("torch", "ok", "", "2.5.1", "A100", 2 * 4096**3 / gflops / 1e9, gflops)


def bad(text: str = "CUDA error: unspecified launch failure", state: str = "failed") -> Trial:
    return Trial("torch", state, text, "2.5.1")


def shown(answers) -> str:
    stream = io.StringIO()
    print_smoke("nlp_train", answers, Console(file=stream, width=80))
    return stream.getvalue()


def test_a_failing_gpu_is_named_by_index_uuid_and_bus():
    answers = {f"gpu{at:02}": host(good(), good(17500), good(), good()) for at in range(1, 40)}
    answers["gpu40"] = host(good(), good(), bad(), good())
    told = shown(answers)
    assert "gpu40  GPU 2  GPU-2  0000:02:00.0\n  torch 2.5.1: failed: CUDA error: unspecified launch failure" in told
    rows = [re.split(r" {2,}", line) for line in told.splitlines()]
    assert rows[0] == ["HOSTS", "GPUS", "WITH", "RESULT", "GFLOP/S", "MS"]
    assert rows[1] == ["gpu[01:39]", "4 A100-SXM4-80GB", "torch 2.5.1", "4 ok", "17,500-18,000", "7.64"]
    assert rows[2] == ["gpu40", "4 A100-SXM4-80GB", "torch 2.5.1", "3 ok, 1 failed", "18,000", "7.64"]
    assert "nlp_train: 160 GPUs on 40 hosts, 1 failed" in told
    assert all(len(line) <= 80 for line in told.splitlines())


def test_what_all_gpus_of_hosts_say_is_said_once():
    told = shown({f"gpu{at:02}": host(*[bad("ImportError: libcudnn.so.9")] * 8) for at in range(1, 41)})
    assert told.count("ImportError") == 1
    assert "gpu[01:40]\n  all GPUs: torch 2.5.1: failed: ImportError: libcudnn.so.9" in told


def test_a_gpu_slower_than_its_like_is_told_and_no_failure():
    answers = {"gpu01": host(good(), good(), good()), "gpu02": host(good(), good(9000))}
    assert "gpu02  GPU 1  GPU-1  0000:01:00.0\n  torch 2.5.1: slow: 9,000 GFLOP/s, its like do 18,000" in shown(answers)
    assert not any(each.failed for each in answers.values())
    document = json.loads(smoke_json("nlp_train", answers))
    assert [each["trials"][0]["slow"] for each in document["hosts"]["gpu02"]["devices"]] == [False, True]


def test_parts_of_a_gpu_in_mig_mode_are_tried_one_by_one():
    parts = tuple(MigDevice(index=index, profile="3g.40gb", uuid=f"MIG-{index}") for index in range(2))
    gpu = Gpu(index=3, bus_id="0000:3b:00.0", model=A100, uuid="GPU-3", mig=True, mig_layout=parts)
    seen = GpuHost(answer=Answer.OK, gpus=(gpu,), attached=1)
    assert [each.visible for each in devices(seen)] == ["MIG-0", "MIG-1"]
    answer = Smoked(seen, Smoke("", ["torch"], [Tried("MIG-0", [good()]), Tried("MIG-1", [bad()])]))
    told = shown({"gpu01": answer})
    assert "gpu01  GPU 3 MIG 1  MIG-1  0000:3b:00.0\n  torch 2.5.1: failed" in told
    assert "1 GPU on 1 host, 1 failed" in told
    unnamed = GpuHost(answer=Answer.OK, gpus=(Gpu(index=3, bus_id="0000:3b:00.0", model=A100, mig=True),))
    assert [each.visible for each in devices(unnamed)] == ["3"]


def test_a_busy_gpu_is_no_failure_and_a_silent_one_is():
    busy = host(good(), bad("out of memory", "busy"))
    assert not busy.failed
    assert "1 ok, 1 busy" in shown({"gpu01": busy})
    silent = Smoked(busy.gpus, Smoke("", [], [busy.smoke.tried[0]]))
    assert silent.failed
    assert "no answer" in shown({"gpu01": silent})


def test_hosts_that_cannot_be_tried():
    answers = {
        "gpu01": Smoked(GpuHost(answer=Answer.MISMATCH), None),
        "login": Smoked(GpuHost(), None),
        "away": Unreachable("no route"),
    }
    told = shown(answers)
    assert [answer.failed for answer in (answers["gpu01"], answers["login"])] == [True, False]
    assert "driver/library mismatch" in told
    assert "away\n  not tried: no route" in told
    assert json.loads(smoke_json("nlp_train", answers))["hosts"]["away"] == {"error": "no route"}


def test_a_hostile_host_steers_no_terminal_and_fills_no_screen():
    trials = [Trial(EVIL, EVIL, EVIL * 99, EVIL, EVIL, 1e300, 1e300)] * 1000
    evil = host(good(), good())
    said = [Tried("GPU-0", trials), Tried("GPU-1", [Trial("jax", "ok", gflops=-1e300)]), Tried("GPU-7", trials)]
    evil = Smoked(evil.gpus, Smoke(EVIL, [EVIL], said))
    told = shown({EVIL: evil, "b": TaskFailed(EVIL)})
    assert not {"\x1b", "\u202e"} & set(told)
    assert len(told) < 20_000
    assert smoke_json("x", {EVIL: evil}).isascii()


@pytest.mark.parametrize("inquiry", [SMOKE, GPU_PACKAGES], ids=lambda inquiry: inquiry.subject)
@settings(deadline=None)
@given(answer=st.binary(max_size=200) | st.recursive(
    st.none() | st.floats() | st.text(max_size=9),
    lambda each: st.lists(each, max_size=3)
    | st.dictionaries(
        st.sampled_from(["generation", "frameworks", "tried", "device", "trials", "environments", "conda", "pip"]), each
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_answer_is_read_or_refused(inquiry, answer):
    with suppress(TaskFailed):
        assert isinstance(inquiry.read(Completed(0, answer)), inquiry.answer)
