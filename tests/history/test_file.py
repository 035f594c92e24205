"""The history's file: whose it is, what is refused, what outlives a kill, and two controllers at once."""

import multiprocessing
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta

import pytest

from fleetenv.errors import InputError
from fleetenv.history.database import HistoryError, open_database
from fleetenv.history.model import Kind, RunState
from fleetenv.history.place import default_file
from fleetenv.history.prune import prune_older, prune_to
from fleetenv.history.schema import MIGRATIONS, VERSION
from fleetenv.history.store import open_history
from tests.history.books import BEGUN, Book

WRITERS, RUNS = 2, 15


def test_only_its_owner_reads_it(tmp_path):
    umask = os.umask(0)
    try:
        open_database(tmp_path / "state" / "history.db").close()
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "state" / "history.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_it_lies_where_the_user_says_else_where_programs_keep_state(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_file({"FLEETENV_HISTORY": "~/h.db", "XDG_STATE_HOME": "/var"}) == tmp_path / "h.db"
    assert str(default_file({"XDG_STATE_HOME": "/var/state"})) == "/var/state/fleetenv/history.db"
    with pytest.raises(InputError, match=r"there is no home for ~nobody-here/h\.db"):
        default_file({"FLEETENV_HISTORY": "~nobody-here/h.db"})
    assert default_file({"XDG_STATE_HOME": "relative"}) == tmp_path / ".local/state/fleetenv/history.db"


def test_one_of_a_newer_fleetenv_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "history.db"
    connection = open_database(file)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(HistoryError, match=f"newer fleetenv .its format is {VERSION + 1}, .* up to {VERSION}"):
        open_database(file)
    assert file.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path):
    file = tmp_path / "cookies.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE cookie (name)")
    connection.close()
    with pytest.raises(HistoryError, match=r"another program's"):
        open_database(file)


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    book = Book(tmp_path / "history.db")
    book.day(0, {"gpu01": {"facts": {"a": 1}}})
    book.connection.close()
    broken = (*MIGRATIONS, "ALTER TABLE run ADD COLUMN mood TEXT;\nUPDATE run SET mood = 'fine';\nno SQL at all")
    monkeypatch.setattr("fleetenv.history.database.MIGRATIONS", broken)
    monkeypatch.setattr("fleetenv.history.database.VERSION", VERSION + 1)
    with pytest.raises(HistoryError, match="syntax error"):
        open_database(book.file)
    monkeypatch.setattr("fleetenv.history.database.MIGRATIONS", (*MIGRATIONS, broken[-1].rpartition(";")[0]))
    connection = open_database(book.file)
    assert connection.execute("SELECT mood FROM run").fetchall() == [("fine",)]
    connection.close()


@pytest.mark.parametrize("content", [b"", b"no database" * 200, None])
def test_a_damaged_file_is_said_clearly(tmp_path, content):
    book = Book(tmp_path / "history.db")
    book.day(0, {f"gpu{n:03}": {"facts": {"n": n}} for n in range(300)})
    book.connection.close()
    whole = book.file.read_bytes()
    if content == b"":  # an empty file is a new history
        book.file.write_bytes(b"")
        with open_history(book.file) as history:
            assert history.runs.find() == []
        return
    book.file.write_bytes(content or whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(HistoryError, match="damaged or no history"):
        _read_all(book.file)


def _read_all(file):
    with open_history(file) as history:
        history.runs.find()
        history.runs.hosts(1)


def test_two_controllers_at_once_lose_nothing(tmp_path):
    file = tmp_path / "history.db"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_runs, args=(file, name)) for name in "ab"[:WRITERS]]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
        assert each.exitcode == 0
    with open_history(file) as history:
        runs = history.runs.find(limit=1000)
        assert len(runs) == WRITERS * RUNS
        assert {run.state for run in runs} == {RunState.FINISHED}
        assert [len(history.snapshots.of_host(f"{name}-gpu01")) for name in "ab"] == [RUNS, RUNS]


def _write_runs(file, name):
    book = Book(file)
    for number in range(RUNS):
        book.day(number, {f"{name}-gpu01": {"facts": {"day": number}}, "shared": {"facts": {"day": number}}})


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.history.books import Book

book = Book(Path(sys.argv[1]))
book.day(0, {"gpu01": {"facts": {"a": 1}}})
if sys.argv[2] == "between":
    book.enter(1)
    os.kill(os.getpid(), signal.SIGKILL)
book.connection.execute("PRAGMA cache_size = 5")  # so that much is in the file before it is committed
book.connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
book.connection.execute("CREATE TEMP TRIGGER last AFTER UPDATE ON run BEGIN SELECT die(); END")
book.day(1, {f"gpu{n:03}": {"facts": {"n": str(n) * 3000}} for n in range(200)})
"""


@pytest.mark.parametrize("when", ["between", "while writing"])
def test_a_killed_run_is_one_that_died_and_the_file_is_whole(tmp_path, when):
    file = tmp_path / "history.db"
    done = subprocess.run([sys.executable, "-c", KILLED, file, when], stderr=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with open_history(file) as history:
        died, finished = history.runs.find()
        assert (died.state, finished.state) == (RunState.DIED, RunState.FINISHED)
        assert (died.finished, died.exit_status, history.runs.hosts(died.number)) == (None, None, [])
        assert history.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert list(history.snapshots.latest()) == ["gpu01"]


def test_a_full_disk_loses_only_the_run_that_found_it_full(book):
    book.day(0, {"gpu01": {"facts": {"a": 1}}})
    (pages,) = book.connection.execute("PRAGMA page_count").fetchone()
    book.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    noise = {f"gpu{n}": {"facts": {"noise": random.Random(n).randbytes(3000).hex()}} for n in range(20)}
    with pytest.raises(sqlite3.OperationalError, match="full"):
        book.day(1, noise)
    assert [run.state for run in book.history.runs.find()] == [RunState.RUNNING, RunState.FINISHED]
    book.connection.execute("PRAGMA max_page_count = 1000000")
    book.day(2, noise)
    assert len(book.history.snapshots.latest()) == 1 + len(noise)


def test_a_run_that_is_at_work_says_so(book):
    book.enter(0)
    assert [run.state for run in book.history.runs.find()] == [RunState.RUNNING]


def test_pruning_removes_runs_and_what_only_they_had(book):
    for day in range(10):
        book.day(
            day, {"gpu01": {"facts": {"day": day, "noise": str(day) * 100}}}, findings=[("gpu01", "a", f"day {day}")]
        )
    book.day(10, {"gpu02": {"facts": {"day": 0}}}, findings=[])

    def size(table):
        return book.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    parts = size("part")
    assert prune_older(book.connection, BEGUN + timedelta(days=4), BEGUN + timedelta(days=10)) == 4
    assert [run.number for run in book.history.runs.find()] == [11, 10, 9, 8, 7, 6, 5]
    assert (size("snapshot"), size("part"), size("streak")) == (7, parts - 4, 6)
    assert prune_to(book.connection, 1, BEGUN + timedelta(days=10)) == 6
    assert (size("snapshot"), size("host"), size("streak")) == (1, 1, 0)
    assert book.history.runs.known_hosts() == ["gpu02"]
    assert book.day(11, {"gpu01": {}}) == 12  # numbers are not used again


def test_a_run_at_work_is_not_pruned(book):
    number = book.enter(0)
    assert prune_to(book.connection, 0, BEGUN + timedelta(days=1)) == 0
    assert book.history.runs.get(number).state is RunState.RUNNING


def test_runs_are_named_by_number_from_the_end_and_by_their_start(book):
    for day in range(3):
        book.day(day, {"gpu01": {}})
    resolve = book.history.runs.resolve
    assert [resolve("2"), resolve("last"), resolve("last-1"), resolve("last", before=3)] == [2, 3, 2, 2]
    local = (BEGUN + timedelta(days=1)).astimezone()
    assert resolve(f"{local:%Y-%m-%d}") == resolve(f"{local:%Y-%m-%d %H:%M}") == 2
    for wrong, why in (
        ("9", "no run 9"),
        ("9" * 5000, "no run 9"),
        ("last-3", "does not go so far back"),
        ("2026-03", "3 runs started at 2026-03: 3, 2, 1"),
        ("1999-01-01", "no run started at"),
        ("yesterday", "no run 'yesterday'"),
    ):
        with pytest.raises(InputError, match=why):
            resolve(wrong)
    assert book.history.runs.since("last-2") == 1
    assert book.history.runs.since("2026-03-01") == BEGUN.astimezone().replace(hour=0)
    with pytest.raises(InputError, match="neither a run nor a date"):
        book.history.runs.since("yesterday")


def test_runs_are_found_by_host_kind_playbook_and_time(book):
    book.day(0, {"gpu01": {}, "gpu02": {}})
    book.day(1, {"gpu02": {}}, kind=Kind.APPLY)
    book.day(2, {"gpu01": {}}, playbook="other.yml")

    def numbers(**chosen):
        return [run.number for run in book.history.runs.find(**chosen)]

    assert numbers(hosts=["gpu01"]) == [3, 1]
    assert numbers(hosts=[]) == []
    assert numbers(kind=Kind.APPLY) == [2]
    assert numbers(playbook="site.yml") == [2, 1]
    assert numbers(since=2) == numbers(since=BEGUN + timedelta(hours=1)) == [3, 2]
    assert numbers(until=BEGUN + timedelta(hours=1)) == [1]
    assert numbers(limit=1, offset=1) == [2]
