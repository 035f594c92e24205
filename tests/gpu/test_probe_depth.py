"""What the script asks beyond `nvidia-smi -q -x`, run by a real shell over programs that answer as the real ones do."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from fleetenv.gpu.probe import gpu_probe, thorough_probe
from fleetenv.gpu.states import Answer, GpuHost, KernelLog, Vendor
from fleetenv.remote import Completed

from .documents import Card, healthy
from .test_amd import METRIC, STATIC, VERSION
from .test_links import ERRORS, LISTING, STATES
from .test_probe import machine, namespaces

NVIDIA_SMI = """#!/bin/sh
case "$*" in
"-q -x") cat {folder}/xml ;;
"nvlink -s") cat {folder}/states ;;
"nvlink -e") cat {folder}/errors ;;
-L) cat {folder}/listing ;;
*) exit 2 ;;
esac
"""


@pytest.fixture
def host(tmp_path):
    def run(probe=gpu_probe, machine: str = "", **programs: str) -> GpuHost:
        for name, text in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(text)
            program.chmod(0o755)
        words = ["sh", "-c", f"{machine}\n{probe().script}"]
        words = ["unshare", "-m", *words] if machine else words
        done = subprocess.run(
            words, capture_output=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return probe().parse(Completed(0, done.stdout, done.stderr))

    return run


def answers(folder: Path, document: bytes) -> str:
    for name, lines in {"states": STATES, "errors": ERRORS, "listing": LISTING}.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "xml").write_bytes(document)
    return NVIDIA_SMI.format(folder=folder)


def test_links_are_asked_for_where_there_are_several_gpus(host, tmp_path):
    one = host(nvidia_smi=answers(tmp_path, healthy(Card())))
    two = host(nvidia_smi=answers(tmp_path, healthy(Card(), Card(bus="00000000:86:00.0"))))
    assert one.gpus[0].nvlinks == ()
    assert [len(gpu.nvlinks) for gpu in two.gpus] == [2, 1]
    assert two.gpus[0].nvlinks[0].errors == {"Replay": 0, "Recovery": 0, "CRC": 7}
    assert two.gpus[1].nvlinks[0].errors["Link recovery failed events"] == 1


def test_mig_devices_have_their_names(host, tmp_path):
    devices = "<mig_devices>" + "".join(
        f"<mig_device><index>{index}</index><gpu_instance_id>{index + 1}</gpu_instance_id></mig_device>"
        for index in range(2)
    )
    card = Card(extra=f"{devices}</mig_devices>")
    document = healthy(card).replace(b"<current_mig>N/A", b"<current_mig>Enabled")
    document = document.replace(b"<mig_devices>\n            None\n        </mig_devices>", b"")
    (gpu,) = host(nvidia_smi=answers(tmp_path, document)).gpus
    assert [(device.gpu_instance, device.profile) for device in gpu.mig_layout] == [(1, "3g.40gb"), (2, "1c.3g.40gb")]


def test_processes_have_their_users(host, tmp_path):
    document = healthy(Card()).replace(b"<pid>4937<", f"<pid>{os.getpid()}<".encode())
    (gpu,) = host(nvidia_smi=answers(tmp_path, document)).gpus
    assert gpu.processes[0].user == Path(f"/proc/{os.getpid()}").owner()


def test_a_process_that_has_ended_has_no_user(host, tmp_path):
    document = healthy(Card()).replace(b"<pid>4937<", b"<pid>999999999<")
    assert host(nvidia_smi=answers(tmp_path, document)).gpus[0].processes[0].user is None


DMESG = """#!/bin/sh
echo '[    0.000000] Linux version 6.1'
echo '[   10.000000] NVRM: Xid (PCI:0000:3b:00): 48, pid=7, DBE'
echo '[   12.000000] nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 RX Short Error Rate'
"""


def test_the_kernel_log_is_read(host, tmp_path):
    seen = host(nvidia_smi=answers(tmp_path, healthy(Card())), dmesg=DMESG)
    assert seen.kernel_log is KernelLog.READ
    assert [(event.kind, event.code) for event in seen.events] == [("xid", 48), ("sxid", 20009)]
    assert seen.events[0].at is not None
    assert seen.events[0].at.timestamp() < time.time()


def test_a_kernel_log_that_may_not_be_read_is_told(host, tmp_path):
    refuse = "#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n"
    for journal in (refuse, "#!/bin/sh\n"):
        seen = host(nvidia_smi=answers(tmp_path, healthy(Card())), dmesg=refuse, journalctl=journal)
        assert seen.kernel_log is KernelLog.DENIED


def test_the_log_of_the_machine_that_a_simulation_runs_on_is_not_its_own(host, tmp_path):
    document = healthy(Card()).replace(b"<nvidia_smi_log>", b"<!-- fleetenv lab: simulated --><nvidia_smi_log>")
    refuse = "#!/bin/sh\nexit 1\n"
    for dmesg in (DMESG, refuse):
        seen = host(nvidia_smi=answers(tmp_path, document), dmesg=dmesg, journalctl=DMESG)
        assert (seen.kernel_log, seen.events) == (KernelLog.UNASKED, ())


def test_the_journal_stands_in_for_dmesg(host, tmp_path):
    journal = "#!/bin/sh\necho '1700000000.5 gpu07 kernel: NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off'\n"
    refuse = "#!/bin/sh\nexit 1\n"
    seen = host(nvidia_smi=answers(tmp_path, healthy(Card())), dmesg=refuse, journalctl=journal)
    assert [event.code for event in seen.events] == [79]


def test_a_host_without_a_driver_is_not_asked_for_its_log(host):
    assert host(dmesg=DMESG).kernel_log is KernelLog.UNASKED


@namespaces
@pytest.mark.root
def test_fabric_manager_is_asked_for_where_there_are_switches(host, tmp_path):
    switch = machine("0000:3b:00.0", driver="535.104.05") + "\necho 0x22a3 >/sys/bus/pci/devices/0000:01:00.0/device\n"
    seen = host(
        machine=switch,
        nvidia_smi=answers(tmp_path, healthy(Card())),
        nv_fabricmanager="#!/bin/sh\nprintf '\\n\\tFabric Manager version is : 535.161.08\\n\\n'\n",
        systemctl="#!/bin/sh\necho failed\nexit 3\n",
    )
    assert seen.switches == 1
    assert seen.fabric_manager is not None
    assert (seen.fabric_manager.version, seen.fabric_manager.service) == ("535.161.08", "failed")


def test_dcgm_is_run_only_when_asked_for(host, tmp_path):
    dcgmi = """#!/bin/sh
[ "$*" = "diag -r 1 -j" ] || exit 2
echo '{"DCGM Diagnostic": {"test_categories":
[{"tests": [{"name": "software", "results": [{"entity_id": 0, "status": "Fail", "warnings": "no"}]}]}]}}'
"""
    programs = {"nvidia_smi": answers(tmp_path, healthy(Card())), "dcgmi": dcgmi}
    assert host(**programs).dcgm is None
    (test,) = host(thorough_probe, **programs).dcgm or ()
    assert (test.name, test.gpu, test.status) == ("software", 0, "Fail")


def test_a_host_without_dcgm_says_so(host, tmp_path):
    seen = host(thorough_probe, nvidia_smi=answers(tmp_path, healthy(Card())))
    assert (seen.dcgm, seen.dcgm_message) == (None, "there is no dcgmi on the host")


def test_amd_smi_is_asked_where_there_is_no_nvidia_smi(host, tmp_path):
    import json

    for name, document in {"static": [STATIC], "metric": [METRIC], "version": VERSION}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document, indent=4))
    program = f'#!/bin/sh\n[ "$2" = --json ] && cat "{tmp_path}/$1.json"\n'
    seen = host(amd_smi=program)
    assert (seen.vendor, len(seen.gpus)) == (Vendor.AMD, 1)
    assert host(amd_smi=program, nvidia_smi=answers(tmp_path, healthy(Card()))).vendor is Vendor.NVIDIA


def test_clocks_told_on_one_line_hide_nothing(host, tmp_path):
    document = healthy(Card(extra="<supported_clocks>N/A</supported_clocks>\n"), Card(bus="00000000:86:00.0"))
    assert len(host(nvidia_smi=answers(tmp_path, document)).gpus) == 2


@pytest.mark.parametrize(
    "noise",
    [
        "head -c 100000000 /dev/zero",
        "yes '<a>' | head -c 100000000",
        "echo '<nvidia_smi_log>'; yes '<gpu id=\"x\"/>' | head -c 100000000",
        "head -c 3000000 /dev/urandom",
        'echo \'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>\'',
        "yes '<gpu id=\"x\"><fabric><health>' | head -c 3000000",
        "echo '<nvidia_smi_log>'; yes '<gpu id=\"x\"/>' | head -c 1000000; echo '</nvidia_smi_log>'",
        "printf '\\033[2J\\033]0;owned\\007\\377\\376'",
    ],
)
def test_noise_is_not_readable_and_costs_little(host, noise):
    seen = host(nvidia_smi=f"#!/bin/sh\n{noise}\n")
    assert seen.answer is Answer.UNREADABLE
    assert len(seen.message) < 1000
    assert seen.gpus == ()
