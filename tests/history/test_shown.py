"""`fleetenv history` and `fleetenv show`, as users see them."""

import json
import os
import re
import subprocess
from contextlib import suppress
from datetime import timedelta

import pytest

from fleetenv.errors import Location
from fleetenv.events import Status, TaskRef
from fleetenv.history.errand import Errand, Kind, Origin
from fleetenv.history.outcome import HostOutcome, HostRun, RunOutcome, Standing, StoredDifference, StoredResult
from fleetenv.history.record import enter_run, finish_run
from tests.history.books import ADVICE, BEGUN, Book, finding

TASK = TaskRef("gpu servers", "Greet", "copy", Location("roles/motd/tasks/main.yml", 4, 3), "motd")
ESCAPE = "\x1b]0;owned\x07"


@pytest.fixture
def shown(fleetenv_cli):
    """A history of three runs, the last one at work; returns the command line."""
    book = Book(fleetenv_cli.home / ".local/state/fleetenv/history.db")
    book.day(0, {"gpu01": {}, "gpu02": {}}, kind=Kind.APPLY, changed=1, playbook="fleet/playbooks/site.yml")
    errand = Errand(
        kind=Kind.DRIFT,
        playbook=Origin("playbooks/site.yml", "fleet/playbooks/site.yml", "c0ffee" * 6 + "cafe", True),
        inventory=(Origin("inventories/lab", "fleet/inventories/lab", "c0ffee" * 6 + "cafe", False), Origin("gpu09,")),
        command=("drift", "playbooks/site.yml", "-i", "inventories/lab", "-l", "gpu0*"),
        user="anna",
        controller="ops1",
    )
    number = enter_run(book.connection, errand, BEGUN + timedelta(days=1))
    differences = (StoredDifference("mode", "0644", f"0777{ESCAPE}"), StoredDifference("owner", None, ["a", True]))
    result = StoredResult(0, Status.CHANGED, "motd", f"two\nlines{ESCAPE}", differences, False)
    hosts = [
        HostOutcome(
            visit=HostRun(run=0, host="gpu01", standing=Standing.CHANGED, ok=1, changed=1, groups=("a100", "lab")),
            tasks=(TASK,),
            results=(result,),
            findings=[finding("gpu01", "drift", f"Greet{ESCAPE}")],
        ),
        HostOutcome(visit=HostRun(run=0, host="gpu02", standing=Standing.LOST, lost=f"timed out{ESCAPE}")),
    ]
    finished = BEGUN + timedelta(days=1, seconds=7)
    finish_run(book.connection, number, RunOutcome(finished=finished, seconds=7.0, exit_status=4, hosts=hosts))
    book.enter(2, kind=Kind.APPLY)
    yield fleetenv_cli
    book.connection.close()


def lines(done):
    assert done.status == 0, done.stderr
    assert "\x1b" not in done.stdout
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_runs_are_listed_the_newest_first(shown):
    def day(number):
        return f"{(BEGUN + timedelta(days=number)).astimezone():%Y-%m-%d %H:%M}"

    assert lines(shown("history")) == [
        "RUN STARTED KIND PLAYBOOK HOSTS OUTCOME TOOK BY",
        f"3 {day(2)} apply site.yml - running - @",
        f"2 {day(1)} drift fleet/playbooks/site.yml 2 1 lost, 1 differ, 1 finding 7.0 s anna@ops1",
        f"1 {day(0)} apply fleet/playbooks/site.yml 2 2 changed 1.0 s @",
    ]


def test_a_run_is_shown_with_its_hosts_and_findings(shown):
    text = lines(shown("show", "last-1"))
    assert text[0] == "run 2 drift of fleet/playbooks/site.yml"
    assert text[2:6] == [
        "command fleetenv drift playbooks/site.yml -i inventories/lab -l 'gpu0*'",
        "playbook commit c0ffeec0ffee, with changes on top",
        "inventory inventories/lab: commit c0ffeec0ffee",
        "inventory gpu09,: not in git",
    ]
    assert "ended 1 lost, 1 differ, 1 finding (exit status 4)" in text
    assert "gpu01 ok=1 changed=1 unreachable=0 failed=0 skipped=0" in text
    assert text[text.index("lost") :][:3] == ["lost", "gpu02", r"timed out\x1b]0;owned\x07"]
    assert f"-> {ADVICE}" in text  # in one line, to be copied
    seen = (BEGUN + timedelta(days=1)).astimezone()
    assert rf"warning gpu01 Greet\x1b]0;owned\x07 [drift] since {seen:%Y-%m-%d}" in text


def test_what_a_run_was_is_told_in_full_on_a_narrow_terminal(shown, monkeypatch):
    terminal, program = os.openpty()
    monkeypatch.setenv("COLUMNS", "50")
    process = shown.start("show", "2", stdout=program)
    os.close(program)
    told = b""
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while more := os.read(terminal, 10_000):
            told += more
    os.close(terminal)
    assert process.wait(60) == 0
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", told.decode()).split())
    assert "command fleetenv drift playbooks/site.yml -i inventories/lab -l 'gpu0*' playbook commit" in text


def test_a_host_of_a_run_is_shown_task_by_task(shown):
    assert lines(shown("show", "2", "gpu01"))[1:8] == [
        "in groups a100, lab",
        "changed motd : Greet (motd) roles/motd/tasks/main.yml:4",
        "two",
        r"lines\x1b]0;owned\x07",
        "wanted found",
        r"mode 0644 0777\x1b]0;owned\x07",
        "owner (none) a, yes",
    ]
    assert f"-> {ADVICE}" in lines(shown("show", "2", "gpu01"))


def test_json_says_it_all(shown):
    runs = json.loads(shown("history", "gpu0*", "--kind", "drift", "--json").stdout)
    assert (runs["format"], runs["version"], [run["run"] for run in runs["runs"]]) == ("fleetenv.history", 1, [2])
    assert runs["runs"][0]["hosts"] == {"all": 2, "lost": 1, "failed": 0, "changed": 1, "same": 0}
    run = json.loads(shown("show", "2", "--json").stdout)
    assert run["run"] == runs["runs"][0]
    assert run["hosts"]["gpu01"]["groups"] == ["a100", "lab"]
    assert run["findings"][0]["first_seen"] == (BEGUN + timedelta(days=1)).astimezone().isoformat()
    host = json.loads(shown("show", "2", "gpu01", "--json").stdout)
    assert (host["host"]["name"], host["run"]) == ("gpu01", run["run"])
    assert host["tasks"][0]["differences"][1] == {"key": "owner", "wanted": None, "found": ["a", True]}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["show", "99"], "there is no run 99; 'fleetenv history' lists them"),
        (["show", "1", "gpu1"], "run 1 did not go to 'gpu1'; did you mean 'gpu01'?"),
        (["history", "gpux"], "no host matches 'gpux'; did you mean 'gpu02'?"),
        (["history", "--since", "yesterday"], "'yesterday' is neither a run nor a date"),
        (["history", "--since", "2999-01-01"], "2999-01-01 lies in the future"),
        (["history", "--kind", "look"], "choose from 'apply', 'check', 'drift', 'plan'"),
        (["history", "--prune", "0d"], "'0d' is neither a number of runs nor of days"),
        (["history", "--history", "none.db"], "there is no history yet at none.db"),
    ],
)
def test_what_cannot_be_is_said(shown, words, why):
    done = shown(*words)
    assert done.status == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_playbook_outside_of_git_is_named_as_one_would_type_it(fleetenv_cli, tmp_path):
    book = Book(tmp_path / "history.db")
    book.day(0, {"gpu01": {}}, playbook=str(tmp_path / "lab/playbooks/site.yml"))
    book.connection.close()
    (tmp_path / "lab").mkdir()
    words = ("--history", book.file)
    assert "run 1 drift of playbooks/site.yml" in lines(fleetenv_cli("show", "1", *words, cwd=tmp_path / "lab"))
    assert f"run 1 drift of {tmp_path}/lab/playbooks/site.yml" in lines(fleetenv_cli("show", "1", *words))


def test_a_reader_that_goes_away_is_no_fault_of_the_history(shown):
    reader, writer = os.pipe()
    os.close(reader)
    process = shown.start("show", "2", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert process.communicate(timeout=60)[1] == ""
