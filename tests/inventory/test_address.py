"""Ranges and ports in host names, beside Ansible's own code."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.utils.addresses import parse_address
from ansible.plugins.inventory import expand_hostname_range
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.inventory.address import expand, is_host_or_range, short_name, split_port


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("gpu[01:03]", ["gpu01", "gpu02", "gpu03"]),
        ("gpu[8:11]", ["gpu8", "gpu9", "gpu10", "gpu11"]),
        ("gpu[:2]", ["gpu0", "gpu1", "gpu2"]),
        ("gpu[0:9:4].lab", ["gpu0.lab", "gpu4.lab", "gpu8.lab"]),
        ("[a:c]-rack", ["a-rack", "b-rack", "c-rack"]),
        ("r[1:2]n[a:b]", ["r1na", "r1nb", "r2na", "r2nb"]),
        ("plain", ["plain"]),
    ],
)
def test_ranges_stand_for_their_names(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("gpu[1:", "no closing bracket"),
        ("gpu[1]", r"\[first:last\]"),
        ("gpu[1:]", r"\[first:last\]"),
        ("gpu[1:2:3:4]", r"\[first:last\]"),
        ("gpu[01:100]", "equally long"),
        ("gpu[c:a]", "begins after its end"),
        ("gpu[9:1]", "begins after its end"),
        ("gpu[a:9]", "number to number"),
        ("gpu[ab:cd]", "number to number"),
        ("gpu[1:9:0]", "step"),
    ],
)
def test_malformed_ranges_are_explained(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        expand(pattern)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("gpu01:2222", ("gpu01", 2222)),
        ("gpu[01:16]:2222", ("gpu[01:16]", 2222)),
        ("192.0.2.7:22", ("192.0.2.7", 22)),
        ("[2001:db8::1]:22", ("2001:db8::1", 22)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("fe80::[1:f]", ("fe80::[1:f]", None)),
        ("gpu01", ("gpu01", None)),
        ("-odd-:22", ("-odd-:22", None)),
    ],
)
def test_ports(text: str, address: tuple[str, int | None]) -> None:
    assert split_port(text) == address


@pytest.mark.parametrize(
    ("name", "short"), [("gpu01.lab.example", "gpu01"), ("gpu01", "gpu01"), ("192.0.2.7", "192.0.2.7"), ("::1", "::1")]
)
def test_short_name_of_an_address_is_the_address(name: str, short: str) -> None:
    assert short_name(name) == short


bounds = st.one_of(
    st.tuples(st.integers(8, 30), st.integers(8, 30)).map(lambda pair: f"{min(pair)}:{max(pair)}"),
    st.tuples(st.integers(95, 120), st.integers(95, 120)).map(lambda pair: f"{min(pair):03}:{max(pair):03}"),
    st.tuples(st.sampled_from("abcxyzABC"), st.sampled_from("abcxyzABC")).map(":".join),
)
ranges = st.tuples(bounds, st.sampled_from(["", ":1", ":2", ":7"])).map(lambda parts: f"[{parts[0]}{parts[1]}]")
pieces = st.one_of(ranges, st.sampled_from(["gpu", "-", ".lab", "0", "_n"]))


@settings(deadline=None)
@given(st.lists(pieces, min_size=1, max_size=3).map("".join))
def test_ranges_agree_with_ansible(pattern: str) -> None:
    try:
        theirs = expand_hostname_range(pattern) if "[" in pattern else [pattern]
    except AnsibleError:
        theirs = None
    try:
        ours = expand(pattern)
    except ValueError:
        ours = None
    assert ours == theirs


@given(st.text("ab09_-.:[]\u00e4", max_size=12))
def test_what_is_a_host_or_range_agrees_with_ansible(text: str) -> None:
    try:
        host, port = parse_address(text, allow_ranges=True)
    except AnsibleError:
        assert not is_host_or_range(split_port(text)[0])
    else:
        assert split_port(text) == (host, port)
        assert is_host_or_range(host)
