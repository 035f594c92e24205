"""What pages are made of, as pure functions: snapshots side by side, variants, plots, texts, slices."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fleetenv.drift.finding import Against, Finding, Waiver
from fleetenv.drift.snapshot import leaves
from fleetenv.severity import Severity
from fleetenv.web.contents import gpus_of, packages_of, things_of
from fleetenv.web.counters import counters
from fleetenv.web.fleet import Mark, mark_of
from fleetenv.web.page import cut
from fleetenv.web.plot import HEIGHT, WIDTH, plot
from fleetenv.web.render import line, plain_text, text
from fleetenv.web.sides import side_by_side
from fleetenv.web.variants import rows_of, spreads_of, variants_of

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
SNAPSHOTS = st.dictionaries(st.sampled_from(["facts", "gpus", "environments"]), PLAIN, max_size=3)


@given(SNAPSHOTS, SNAPSHOTS)
def test_side_by_side_every_value_of_both_is_told_once(left, right):
    sides = list(side_by_side(left, right))
    assert len({each.path for each in sides}) == len(sides)
    common = left.keys() & right.keys()
    for has, value, snapshot in (("left_has", "left", left), ("right_has", "right", right)):
        told = {each.path: getattr(each, value) for each in sides if getattr(each, has)}
        there = {path: leaf for path, leaf in leaves(snapshot) if path and path[0] in common}
        assert all(there[path] == leaf for path, leaf in told.items())
        assert {path for path, leaf in there.items() if leaf != {}} <= told.keys()
    assert all(each.is_same for each in side_by_side(left, left))


@given(st.dictionaries(st.text(max_size=3), st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), min_size=1))
def test_variants_part_the_hosts_and_the_commonest_comes_first(values):
    variants = variants_of(values)
    assert sorted(host for each in variants for host in each.hosts) == sorted(values)
    assert all(values[host] == each.values for each in variants for host in each.hosts)
    sizes = [len(each.hosts) for each in variants]
    assert sizes == sorted(sizes, reverse=True)
    assert any(len(spread.shares) > 1 for spread in spreads_of(variants)) == (len(variants) > 1)
    for row, spread in zip(rows_of(variants), spreads_of(variants), strict=True):
        assert {share.value for share in spread.shares} == set(row.values)
        assert sorted(host for share in spread.shares for host in share.hosts) == sorted(values)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e9, 1e9)), min_size=1, max_size=50), st.booleans())
def test_plots_stay_in_their_box(points, steps):
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    series = sorted((begun + timedelta(seconds=seconds), value) for seconds, value in points)
    drawn = plot("x", series, begun, steps=steps)
    for pair in drawn.area.split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert (drawn.lowest, drawn.highest) == (min(v for _, v in series), max(v for _, v in series))


def test_a_long_history_makes_no_long_plot():
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    drawn = plot("x", [(begun + timedelta(hours=n), float(n)) for n in range(100_000)], begun)
    assert drawn.line.count(",") < 1000
    assert drawn.latest == 99_999
    assert plot("x", [], begun) is None


@given(PLAIN)
def test_any_value_of_a_host_can_be_shown_in_a_line(value):
    shown = plain_text(value)
    assert shown.isprintable()
    assert len(shown) < 4000
    things_of(value)
    packages_of(value)
    counters(gpus_of({"gpus": value}).devices)


def test_texts_are_cut_and_nothing_in_them_steers():
    assert line("a\nb\t\x1b[2J\u202e") == r"a\nb\t\x1b[2J\u202e"
    assert text("a\nb\r\x1b") == "a\nb\\r\\x1b"
    assert line("x" * 301) == "x" * 300 + " … (the first 300 of 301 characters)"


def test_gpus_stand_in_the_order_of_their_numbers():
    devices = {str(n): {"uncorrected": n} for n in (10, 2, 0)} | {"odd": "no mapping"}
    gpus = gpus_of({"gpus": {"driver": "550.54.15", "devices": devices}})
    assert [each.index for each in gpus.devices] == ["0", "2", "10", "odd"]
    assert gpus.host == {"driver": "550.54.15"}
    assert counters(gpus.devices) == {"uncorrected ECC errors": 12}


def test_pips_packages_are_told_from_condas():
    assert packages_of({"packages": {"numpy": "1"}, "pip": {"torch": "2"}}) == {"numpy": "1", "pip: torch": "2"}


def test_a_waiver_counts_up_to_its_last_day():
    today = date(2026, 11, 21)
    finding = Finding(
        code="drift", host="gpu01", subject="x", against=Against.PLAYBOOK, severity=Severity.WARNING,
        text="", advice="", waiver=Waiver(reason="", until=today),
    )  # fmt: skip
    assert mark_of(finding, today) is Mark.WAIVED
    assert mark_of(finding, today + timedelta(days=1)) is Mark.WARNING


def test_a_page_behind_the_end_is_the_last_one():
    rows, part = cut(list(range(25)), 9, 10)
    assert (rows, part.number, part.pages, part.first, part.last) == ([20, 21, 22, 23, 24], 3, 3, 21, 25)
    assert cut([], 1, 10)[1].last == 0
