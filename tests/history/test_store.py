"""Snapshots, changes and findings, kept and read back: the same, once, and as of any time."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.history.blobs import Blobs
from fleetenv.history.database import open_database, transaction
from fleetenv.history.model import Kind
from fleetenv.history.parts import put_snapshot
from fleetenv.history.snapshots import Snapshots
from fleetenv.severity import Severity
from fleetenv.web.pages.host import HOST
from tests.history.books import BEGUN, Book


def nlp(numpy="1.26.4", driver="550.54"):
    return {"facts": {"driver": driver}, "environments": {"nlp": {"packages": {"numpy": numpy, "torch": "2.4"}}}}


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(snapshot=st.dictionaries(st.text(), plain, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_snapshot_is_read_back_as_it_was(tmp_path_factory, snapshot):
    connection = open_database(tmp_path_factory.getbasetemp() / "roundtrips.db")
    with transaction(connection):
        number = put_snapshot(connection, Blobs(connection), snapshot)
        assert put_snapshot(connection, Blobs(connection), snapshot) == number
    assert Snapshots(connection)._snapshot(number) == snapshot
    connection.close()


def test_hostile_texts_are_kept_escaped_and_bounded(book):
    hostile = {"facts": {"a\0b": "nul \0", "lone \udc80": "x\udcff", "huge": 2**70, "deep": {"x": "\udc80" * 9000}}}
    book.day(0, {"gpu01": hostile})
    facts = book.history.snapshots.latest()["gpu01"].snapshot["facts"]
    assert facts["a\0b"] == "nul \0"
    assert facts["lone \\udc80"] == "x\\udcff"
    assert facts["huge"] == hex(2**70)
    assert len(facts["deep"]["x"]) < 30_000


def test_what_hosts_and_days_share_is_kept_once(book):
    for day in range(10):
        book.day(day, {f"gpu{n:02}": nlp() for n in range(20)})
    assert book.connection.execute("SELECT count(*) FROM snapshot").fetchone() == (1,)


def numpy(found):
    """Return the version of numpy by host."""
    return {host: each.snapshot["environments"]["nlp"]["packages"]["numpy"] for host, each in found.items()}


def test_each_hosts_snapshot_as_of_now_of_a_run_and_of_a_time(book):
    book.day(0, {"gpu01": nlp("1.0"), "gpu02": nlp("1.0")})
    book.day(1, {"gpu01": nlp("1.1")})
    book.day(2, {"gpu01": nlp("1.2")})
    snapshots = book.history.snapshots
    assert numpy(snapshots.latest()) == {"gpu01": "1.2", "gpu02": "1.0"}
    assert numpy(snapshots.latest(["gpu02"])) == {"gpu02": "1.0"}
    assert numpy(snapshots.at(BEGUN + timedelta(days=1, hours=1))) == {"gpu01": "1.1", "gpu02": "1.0"}
    assert numpy(snapshots.of_run(2)) == {"gpu01": "1.1"}
    assert [each.run for each in snapshots.of_host("gpu01")] == [1, 2, 3]


def test_a_change_is_dated_by_the_run_that_saw_it_first_and_explained_by_an_apply(book):
    book.day(0, {"gpu01": nlp("1.0", "470")})
    book.day(1, {"gpu01": nlp("1.0", "550")})
    book.day(2, {"gpu01": None}, kind=Kind.APPLY, changed=1)
    book.day(3, {"gpu01": nlp("1.2", "550")})
    book.day(4, {"gpu01": nlp("1.2", "550")})
    (host,) = book.history.changes.since(1)
    assert [
        (each.change.path[-1], each.change.before, each.change.after, each.run, each.applied) for each in host.changes
    ] == [
        ("numpy", "1.0", "1.2", 4, 3),
        ("driver", "470", "550", 2, None),
    ]
    assert not book.history.changes.since(4)[0].changes
    found = book.history.changes.findings(BEGUN, {"gpu01": nlp("1.2", "560")}, run=6, now=BEGUN + timedelta(days=5))
    assert [(each.subject, each.severity, each.first_seen) for each in found] == [
        ("environments: nlp: packages: numpy", Severity.NOTE, BEGUN + timedelta(days=3)),
        ("facts: driver", Severity.WARNING, BEGUN + timedelta(days=5)),
    ]
    then = f"{BEGUN.astimezone():%Y-%m-%d %H:%M}"
    assert found[0].text == f"was 1.0 on {then} (run 1), is 1.2; run 3 (apply) changed this host before that was seen"
    assert (found[0].advice, found[1].text) == ("fleetenv show 3 gpu01", f"was 470 on {then} (run 1), is 560")


def test_a_look_with_another_playbook_says_nothing_of_a_playbooks_tasks(book):
    def greeting(content):
        return {"gpu01": {"facts": {}, "tasks": {"Greet": {"content": content}}}}

    book.day(0, greeting("edited"))
    book.day(1, {"gpu01": None}, kind=Kind.APPLY, changed=1)
    book.day(2, greeting("welcome"))
    book.day(3, {"gpu01": {"facts": {}, "tasks": {"Other": {"mode": "0644"}}}}, playbook="other.yml")
    book.day(4, greeting("welcome"))
    (host,) = book.history.changes.since(1)
    assert [(each.change.path[1], each.run, each.applied) for each in host.changes] == [("Greet", 3, 2)]
    assert book.history.changes.since(4)[0].changes == ()
    assert [each.changes[0].path[1] for each in HOST.read(book.history, HOST.query(host="gpu01")).steps] == ["Greet"]


def test_hosts_without_an_earlier_look_are_named(book):
    book.day(0, {"gpu01": nlp("1.0", "470")})
    new = {host: nlp("1.0", "470") for host in ("gpu01", "gpu02")}
    (found,) = book.history.changes.findings(1, new, run=2, now=BEGUN)
    assert (found.host, found.code, found.severity) == ("gpu02", "not-compared", Severity.NOTE)


def test_what_changed_as_a_whole_is_one_finding(book):
    packages = {f"package{n}": str(n) for n in range(300)}
    book.day(0, {"gpu01": {"environments": {"nlp": {"packages": packages}, "old": {"packages": packages}}}})
    new = {"environments": {"nlp": {"packages": dict.fromkeys(packages, "9")}}}
    rebuilt, gone = book.history.changes.findings(1, {"gpu01": new}, run=2, now=BEGUN)
    assert (rebuilt.subject, gone.subject) == ("environments: nlp", "environments: old")
    assert "299 values are not as on" in rebuilt.text
    assert "packages: package0 0 -> 9" in rebuilt.text
    assert gone.text.startswith("was there on")
    assert gone.text.endswith("is gone")


def test_changes_are_told_in_words(book):
    then = f"on {BEGUN.astimezone():%Y-%m-%d %H:%M} (run 1)"
    built = {"generation": "0001-a", "generations": ["0001-a"]}
    old = {
        "environments": {"nlp": built},
        "miniconda": {"/opt/miniconda3": {"conda": "24.7"}},
        "tasks": {"Greet": {"content": "a" * 64}},
    }
    book.day(0, {"gpu01": old})
    new = {
        "environments": {"nlp": {"generation": "0002-b", "generations": ["0001-a", "0002-b"]}, "own": {"pip": {}}},
        "miniconda": {"/opt/miniconda3": {"conda": "24.7", "writable": ["/opt", "/opt/miniconda3"]}},
        "tasks": {"Greet": {"content": "b" * 64}},
    }
    found = book.history.changes.findings(1, {"gpu01": new}, run=2, now=BEGUN)
    assert {each.subject: each.text for each in found} == {
        "environments: nlp: generation": f"was 0001-a {then}, is 0002-b",
        "environments: own": f"was not there {then}, and is now",
        "miniconda: /opt/miniconda3: writable": f"was not there {then}, is /opt, /opt/miniconda3",
        "tasks: Greet: content": f"was sha256 aaaaaaaaaaaa {then}, is sha256 bbbbbbbbbbbb",
    }


def test_a_host_whose_texts_are_no_utf8_does_not_change_by_being_kept(book):
    hostile = {"facts": {"name": "x\udcff", "huge": 2**70}, "environments": {"nlp": {"channel": "\ud800"}}}
    book.day(0, {"gpu01": hostile})
    assert book.history.changes.findings(1, {"gpu01": hostile}, run=2, now=BEGUN) == []


def test_too_much_is_not_kept(book):
    book.day(0, {"gpu01": {"facts": {f"{n}": "x" * 9000 for n in range(9000)}, "kernels": {"a": 1}}})
    facts = book.history.snapshots.latest()["gpu01"].snapshot["facts"]
    assert "too much to be kept" in str(facts)
    assert book.file.stat().st_size < 1_000_000


def test_a_finding_dates_from_the_first_look_that_had_it_without_a_break(book):
    numpy, base = ("gpu01", "package", "nlp: numpy"), ("gpu01", "base", "pip")
    book.day(0, {"gpu01": None}, findings=[numpy])
    book.day(1, {"gpu01": None}, findings=[numpy, base])
    assert book.history.findings.first_seen([numpy, base, ("gpu02", "x", "y")]) == {
        numpy: BEGUN,
        base: BEGUN + timedelta(days=1),
    }
    book.day(2, {"gpu01": None}, findings=[], tags=("conda",))  # did not look at everything
    book.day(3, {"gpu01": None}, findings=[], lost=["gpu01"])  # could not look
    book.day(4, {"gpu01": None}, findings=[], playbook="other.yml")  # looked at other things
    book.day(4, {"gpu01": None}, findings=[], early=["gpu01"])  # a task failed: the rest was not come to
    book.day(4, {"gpu01": None}, findings=[], only=("care",))  # compared with other things
    assert book.history.findings.first_seen([numpy])[numpy] == BEGUN
    book.day(5, {"gpu01": None}, findings=[base])
    assert book.history.findings.first_seen([numpy]) == {}
    book.day(6, {"gpu01": None}, findings=[numpy, base])
    assert book.history.findings.first_seen([numpy])[numpy] == BEGUN + timedelta(days=6)
    assert {each.finding.identity for each in book.history.findings.open()} == {numpy, base}
    assert [each.first_seen for each in book.history.findings.of_run(2)] == [BEGUN, BEGUN + timedelta(days=1)]
    assert [(each.subject, each.gone) for each in book.history.findings.of_host("gpu01")][-1] == (
        "nlp: numpy",
        BEGUN + timedelta(days=5),
    )
    assert [each.tally.warnings for each in book.history.series.runs()] == [1, 2, 0, 0, 0, 0, 0, 1, 2]


def test_open_findings_are_of_the_last_look_at_everything(book):
    old, new, pip = ("gpu01", "a", "old"), ("gpu01", "a", "new"), ("gpu02", "b", "pip")
    book.day(0, {"gpu01": None}, findings=[old])
    book.day(1, {"gpu01": None}, findings=[new])
    book.day(2, {"gpu01": None, "gpu02": None}, findings=[pip], tags=("conda",))
    book.day(3, {"gpu01": None}, kind=Kind.APPLY)
    assert [(each.run, each.finding.identity) for each in book.history.findings.open()] == [(2, new), (3, pip)]
    assert book.history.findings.open(["gpu02"], playbook="other.yml") == []


@given(values=st.lists(st.sampled_from(["a", "b", None]), min_size=2, max_size=7), data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_change_is_dated_by_where_its_last_value_began(tmp_path_factory, values, data):
    since = data.draw(st.integers(1, len(values) - 1))
    book = Book(tmp_path_factory.mktemp("dated") / "history.db")
    for day, value in enumerate(values):
        book.day(day, {"gpu01": {"facts": {"steady": 1} | ({} if value is None else {"driver": value})}})
    (host,) = book.history.changes.since(since)
    points = book.history.series.value("gpu01", ("facts", "driver"))
    book.connection.close()
    began = max(day for day in range(len(values)) if day == 0 or values[day] != values[day - 1])
    expected = [(values[since - 1], values[-1], began + 1)] if values[since - 1] != values[-1] else []
    assert [(each.change.before, each.change.after, each.run) for each in host.changes] == expected
    assert (points[-1].run, points[-1].value) == (began + 1, values[-1])
