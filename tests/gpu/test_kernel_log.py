from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from fleetenv.gpu.kernel_log import read_events
from fleetenv.gpu.xid import XIDS, xid
from fleetenv.severity import Severity

BOOT = 1_700_000_000.0


def test_an_xid_is_read_with_its_gpu_and_time():
    line = "[34079.420545] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
    (event,) = read_events([line], BOOT)
    assert (event.kind, event.code, event.bus_id) == ("xid", 79, "0000:3b:00.0")
    assert event.at == datetime(2023, 11, 15, 7, 41, 19, tzinfo=UTC)
    assert event.text == "pid='<unknown>', GPU has fallen off the bus."


def test_an_sxid_says_whether_it_is_fatal():
    lines = [
        "1700000000.25 gpu07 kernel: nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 RX Short",
        "[1.5] nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 24007, Fatal, Link 30 sourcetrack timeout error",
    ]
    first, second = read_events(lines, None)
    assert (first.kind, first.code, first.fatal) == ("sxid", 20009, False)
    assert first.at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (second.code, second.fatal, second.at) == (24007, True, None)


def test_forms_of_older_drivers_and_of_mig_are_read():
    lines = [
        "[ 966.503025] NVRM: Xid (0000:01:00): 31, Ch 0000000b, engmask 00000120, intr 10000000",
        "<4>[ 1.0] NVRM: Xid (PCI:0000:3b:00 GPU-I:01 GPU-CI:02): 94, pid=9, name=a, Contained",
    ]
    assert [(event.code, event.bus_id) for event in read_events(lines, 0)] == [
        (31, "0000:01:00.0"),
        (94, "0000:3b:00.0"),
    ]


def test_what_a_user_called_a_process_is_not_kept():
    line = "[1.0] NVRM: Xid (PCI:0000:01:00): 13, pid=9, name=secret-project, Graphics Exception"
    assert "secret" not in read_events([line], 0)[0].text


def test_only_the_last_events_are_kept():
    lines = [f"[{number}.0] NVRM: Xid (PCI:0000:01:00): 13, x" for number in range(1000)]
    events = read_events(lines, BOOT)
    assert len(events) == 100
    assert events[-1].at == datetime.fromtimestamp(BOOT + 999, UTC)


def test_the_numbers_that_matter_are_known():
    assert xid(79).name == "ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS"
    assert xid(79).severity is Severity.ERROR
    assert xid(13).severity is Severity.NOTE  # programs make these
    assert xid(94).severity is Severity.WARNING
    assert xid(9999).severity is Severity.WARNING
    assert xid(135).name == "ROBUST_CHANNEL_CE19_ERROR"
    assert all(each.name and each.meaning and each.advice for each in XIDS.values())


@given(st.text())
def test_no_line_breaks_the_reading(text):
    read_events([text, f"[9.9] NVRM: Xid (PCI:0000:01:00): 13{text}", f"x: SXid (PCI:0000:01:00.0): {text}"], 1e300)
