"""Snapshots are equal, byte for byte, when nothing happened, and say exactly what did."""

from hypothesis import given
from hypothesis import strategies as st

from fleetenv.drift.snapshot import Change, changes, decode, digest, encode, leaves

names = st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
snapshots = st.dictionaries(names, values, max_size=4)


@given(snapshots)
def test_what_was_written_is_read_whatever_order_it_was_made_in(snapshot):
    turned = dict(reversed(snapshot.items()))
    assert decode(encode(snapshot)) == snapshot
    assert digest(encode(turned)) == digest(encode(snapshot))


@given(snapshots, snapshots)
def test_changes_tell_exactly_what_differs_in_common_sections(before, after):
    common = before.keys() & after.keys()
    found = list(changes(before, after))
    assert bool(found) == any(before[name] != after[name] for name in common)
    assert [(each.path, each.after, each.before) for each in changes(after, before)] == [
        (each.path, each.before, each.after) for each in found
    ]


def test_a_section_that_was_not_looked_at_is_no_change():
    assert list(changes({"facts": {"cpus": 4}, "gpus": {"0": "A100"}}, {"facts": {"cpus": 8}})) == [
        Change(("facts", "cpus"), 4, 8)
    ]


def test_leaves_are_all_that_is_no_mapping():
    assert list(leaves({"b": {"y": [1, 2]}, "a": {}})) == [(("a",), {}), (("b", "y"), [1, 2])]
