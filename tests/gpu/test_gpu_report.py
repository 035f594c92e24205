"""The table and the JSON of GPUs, over hosts that no lab can make."""

import io
import json

from rich.console import Console

from fleetenv.errors import Unreachable
from fleetenv.gpu.probe import parse_answer
from fleetenv.remote import Completed
from fleetenv.report.gpus import gpus_json, print_gpus

from .documents import Card, healthy, smi

HOSTILE = "\x1b[2J\x9b31m\u202eA100\r"


def table(answers) -> str:
    stream = io.StringIO()
    print_gpus(answers, Console(file=stream, width=80))
    return stream.getvalue()


def host(document: bytes, head: str = ""):
    return parse_answer(Completed(0, head.encode() + b"smi 0\n" + document))


def test_gpus_of_one_host_are_grouped_by_model_and_memory():
    cards = [Card(model="NVIDIA A40", memory="46068 MiB")] * 2 + [Card()] * 2
    told = table({"gpu01": host(healthy(*cards))})
    assert "2 A100-SXM4-80GB" in told
    assert "2 A40 45 GiB" in told
    assert "mixed-models" in told


def test_each_problem_is_said_once_with_all_its_hosts_and_gpus():
    sick = host(healthy(*[Card(ecc_uncorrected=2)] * 4))
    told = table({f"gpu{number:02}": sick for number in range(1, 41)})
    assert told.count("uncorrected ECC errors") == 1
    assert "gpu[01:40]  GPU [0:3]\n  has had 2 uncorrected ECC errors" in told
    assert "160 GPUs on 40 hosts; 40 with problems" in told


def test_notes_do_not_disturb_the_table():
    narrow = host(healthy(Card()).replace(b"<current_link_width>16x", b"<current_link_width>8x"))
    told = table({"gpu01": narrow})
    assert "ok" in told
    assert "lanes" not in told
    assert json.loads(gpus_json({"gpu01": narrow}))["hosts"]["gpu01"]["problems"][0]["code"] == "link-width"


def test_real_gpus_are_not_called_simulated():
    assert "simulated" not in table({"gpu01": host(healthy(Card()))})


def test_a_hostile_host_steers_no_terminal():
    document = smi(Card(model=HOSTILE.replace("\x1b", "&#155;").replace("\r", "&#13;")))
    answers = {"gpu01": host(document, "module 1.2\x1b[2J\n"), "gpu02": Unreachable(HOSTILE)}
    told = table(answers)
    assert all(char.isprintable() or char == "\n" for char in told)
    assert gpus_json(answers).isascii()
    assert json.loads(gpus_json(answers))["hosts"]["gpu02"] == {"error": HOSTILE}
