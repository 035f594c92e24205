"""Runs of the command line, as the history tells of them afterwards."""

import signal
import subprocess
from pathlib import Path

import pytest

from fleetenv.errors import Location
from fleetenv.events import Status
from fleetenv.history.database import HistoryError
from fleetenv.history.model import Kind, RunState, Standing
from fleetenv.history.storable import storable_text
from fleetenv.history.store import open_history
from fleetenv.source import SourceText

PLAYBOOK = r"""
- name: gpu servers
  hosts: all
  gather_facts: false
  tasks:
    - name: Greet
      copy: {dest: "{{ lab_root }}/motd", content: "welcome\n", mode: "0644"}
    - name: Keep the token
      copy: {dest: "{{ lab_root }}/token", content: "{{ token }}\n", mode: "0600"}
      no_log: true
    - name: Look
      command: "true"
"""


@pytest.fixture
def site(tmp_path):
    playbook = tmp_path / "site.yml"
    playbook.write_text(PLAYBOOK)
    return playbook


@pytest.fixture
def read(fleetenv_cli):
    """Reads the default history of the command line's user."""
    return lambda: open_history(fleetenv_cli.home / ".local/state/fleetenv/history.db")


def test_apply_and_drift_are_recorded_host_by_host_and_task_by_task(embedded_fleet, fleetenv_cli, site, read):
    fleet = embedded_fleet(2)
    words = (site, "-i", fleet.inventory, "-e", "token=hunter2")
    assert fleetenv_cli("apply", *words).status == 0
    Path(fleet["gpu01"].variables["lab_root"], "motd").write_text("hacked\n")
    assert fleetenv_cli("drift", *words).status == 2

    with read() as history:
        drift, apply = history.runs.find()
        assert (apply.number, apply.errand.kind, apply.state, apply.exit_status) == (
            1,
            Kind.APPLY,
            RunState.FINISHED,
            0,
        )
        assert (drift.number, drift.errand.kind, drift.state, drift.exit_status) == (
            2,
            Kind.DRIFT,
            RunState.FINISHED,
            2,
        )
        assert apply.errand.playbook.path == str(site)
        assert (apply.tally.hosts, apply.tally.changed, drift.tally.changed, drift.tally.same) == (2, 2, 1, 1)
        assert {each.host: each.standing for each in history.runs.hosts(2)} == {
            "gpu01": Standing.CHANGED,
            "gpu02": Standing.SAME,
        }
        greet, token, look = history.runs.results(2, "gpu01")
        assert (greet.task.name, greet.status, greet.task.location.line) == ("Greet", Status.CHANGED, 6)
        assert [each.key for each in greet.differences] == ["content"]
        assert (token.status, token.msg, token.differences) == (Status.OK, "", ())
        assert look.status is Status.SKIPPED


def test_no_secret_is_in_the_file(embedded_fleet, fleetenv_cli, site, read):
    fleet = embedded_fleet(1)
    for words in (
        ["-e", "token=hunter2"],
        ["-etoken=hunter2"],
        ["--extra-vars=token=hunter2"],
        ["-bCe", "token=hunter2"],
    ):
        fleetenv_cli("apply", site, "-i", fleet.inventory, *words)
    with read() as history:
        assert [run.errand.command[4:] for run in history.runs.find()] == [
            ("-bCe", "..."),
            ("--extra-vars=...",),
            ("-e...",),
            ("-e", "..."),
        ]
        assert b"hunter2" not in history.file.read_bytes()
        assert history.file.stat().st_mode & 0o777 == 0o600


def test_no_history_leaves_no_file(embedded_fleet, fleetenv_cli, site, read):
    fleet = embedded_fleet(1)
    assert fleetenv_cli("apply", site, "-i", fleet.inventory, "-e", "token=x", "--no-history").status == 0
    assert not list(fleetenv_cli.home.rglob("history.db"))


@pytest.mark.parametrize("damage", ["this is no database" * 100, None])
def test_a_history_that_cannot_be_used_is_a_warning_and_the_run_goes_on(
    embedded_fleet, fleetenv_cli, site, tmp_path, damage
):
    fleet = embedded_fleet(1)
    file = tmp_path / "history.db"
    if damage is None:
        file.mkdir()
    else:
        file.write_text(damage)
    done = fleetenv_cli("apply", site, "-i", fleet.inventory, "-e", "token=x", "--history", file)
    assert done.status == 0, done.stderr
    assert done.stderr.count("this run is not in the history") == 1, done.stderr
    assert "changed=3" in done.stdout


@pytest.mark.parametrize(
    ("ended_by", "state", "told"),
    [(signal.SIGKILL, RunState.DIED, "died before it ended"), (signal.SIGINT, RunState.INTERRUPTED, "interrupted")],
)
def test_a_run_that_was_ended_halfway_says_so(
    embedded_fleet, fleetenv_cli, tmp_path, read, eventually, ended_by, state, told
):
    fleet = embedded_fleet(1)
    begun = tmp_path / "begun"
    playbook = tmp_path / "long.yml"
    playbook.write_text(
        f"- hosts: all\n  gather_facts: false\n  tasks:\n    - shell: touch {begun} && exec sleep 600 >/dev/null\n"
    )
    process = fleetenv_cli.start("apply", playbook, "-i", fleet.inventory, stdout=subprocess.DEVNULL)
    eventually(lambda: begun.exists() and _is_entered(read))
    with read() as history:
        assert history.runs.find()[0].state is RunState.RUNNING
    process.send_signal(ended_by)
    process.wait(30)
    with read() as history:
        assert history.runs.find()[0].state is state
    assert told in fleetenv_cli("history").stdout


def _is_entered(read):
    try:
        with read() as history:
            return bool(history.runs.find())
    except HistoryError:
        return False


def test_a_message_that_stands_in_the_playbook_is_recorded_like_any():
    """Texts of a playbook know where they were written; that is nothing for a file."""
    assert storable_text(SourceText("hello", Location("site.yml", 1, 1))).__class__ is str
