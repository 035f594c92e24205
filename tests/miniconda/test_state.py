"""What a host says of a prefix is read without trust, and means what the documentation says."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.conda.installers import conda_in_name, find_installer, is_newer
from fleetenv.modules.minicondastate import MinicondaState, read_state
from fleetenv.remote import Completed
from fleetenv.state import UNSET

WHOLE = "kind folder content yes history yes python yes conda yes record conda-24.7.1-py311h06a4308_0.json"
WHOLE += " record python-3.11.9-h955ad1f_0.json"


def read(*words: str) -> MinicondaState | None:
    return read_state(Completed(0, "".join(f"{word}\0" for word in words).encode()))


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        (f"{WHOLE} finished yes", "complete"),
        (f"{WHOLE} finished yes started yes", "half-finished"),
        ("kind folder started yes", "half-finished"),
        (WHOLE.replace("python yes ", "") + " finished yes", "broken"),
        (WHOLE.replace("record conda-24.7.1-py311h06a4308_0.json", "content yes") + " finished yes", "broken"),
        (f"{WHOLE} answers yes", "unverified"),
        (WHOLE, "broken"),
        ("kind folder content yes", "something else"),
        ("kind denied", "denied"),
        ("kind other", "file"),
    ],
)
def test_conditions(said: str, condition: str) -> None:
    state = read(*said.split(" "))
    assert state is not None
    assert state.condition == condition


@pytest.mark.parametrize("said", ["kind absent", "kind folder", "kind folder writable yes"])
def test_nothing_is_there(said: str) -> None:
    assert read(*said.split(" ")) is None


def test_versions_come_from_the_names_of_records() -> None:
    state = read(*WHOLE.split(" "), "finished", "yes", "record", "conda-anaconda-tos-0.2.1-py311h06a4308_0.json")
    assert state is not None
    assert (state.conda, state.python, state.terms) == ("24.7.1", "3.11.9", "not accepted")
    without = read(*WHOLE.split(" "), "finished", "yes")
    assert without is not None
    assert without.terms is UNSET


@given(st.binary(max_size=300), st.integers(0, 255))
def test_whatever_a_host_prints_is_read_or_refused(data: bytes, status: int) -> None:
    with contextlib.suppress(ValueError):
        read_state(Completed(status, data))


WORDS = ["kind", "folder", "content", "yes", "record", "conda-²-0_0.json", "uid", "٣", "environment", "\x1b[31m"]


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_known_words_in_any_order_are_read_or_refused(words: list[str]) -> None:
    with contextlib.suppress(ValueError):
        read("kind", "folder", *words)


@pytest.mark.parametrize(
    ("name", "conda"),
    [
        ("Miniconda3-py311_24.7.1-0-Linux-x86_64.sh", "24.7.1"),
        ("https://x/Miniforge3-24.3.0-0-Linux-{arch}.sh", "24.3.0"),
        ("Miniconda3-4.7.12-Linux-x86_64.sh", "4.7.12"),
        ("Miniconda3-latest-Linux-x86_64.sh", None),
        ("mine.sh", None),
    ],
)
def test_the_version_of_conda_in_an_installer_s_name(name: str, conda: str | None) -> None:
    assert conda_in_name(name) == conda


def test_a_version_is_looked_for_on_each_mirror_in_order() -> None:
    found = find_installer("py311_24.7.1-0", ["tuna", "http://files.lab/installers/", "official"])
    name = "Miniconda3-py311_24.7.1-0-Linux-{arch}.sh"
    assert found.urls == (
        f"https://mirrors.tuna.tsinghua.edu.cn/anaconda/miniconda/{name}",
        f"http://files.lab/installers/{name}",
        f"https://repo.anaconda.com/miniconda/{name}",
    )
    assert find_installer("latest", []).urls[0].endswith("Miniconda3-latest-Linux-{arch}.sh")
    assert find_installer("file:///srv/with%20space/x.sh", []).urls == ("file:///srv/with space/x.sh",)
    assert find_installer("files/mine.sh", []).file == "files/mine.sh"


def test_newer_is_by_number() -> None:
    assert is_newer("24.11.0", "24.7.1")
    assert not is_newer("24.7.1", "24.7.1")
