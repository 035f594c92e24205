"""Which file of a Python package is locked, and under which URL."""

from __future__ import annotations

import pytest

from fleetenv.conda.resolution import best_wheel, plain_url
from fleetenv.conda.sources import without_secrets


@pytest.mark.parametrize(
    "names",  # the best one first
    [
        ("x-1-cp311-cp311-manylinux_2_28_x86_64.whl", "x-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"),
        ("x-1-cp311-abi3-manylinux_2_17_x86_64.whl", "x-1-cp39-abi3-manylinux_2_28_x86_64.whl"),
        ("x-1-cp39-abi3-manylinux_2_17_x86_64.whl", "x-1-py3-none-manylinux_2_17_x86_64.whl"),
        ("x-1-py3-none-linux_x86_64.whl", "x-1-py3-none-any.whl"),
        ("x-1-1build-cp311-cp311-linux_x86_64.whl", "x-1-py2.py3-none-any.whl"),
    ],
)
def test_the_most_specific_wheel_is_taken(names: tuple[str, str]) -> None:
    wheels = [{"url": f"https://files.example.com/{name}"} for name in names]
    assert best_wheel(wheels) == wheels[0]
    assert best_wheel(wheels[::-1]) == wheels[0]
    assert best_wheel([]) is None


def test_urls_in_locks_are_without_secrets() -> None:
    assert plain_url("https://me:word@wheels.example.com/x.whl") == "https://wheels.example.com/x.whl"
    assert plain_url("https://wheels.example.com/a@b/x.whl") == "https://wheels.example.com/a@b/x.whl"
    assert plain_url("git+https://me:word@git.example.com/x@0123") == "git+https://git.example.com/x@0123"


def test_messages_are_without_secrets() -> None:
    text = "cannot read https://me:word@conda.example.com/t/ab-12/lab and http://key@pypi.example.com/t/x"
    assert (
        without_secrets(text)
        == "cannot read https://***@conda.example.com/t/***/lab and http://***@pypi.example.com/t/***"
    )
    assert (
        without_secrets("user@example.com: 1/2 of https://example.com")
        == "user@example.com: 1/2 of https://example.com"
    )
