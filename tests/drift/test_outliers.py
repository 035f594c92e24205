"""Hosts compared with each other, group by group."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from fleetenv.drift.outliers import fleet_findings
from fleetenv.drift.snapshot import Snapshot


def driver(version: str, model: str = "A100") -> Snapshot:
    return {"gpus": {"count": 1, "driver": version, "devices": {"0": {"model": model}}}}


def env(**packages: str) -> Snapshot:
    return {"environments": {"nlp": {"packages": {**packages}, "pip": {}}}}


def odd(
    snapshots: Mapping[str, Snapshot],
    groups: Mapping[str, tuple[str, ...]] | None = None,
    settled: Mapping[str, frozenset[str]] | None = None,
) -> dict[tuple[str, str], str]:
    found = list(fleet_findings(snapshots, {"all": tuple(snapshots), **(groups or {})}, settled or {}))
    assert len({(each.host, each.subject) for each in found}) == len(found)
    assert not any(each.is_drift for each in found)
    return {(each.host, each.subject): each.text for each in found}


def test_the_odd_one_out_is_named_with_what_most_have():
    hosts = {"a": driver("550"), "b": driver("550"), "c": driver("470")}
    assert odd(hosts) == {("c", "gpus: driver"): "driver is 470, on 2 of 3 hosts it is 550"}


def test_of_two_hosts_nobody_knows_which_is_odd():
    assert odd({"a": driver("550"), "b": driver("470")}) == {}


def test_without_a_majority_there_is_no_outlier():
    assert odd({"a": driver("1"), "b": driver("2"), "c": driver("3"), "d": driver("3")}) == {}


def test_a_smaller_group_explains_what_a_larger_one_finds_odd():
    old = {f"v{number}": driver("470", "V100") for number in range(3)}
    hosts = {**{f"a{number}": driver("550") for number in range(9)}, **old}
    assert {host for host, _ in odd(hosts)} == set(old)
    assert odd(hosts, {"v100": tuple(old)}) == {}
    hosts["v2"] = driver("550", "V100")
    found = odd(hosts, {"v100": tuple(old)})
    assert found == {("v2", "gpus: driver"): "driver is 550, on 2 of 3 hosts of v100 it is 470"}


def test_a_host_in_several_groups_has_one_finding_for_a_subject():
    hosts = {name: driver("550") for name in "abcd"} | {"e": driver("470")}
    groups = {"rack1": tuple("abe"), "rack2": tuple("cde"), "all": tuple("abcde")}
    assert odd(hosts, groups) == {("e", "gpus: driver"): "driver is 470, on 2 of 3 hosts of rack1 it is 550"}


def test_packages_of_one_environment_are_one_finding():
    wrong = {f"p{number}": "2" for number in range(8)}
    right = dict.fromkeys(wrong, "1")
    found = odd({"a": env(**right), "b": env(**right), "c": env(**wrong)})
    (((host, subject), text),) = found.items()
    assert (host, subject) == ("c", "environments: nlp")
    assert text.startswith("p0 is 2, on 2 of 3 hosts it is 1; p1 is 2, ")
    assert text.endswith("; and 3 more")


def test_a_package_that_is_not_there_is_another_value():
    found = odd({"a": env(x="1"), "b": env(x="1"), "c": env(y="1")})
    assert found[("c", "environments: nlp")] == (
        "x is none, on 2 of 3 hosts it is 1; y is 1, on 2 of 3 hosts it is none"
    )


def test_what_the_playbook_settles_is_not_compared():
    hosts = {"a": env(x="1"), "b": env(x="1"), "c": env(x="2")}
    assert odd(hosts, settled=dict.fromkeys(hosts, frozenset({"nlp"}))) == {}


def test_hosts_without_gpus_are_no_outliers_among_those_with():
    hosts: dict[str, Snapshot] = {"a": driver("1"), "b": driver("1"), "c": {"gpus": {"count": 0, "devices": {}}}}
    assert odd(hosts) == {}


@given(st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from(["1", "2", "3"]), min_size=1))
def test_at_most_a_minority_is_odd(drivers):
    found = odd({host: driver(version) for host, version in drivers.items()})
    assert 2 * len(found) < max(len(drivers), 1)
    for host, _ in found:
        assert sum(version == drivers[host] for version in drivers.values()) * 2 < len(drivers)
