"""What a host offers, against what packages need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rattler import Version, VersionSpec

from fleetenv.conda.environment import parse
from fleetenv.conda.lock import CondaPackage
from fleetenv.conda.virtual import fits, unmet, virtual_packages
from fleetenv.remote import Completed


def package(depends: tuple[str, ...] = (), constrains: tuple[str, ...] = ()) -> CondaPackage:
    return CondaPackage(
        "pytorch", "2.5", "0", "conda-forge", "https://x/linux-64/p.conda", "0" * 64, depends, constrains
    )


def test_virtual_packages_of_a_host() -> None:
    assert virtual_packages("x86_64", "6.1.0-18-amd64", "glibc 2.36", "12.4") == {
        "__unix": "0", "__archspec": "1", "__linux": "6.1.0", "__glibc": "2.36", "__cuda": "12.4",
    }  # fmt: skip
    assert "__glibc" not in virtual_packages("x86_64", "6.1", "", None)  # musl


@pytest.mark.parametrize(
    ("version", "spec", "answer"),
    [
        ("12.4", ">=12.4", True),
        ("11.4", ">=12.4", False),
        ("2.36", ">=2.17,<3.0.a0", True),
        ("2.9", ">=2.17", False),
        ("12", "12.*", True),
        ("6.1.0", "", True),
        ("1", "1 x86_64_v3", True),
    ],
)
def test_fits(version: str, spec: str, answer: bool) -> None:
    assert fits(version, spec) is answer


NUMBERS = st.lists(st.integers(0, 20), min_size=1, max_size=4).map(lambda numbers: ".".join(map(str, numbers)))
BOUNDS = st.tuples(st.sampled_from([">=", "<"]), NUMBERS, st.sampled_from(["", ".a0", "a0"])).map("".join)


@given(NUMBERS, st.lists(BOUNDS, min_size=1, max_size=2).map(",".join))
def test_usual_bounds_mean_what_conda_means_by_them(version: str, spec: str) -> None:
    assert fits(version, spec) is VersionSpec(spec).matches(Version(version))


def test_a_dependency_must_be_there_and_a_constraint_must_fit_if_it_is() -> None:
    needs = package(("__cuda >=12.4", "numpy >=2"), ("__glibc >=2.28",))
    assert [(each.name, each.wanted, each.offered) for each in unmet([needs], {"__glibc": "2.17"})] == [
        ("__cuda", ">=12.4", None),
        ("__glibc", ">=2.28", "2.17"),
    ]
    assert unmet([needs], {"__cuda": "12.8"}) == ()


@given(st.binary(max_size=400) | st.text(alphabet='environment |a/\n:" ,urlsha256{}', max_size=300).map(str.encode))
def test_any_answer_of_a_host_is_survived(answer: bytes) -> None:
    subject = b"/opt/miniconda3|nlp_train||-|-"
    found = parse(Completed(0, b"system 6.1 x86_64\nenvironment " + subject + b"\n" + answer))
    assert found[subject.decode()].kernel == "6.1"
