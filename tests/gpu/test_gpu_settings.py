"""The module over simulated GPUs that behave: what nvidia-smi sets is what it tells afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from fleetenv.errors import TaskFailed
from fleetenv.lab.nvidia_smi import A100, RTX4090, Gpus, programs
from fleetenv.modules.gpu_settings import GpuSettings
from fleetenv.remote import Completed, Run
from fleetenv.state import compare

TWO = replace(A100, count=2)


@dataclass
class Machine:
    """A host whose simulated nvidia-smi is run without SSH."""

    folder: Path

    def run(self, script: str) -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", script], capture_output=True, env=environment, timeout=60, check=False)

    def look(self, module: GpuSettings):
        probe = module.observe()
        return probe.parse(Completed(0, self.run(probe.script).stdout))

    def differences(self, **arguments: object) -> dict[str, tuple[object, object]]:
        module = GpuSettings.from_arguments(arguments)
        found = self.look(module)
        return {
            each.key.removeprefix("gpus."): (each.found, each.wanted)
            for each in compare(module.desired(found), found).differences
        }

    def apply(self, **arguments: object) -> list[str]:
        """Do what differs, and return what is told; it must then be so."""
        module = GpuSettings.from_arguments(arguments)
        found = self.look(module)
        told = []
        for step in module.converge(compare(module.desired(found), found)):
            assert isinstance(step, Run)
            done = self.run(step.script)
            if done.returncode:
                raise TaskFailed(done.stderr.decode())
            told += [line.removeprefix("fleetenv-note ") for line in done.stdout.decode().splitlines()]
        assert self.differences(**arguments) == {}
        return told[1:]  # the first is that they are simulated

    def registered(self) -> dict[str, object]:
        module = GpuSettings.from_arguments({"ecc": True})
        return dict(module.returns(self.look(module)))


@pytest.fixture
def machine(tmp_path):
    def make(gpus: Gpus = TWO) -> Machine:
        for name, text in programs(gpus).items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        return Machine(tmp_path)

    return make


def test_each_setting_is_a_difference_of_its_gpu_and_is_mended(machine):
    host = machine(replace(TWO, persistence=False))
    wish = {"persistence": True, "power_limit": 300, "compute_mode": "exclusive_process", "gpus": [1]}
    assert host.differences(**wish) == {
        "1.compute_mode": ("default", "exclusive_process"),
        "1.persistence": ("off", "on"),
        "1.power_limit": (400, 300),
    }
    assert host.apply(**wish) == []
    assert host.registered()["gpus"] == {
        "0": {"persistence": "off", "mig": "off", "ecc": "on", "compute_mode": "default", "power_limit": 400},
        "1": {"persistence": "on", "mig": "off", "ecc": "on", "compute_mode": "exclusive_process", "power_limit": 300},
    }


def test_a_power_limit_goes_back_to_its_default(machine):
    host = machine()
    host.apply(power_limit=250.5)
    assert host.differences(power_limit="default") == {"0.power_limit": (250.5, 400), "1.power_limit": (250.5, 400)}
    host.apply(power_limit="default")


def test_ecc_waits_for_a_reset_and_says_so(machine):
    host = machine()
    assert host.apply(ecc=False) == ["GPU 0, 1: ECC is switched at the next reset or reboot"]
    assert host.registered()["reset_required"] == [0, 1]
    assert host.apply(ecc=False) == []
    assert host.run("nvidia-smi -r").returncode == 0
    assert host.registered()["reset_required"] == []


def test_instances_are_made_changed_and_destroyed(machine):
    host = machine()
    wish = {"mig_instances": ["3g.40gb", "3g.40gb"], "gpus": [0]}
    assert host.differences(**wish) == {"0.mig": ("off", "on"), "0.mig_instances": (None, "3g.40gb, 3g.40gb")}
    assert host.apply(**wish) == []
    other = {"mig_instances": ["1g.10gb", "4g.40gb"], "gpus": [0]}
    assert host.differences(**other) == {"0.mig_instances": ("3g.40gb, 3g.40gb", "4g.40gb, 1g.10gb")}
    host.apply(**other)
    assert host.differences(mig=True, gpus=[0]) == {}
    host.apply(mig=False)
    assert host.registered()["gpus"]["0"]["mig"] == "off"


def test_more_instances_than_fit_fail_with_nvidia_smis_words(machine):
    with pytest.raises(TaskFailed, match="Insufficient Resources"):
        machine().apply(mig_instances=["4g.40gb", "4g.40gb"])


def test_a_busy_gpu_is_left_alone_unless_told(machine):
    host = machine(replace(TWO, process="python"))
    told = r"GPU 0 \(NVIDIA A100-SXM4-80GB\) is used by python \(pid 4000.*drain the host, or set 'force: true'"
    for wish in ({"mig": True}, {"ecc": False}, {"mig_instances": ["7g.80gb"]}):
        with pytest.raises(TaskFailed, match=told):
            host.differences(**wish)
    assert host.apply(mig=True, force=True) == ["GPU 0, 1: MIG is switched at the next reset or reboot"]
    assert host.registered()["reset_required"] == [0, 1]
    with pytest.raises(TaskFailed, match="MIG of GPU 0, 1 is on only after a reset"):
        host.apply(mig_instances=["7g.80gb"], force=True)


def test_what_harms_no_job_is_set_while_jobs_run(machine):
    host = machine(replace(TWO, process="python"))
    host.apply(power_limit=300, persistence=False)


@pytest.mark.parametrize(
    ("gpus", "wish", "why"),
    [
        (TWO, {"power_limit": 500}, "takes a power limit of 100 to 400 W, not 500 W"),
        (TWO, {"power_limit": 20}, "takes a power limit of 100 to 400 W, not 20 W"),
        (TWO, {"power_limit": 300, "gpus": [1, 2, 7]}, "there is no GPU 2, 7; the host has GPU 0 to 1"),
        (TWO, {"power_limit": 300, "model": "H100"}, "no GPU is H100; the host has NVIDIA A100-SXM4-80GB"),
        (RTX4090, {"ecc": True}, "GPU 0 (NVIDIA GeForce RTX 4090) has no ECC; leave 'ecc' out for it"),
        (RTX4090, {"mig": True}, "GPU 0 (NVIDIA GeForce RTX 4090) has no MIG"),
    ],
)
def test_a_wish_that_cannot_be_met_says_what_can(machine, gpus, wish, why):
    with pytest.raises(TaskFailed) as failed:
        machine(gpus).differences(**wish)
    print(failed.value)
    assert str(failed.value).startswith("simulated GPUs: ")
    assert why in str(failed.value)


def test_mig_off_is_met_by_gpus_that_have_none(machine):
    host = machine(RTX4090)
    assert "0.mig_instances" not in host.differences(mig=False, power_limit=300)


def verdict(answer: bytes, **more: object) -> str | None:
    module = GpuSettings.from_arguments({"persistence": True, **more})
    found = module.observe().parse(Completed(0, answer))
    try:
        return None if not compare(module.desired(found), found) else "differs"
    except TaskFailed as error:
        return str(error)


def test_hosts_without_nvidias_gpus_are_told_apart():
    assert str(verdict(b"smi absent\n")).startswith("no NVIDIA GPU on the PCI bus")
    assert verdict(b"smi absent\n", required=False) is None
    amd = b'amd 0000:83:00.0 0x74a1 amdgpu 0x120000\namd-static [{"gpu": 0, "asic": {}}]\nsmi absent\n'
    assert str(verdict(amd)).startswith("this host has AMD's GPUs")


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({}, "one of persistence, power_limit"),
        ({"gpus": [0]}, "one of persistence, power_limit"),
        ({"power_limit": 0}, "> 0"),
        ({"power_limit": "max"}, "power_limit|Invalid"),
        ({"compute_mode": "shared"}, "Invalid enum value 'shared'"),
        ({"mig_instances": ["3g.40gb; reboot"]}, "matching regex"),
        ({"mig": False, "mig_instances": ["7g.80gb"]}, "exclude each other"),
    ],
)
def test_bad_arguments_are_refused(arguments, wrong):
    with pytest.raises(msgspec.ValidationError, match=wrong):
        GpuSettings.from_arguments(arguments)


PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - gpu_driver: {count: 2, cuda: "12.4"}
    - gpu_settings: {persistence: true, power_limit: 300, ecc: false}
      register: gpu
    - assert: {that: "gpu.reset_required == [0, 1]"}
      when: not ansible_check_mode
"""


def test_a_play_tells_what_it_would_change_changes_it_and_then_nothing(embedded_fleet, fleetenv_cli):
    fleet = embedded_fleet(["gpu01"], gpus=replace(TWO, persistence=False))
    (fleetenv_cli.home / "site.yml").write_text(PLAY)
    command = ("apply", "site.yml", "-i", fleet.inventory)

    def settings(*words: str) -> tuple[str, str]:
        report = fleetenv_cli.home / "report.json"
        done = fleetenv_cli(*command, "--json", report, *words)
        assert done.status == 0, done.stdout + done.stderr
        task = json.loads(report.read_text())["hosts"]["gpu01"]["tasks"][1]
        return task["status"], done.stdout

    status, shown = settings("--check", "--diff")
    assert status == "changed"
    assert "gpus.0.power_limit" in shown
    assert "gpus.1.persistence" in shown
    status, shown = settings()
    print(shown)
    assert status == "changed"
    assert "simulated GPUs" in shown
    assert "GPU 0, 1: ECC is switched at the next reset or reboot" in shown
    assert settings()[0] == "ok"
