"""The JSON of `dcgmi diag -r 1 -j`, NVIDIA's quick diagnosis (DCGM 2 to 4).

`{"DCGM GPU Diagnostic" | "DCGM Diagnostic": {"test_categories": [{"tests": [{"name", "results": [{"status",
"gpu_ids" | "entity_group", "entity_id", "info", "warnings"}]}]}]}}`; `info` and `warnings` are a text, or a list of
texts, or of objects with the text in `warning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import msgspec

from fleetenv.gpu.states import DcgmTest

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

_ROOTS = ("DCGM GPU Diagnostic", "DCGM Diagnostic")
_MAX_TESTS = 500
_MAX_TEXT = 300


def read_dcgm(output: str) -> tuple[tuple[DcgmTest, ...], str]:
    """Return the tests, and else why there are none."""
    start = output.find("{")
    try:
        document: Plain = msgspec.json.decode(output[start:] if start >= 0 else output)
        tests = tuple(islice(_tests(document), _MAX_TESTS))
        root = _root(document)
        said = _text(root.get("runtime_error") or root.get("error"))
    except (msgspec.DecodeError, RecursionError):
        return (), " ".join(output.split())[:_MAX_TEXT] or "dcgmi said nothing"
    return tests, "" if tests else said or "dcgmi told of no test"


def _root(document: Plain) -> dict[str, Plain]:
    if not isinstance(document, dict):
        return {}
    found = next((document[name] for name in _ROOTS if name in document), document)
    return found if isinstance(found, dict) else {}


def _tests(document: Plain) -> Iterator[DcgmTest]:
    for category in _objects(_root(document).get("test_categories")):
        for test in _objects(category.get("tests")):
            name = _text(test.get("name")) or "unnamed"
            for result in _objects(test.get("results")):
                yield from _results(name, result)


def _results(name: str, result: dict[str, Plain]) -> Iterator[DcgmTest]:
    status = _text(result.get("status")) or "unknown"
    text = _text(result.get("warnings")) or _text(result.get("info"))
    for gpu in _gpus(result):
        yield DcgmTest(name=name, status=status, gpu=gpu, text=text)


def _gpus(result: dict[str, Plain]) -> list[int | None]:
    ids = result.get("gpu_ids")
    if isinstance(ids, str):
        return [int(word) for word in ids.split(",") if word.strip().isdecimal() and len(word) < 6] or [None]
    entity = result.get("entity_id")
    about_gpu = str(result.get("entity_group", "GPU")).upper() == "GPU"
    return [entity] if about_gpu and isinstance(entity, int) and 0 <= entity < 100_000 else [None]


def _objects(value: Plain) -> Iterator[dict[str, Plain]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _text(value: Plain) -> str:
    """Return what is said, on one line, whatever it is wrapped in."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_text, value[:20])))[:_MAX_TEXT]
    if isinstance(value, dict):
        return _text(value.get("warning") or value.get("error") or value.get("info"))
    return " ".join(str(value).split())[:_MAX_TEXT] if isinstance(value, str | int | float) else ""
