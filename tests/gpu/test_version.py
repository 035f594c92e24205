import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.gpu.version import parse_wish

VERSIONS = st.lists(st.integers(0, 999), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


def takes(wish: str, version: str) -> bool:
    return all(clause.takes(version) for clause in parse_wish(wish))


@pytest.mark.parametrize(
    ("wish", "version", "right"),
    [
        ("550", "550.54.15", True),
        ("550", "555.42.02", False),
        ("550.54.15", "550.54.15", True),
        (">=535,<560", "550.54.15", True),
        (">=535,<560", "560.28.03", False),
        (" >= 535 , < 560 ", "535.0", True),
        ("==550.54", "550.54.15", False),
        ("==550.54", "550.54.0", True),
        ("!=550.54.15", "550.54.15", False),
        (">550", "550.0.0", False),
        ("<=550.54.15", "550.54.15", True),
    ],
)
def test_what_a_wish_takes(wish, version, right):
    assert takes(wish, version) is right


@pytest.mark.parametrize("wish", ["", ">=", ">=535,", "~=535", ">=535 <560", "latest", "550.*"])
def test_what_is_no_wish_is_refused(wish):
    with pytest.raises(ValueError, match="is neither a version"):
        parse_wish(wish)


@given(VERSIONS, VERSIONS)
def test_bounds_part_all_versions_in_two(bound, version):
    assert takes(f">={bound}", version) != takes(f"<{bound}", version)
    assert takes(f">{bound}", version) != takes(f"<={bound}", version)
    assert takes(f"=={bound}", version) != takes(f"!={bound}", version)
