"""Nothing that nvidia-smi tells is lost: what is not read stands in a list, with the reason."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from fleetenv.gpu.leftout import LEFT_OUT, is_left_out
from fleetenv.gpu.smi import parse_smi
from fleetenv.gpu.values import UNKNOWN

from .documents import Card, smi
from .real import OUTPUTS, real

OWN = {f"own v{dtd}": smi(Card(), dtd=dtd) for dtd in (9, 10, 11, 12, 13)}
OTHER = ("9", "17 W", "Yes", "No", "Enabled", "Disabled", "Active", "Not Active", "other", "1.2")


def _leaves(element: ElementTree.Element, path: tuple[str, ...] = ()):
    for child in element:
        below = (*path, child.tag)
        if len(child):
            yield from _leaves(child, below)
        elif (child.text or "").strip():
            yield below, child


def _model(document: bytes) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(parse_smi(document), unread=()))


def _without_clocks(document: bytes) -> ElementTree.Element:
    text = re.sub(rb"<supported_clocks>.*?</supported_clocks>", b"", document, flags=re.DOTALL)
    return ElementTree.fromstring(text)


def _prove(name: str, document: bytes) -> None:
    """Each leaf is left out with a reason, or changing it changes what was understood."""
    assert parse_smi(document).unread == ()
    root = _without_clocks(document)
    before = _model(ElementTree.tostring(root))
    read = 0
    lost = []
    for path, leaf in _leaves(root):
        if is_left_out(path):
            continue
        kept = leaf.text
        for other in OTHER:
            leaf.text = other
            if _model(ElementTree.tostring(root)) != before:
                read += 1
                break
        else:
            lost.append("/".join(path))
        leaf.text = kept
    assert lost == []
    print(f"{name}: all {read} values are in the model")


@real
@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_every_value_of_a_real_output_is_understood(path: Path):
    document = path.read_bytes()
    print(msgspec.json.format(msgspec.json.encode(parse_smi(document)), indent=1).decode())
    _prove(path.name, document)


@pytest.mark.parametrize("name", OWN)
def test_every_value_of_our_own_documents_is_understood(name):
    _prove(name, OWN[name])


def test_a_field_of_a_newer_driver_is_noticed():
    card = Card(extra="<quantum_mode><current>Entangled</current></quantum_mode><empty></empty>")
    assert parse_smi(smi(card)).unread == ("gpu/quantum_mode/current",)


def test_a_flood_of_unknown_fields_is_bounded():
    flood = "".join(f"<f{number}>1</f{number}>" for number in range(1000))
    assert len(parse_smi(smi(Card(extra=flood))).unread) == 50


def test_what_is_left_out_has_a_reason():
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())


@pytest.mark.parametrize("word", sorted(UNKNOWN))
def test_what_is_not_told_is_none(word):
    card = Card(memory=word, model=word)
    (gpu,) = parse_smi(smi(card)).gpus
    assert gpu.memory_mib is None
    assert gpu.model == "unknown model"
