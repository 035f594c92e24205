import io

from rich.console import Console

from fleetenv.errors import Unreachable
from fleetenv.gpu.probe import parse_answer
from fleetenv.remote import Completed
from fleetenv.report.gpu_details import print_details

from .documents import Card, healthy, smi


def shown(document: bytes, head: str = "", width: int = 120) -> str:
    stream = io.StringIO()
    host = parse_answer(Completed(0, head.encode() + b"smi 0\n" + document))
    print_details({"gpu01": host, "gpu02": Unreachable("away")}, Console(file=stream, width=width))
    return stream.getvalue()


def test_each_gpu_is_a_line_with_its_users():
    told = shown(healthy(Card(), Card(bus="00000000:86:00.0")), "user /proc/4937 alice 1000\n")
    print(told)
    assert "gpu01  driver 535.104.05; CUDA 12.2; 2 NVIDIA A100-SXM4-80GB" in told
    assert "0000:3b:00.0" in told
    assert "0/80 GiB" in told
    assert "27/70" in told
    assert "alice:python" in told
    assert "gpu02" not in told


def test_columns_that_nothing_is_known_of_are_left_out():
    told = shown(healthy(Card()))
    assert "NVLINK" not in told
    assert "MIG" not in told


def test_mig_devices_are_shown_by_their_profiles():
    listing = "list GPU 0: x\nlist   MIG 3g.40gb     Device  0: (UUID: MIG-a)\n"
    assert "3g.40gb ?" in shown(smi(Card(), dtd=11), listing)


def test_a_hostile_host_steers_no_terminal():
    document = smi(Card(model="A&#155;100", bus="&#155;[2J"))
    told = shown(document, "user /proc/4937 \x1b[31m 1000\n")
    assert all(char.isprintable() or char == "\n" for char in told)
