import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.gpu.smi import normal_bus_id, parse_smi

from .documents import Card, smi
from .real import OUTPUTS, real

GENERATIONS = (9, 10, 11, 12, 13)


@pytest.mark.parametrize("dtd", GENERATIONS)
def test_every_generation_tells_the_same(dtd):
    log = parse_smi(smi(Card(ecc_uncorrected=4), dtd=dtd))
    (gpu,) = log.gpus
    assert (log.driver, log.cuda, log.attached) == ("535.104.05", "12.2", 1)
    assert gpu.model == "NVIDIA A100-SXM4-80GB"
    assert gpu.kind == "NVIDIA A100-SXM4-80GB"
    assert gpu.bus_id == "0000:3b:00.0"
    assert gpu.memory.volatile.uncorrected == 4
    assert gpu.slowdowns == ("hw_thermal_slowdown",)
    assert (gpu.power_w, gpu.power_limit_w) == (26.78, 70.0)
    assert (gpu.link.width, gpu.link.generation, gpu.link.max_generation) == (16, 1, 4)
    assert (gpu.temperature_c, gpu.utilization, gpu.memory_used_mib) == (39.0, 7, 42)


@pytest.mark.parametrize("dtd", GENERATIONS)
def test_what_is_not_available_is_none(dtd):
    (gpu,) = parse_smi(smi(Card(), dtd=dtd)).gpus
    assert gpu.serial is None
    assert gpu.vbios is None
    assert gpu.fabric is None
    assert gpu.recovery_action is None


def test_mig_is_understood():
    (gpu,) = parse_smi(smi(Card(), dtd=11)).gpus
    assert (gpu.mig, gpu.mig_after_reset, gpu.mig_devices) == (True, False, 2)
    assert gpu.memory.remapped_rows == 3


def test_arguments_of_processes_are_not_kept():
    (gpu,) = parse_smi(smi(Card())).gpus
    (process,) = gpu.processes
    assert (process.pid, process.name, process.kind, process.memory_mib) == (4937, "/usr/bin/python", "C", 160)


@pytest.mark.parametrize(
    ("xml", "action"),
    [
        ("<gpu_recovery_action>Drain and Reset</gpu_recovery_action>", "Drain and Reset"),
        ("<gpu_reset_status><reset_required>Yes</reset_required></gpu_reset_status>", "Reset"),
    ],
)
def test_a_wanted_reset_is_understood_in_both_forms(xml, action):
    (gpu,) = parse_smi(smi(Card(extra=xml), dtd=11)).gpus
    assert gpu.recovery_action == action


@real
@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_real_outputs_are_read(path):
    log = parse_smi(path.read_bytes())
    print(log)
    (gpu,) = log.gpus
    assert gpu.model != "unknown model"
    assert gpu.uuid is not None
    assert gpu.memory_mib is not None
    assert gpu.temperature_c is not None
    assert gpu.link.width is not None
    assert (log.driver is None) == (path.stem == "gtx-1070-ti")  # that one is abridged


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        (b"", "not well-formed"),
        (b"no xml", "not well-formed"),
        (b"<a>", "not well-formed"),
        (b"<html/>", "not nvidia-smi"),
        (b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>', "declares an entity"),
        (b'<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd">%b;]><a/>', "declares an entity"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "declares an entity"),
        (b"<a>" * 1000, "too deeply"),
        (b"<a>" + b"<b/>" * 100_001 + b"</a>", "too many elements"),
        (b"<a>" + b" " * (16 * 1024 * 1024) + b"</a>", "larger than 16 MiB"),
    ],
)
def test_hostile_xml_is_refused(document, wrong):
    with pytest.raises(ValueError, match=wrong):
        parse_smi(document)


def test_invalid_utf8_does_not_stop_the_reading():
    document = smi(Card(model="NVIDIA \x00")).replace(b"\x00", b"\xff\xfe")
    (gpu,) = parse_smi(document).gpus
    assert gpu.model == "NVIDIA \ufffd\ufffd"


def test_a_claimed_encoding_is_not_followed():
    document = smi(Card(model="NVIDIA é")).replace(b'version="1.0"', b'version="1.0" encoding="utf-16"')
    (gpu,) = parse_smi(document).gpus
    assert gpu.model == "NVIDIA é"


def test_texts_are_bounded():
    (gpu,) = parse_smi(smi(Card(model="x" * 100_000))).gpus
    assert len(gpu.model) == 200


def test_bus_ids_are_as_the_kernel_writes_them():
    assert normal_bus_id("00000000:3B:00.0") == "0000:3b:00.0"
    assert normal_bus_id("00010000:3B:00.0") == "00010000:3b:00.0"
    assert normal_bus_id("0000:3b:00.0") == "0000:3b:00.0"


@given(st.data())
def test_a_document_damaged_anywhere_is_read_or_refused(data):
    document = smi(Card(), Card(), dtd=data.draw(st.sampled_from(GENERATIONS)))
    start = data.draw(st.integers(0, len(document)))
    end = data.draw(st.integers(start, min(len(document), start + 200)))
    damaged = document[:start] + data.draw(st.binary(max_size=20)) + document[end:]
    try:
        log = parse_smi(damaged)
    except ValueError:
        return
    assert len(log.gpus) <= 2
