"""From a run's events to what is reported of it."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.drift.report import DriftReport, Verdict
from fleetenv.drift.survey import drift_report
from fleetenv.errors import Location
from fleetenv.events import HostLost, PlayStarted, RunStarted, Status, TaskFinished, TaskRef
from fleetenv.state import Content, compare

from .fleets import (
    CONDARC,
    DRIVER,
    EDITED,
    ENV,
    RESTART,
    EnvState,
    FileState,
    condarc,
    driver,
    env,
    failed,
    four_hosts,
    healthy,
    many_hosts,
    run,
    task,
)


def verdicts(report: DriftReport) -> dict[str, str]:
    return {host.name: str(host.verdict) for host in report.hosts}


def differences(report: DriftReport, host: str) -> dict[str, tuple[object, object]]:
    (chosen,) = (each for each in report.hosts if each.name == host)
    return {d.key: (d.wanted, d.found) for _, cell in chosen.findings for d in cell.differences}


def uneven(report: DriftReport) -> dict[str, Mapping[object, tuple[str, ...]]]:
    return {each.key: dict(each.values) for each in report.uneven}


def test_undamaged_hosts_have_no_finding():
    report = drift_report(run(["gpu01", "gpu02"], *healthy("gpu01", "gpu02")))
    assert verdicts(report) == {"gpu01": "same", "gpu02": "same"}
    assert report.findings == ()
    assert report.uneven == ()
    assert report.exit_status == 0


def test_exactly_the_damage_is_found():
    report = drift_report(four_hosts())
    assert verdicts(report) == {"gpu01": "same", "gpu02": "drift", "gpu03": "failed", "gpu04": "unreachable"}
    assert list(differences(report, "gpu02")) == ["content"]
    assert differences(report, "gpu03") == {
        "driver": (">= 535.104", "470.82.01"),
        "packages.numpy": ("1.26.4", "1.26.3"),
        "packages.pytorch": ("2.4.1", None),
        "packages.scipy": (None, "1.14.0"),
    }
    assert len(report.drifting) == 4


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (driver("gpu01"), 0),
        (env("gpu01", numpy=None), 2),
        (failed("gpu01", DRIVER, "no GPU"), 2),
        (HostLost("gpu01", "timed out"), 4),
        (TaskFinished("gpu01", DRIVER, Status.UNREACHABLE, "timed out"), 4),
        (TaskFinished("gpu01", DRIVER, Status.CHANGED), 2),
        (TaskFinished("gpu01", DRIVER, Status.SKIPPED), 0),
        (TaskFinished("gpu01", DRIVER, Status.IGNORED, "no GPU"), 0),
        (TaskFinished("gpu01", RESTART, Status.CHANGED), 0),
    ],
)
def test_the_exit_status_says_what_was_found(event, status):
    assert drift_report(run(["gpu01"], event)).exit_status == status


def test_a_host_that_could_not_be_looked_at_weighs_more_than_drift():
    assert drift_report(four_hosts()).exit_status == 4


def test_a_run_that_was_ended_is_no_clean_bill():
    assert drift_report(run(["gpu01"], *healthy("gpu01"), interrupted=True)).exit_status == 130


def test_a_failure_that_is_ignored_still_shows_its_differences():
    event = env("gpu01", numpy="1")
    ignored = TaskFinished("gpu01", ENV, Status.IGNORED, "no", diff=event.diff, found=event.found)
    assert drift_report(run(["gpu01"], ignored)).exit_status == 2


def test_nothing_of_a_secret_task_is_kept():
    report = drift_report(run(["gpu01"], TaskFinished("gpu01", CONDARC, Status.CHANGED)))
    (cell,) = report.hosts[0].cells.values()
    assert (cell.verdict, cell.differences, cell.msg) == (Verdict.DRIFT, (), "")


def test_items_stand_in_the_playbooks_order_however_hosts_interleave():
    first, second, third = (task(name, "command", line) for name, line in (("a", 1), ("b", 2), ("c", 3)))
    ok = [
        TaskFinished("gpu01", first, Status.OK),
        TaskFinished("gpu01", third, Status.OK),
        TaskFinished("gpu02", first, Status.OK),
        TaskFinished("gpu02", second, Status.OK),
        TaskFinished("gpu02", third, Status.OK),
    ]
    report = drift_report(run(["gpu01", "gpu02"], *ok))
    assert [item.title for item in report.items] == ["a", "b", "c"]
    assert [item.number for item in report.items] == [0, 1, 2]


def test_items_of_a_later_play_come_later_also_for_hosts_that_it_alone_has():
    first, second = (TaskRef(play, "a", "command", Location("site.yml", 1, 1)) for play in ("first", "second"))
    events = [
        PlayStarted("first", ("gpu01",)),
        TaskFinished("gpu01", first, Status.OK),
        PlayStarted("second", ("gpu02",)),
        TaskFinished("gpu02", second, Status.OK),
    ]
    assert [item.task.play for item in drift_report(events).items] == ["first", "second"]


def test_a_task_named_by_a_variable_is_one_item():
    events = [TaskFinished(host, task(f"Prepare {host}", "command", 7), Status.OK) for host in ("gpu01", "gpu02")]
    assert len(drift_report(run(["gpu01", "gpu02"], *events)).items) == 1


def test_each_item_of_a_loop_is_its_own():
    events = [TaskFinished("gpu01", ENV, Status.OK, item=item) for item in ("nlp", "vision", "vision")]
    assert [item.title for item in drift_report(run(["gpu01"], *events)).items] == [
        "Create environments (nlp)",
        "Create environments (vision)",
        "Create environments (vision)",
    ]


def test_a_host_without_any_event_was_not_compared():
    report = drift_report([RunStarted("site.yml", ("gpu01",), check_mode=True)])
    assert verdicts(report) == {"gpu01": "skipped"}


def test_the_odd_driver_out_is_named():
    report = drift_report(run("abc", driver("a"), driver("b"), driver("c", "470.82.01")))
    assert uneven(report) == {"driver": {"535.104.05": ("a", "b"), "470.82.01": ("c",)}}
    assert report.uneven[0].has_majority
    assert not report.uneven[0].in_playbook
    assert report.exit_status == 0  # the playbook does not say which


def test_without_a_majority_nobody_is_the_outlier():
    report = drift_report(run("ab", driver("a"), driver("b", "470.82.01")))
    assert not report.uneven[0].has_majority


def test_a_host_that_has_no_driver_is_no_outlier():
    assert drift_report(run("ab", driver("a"), driver("b", None))).uneven == ()


def test_packages_are_compared_one_by_one():
    report = drift_report(run("abc", env("a"), env("b", numpy="1.26.3"), env("c", scipy="1.14.0")))
    assert uneven(report) == {
        "packages.numpy": {"1.26.4": ("a", "c"), "1.26.3": ("b",)},
        "packages.scipy": {None: ("a", "b"), "1.14.0": ("c",)},
    }
    assert all(each.in_playbook for each in report.uneven)


def test_what_is_each_hosts_own_is_never_an_outlier():
    report = drift_report(run("ab", env("a"), env("b")))  # generations differ
    assert report.uneven == ()


def test_hosts_that_should_differ_are_not_compared():
    def on(host: str, **packages: str) -> TaskFinished:
        state = EnvState(packages=packages)
        return TaskFinished(host, ENV, Status.OK, diff=compare(state, state), found=state)

    report = drift_report(run("ab", on("a", torch="2.4.1", numpy="1"), on("b", torch="1.13.1", jax="1", numpy="1")))
    assert report.uneven == ()


def test_simulated_hardware_is_called_so_everywhere():
    report = drift_report(run("ab", driver("a", simulated=True), driver("b", "1.2", simulated=True)))
    assert all(cell.simulated for host in report.hosts for cell in host.cells.values())
    assert report.uneven[0].simulated


def test_four_hundred_hosts_keep_their_own_findings():
    report = drift_report(many_hosts(400))
    assert report.counts == {Verdict.SAME: 343, Verdict.DRIFT: 53, Verdict.UNREACHABLE: 4}
    assert list(differences(report, "gpu360")) == ["content", "packages.numpy"]


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]), st.dictionaries(st.text(max_size=3), st.text(max_size=2)), min_size=1
    )
)
def test_every_value_of_every_host_is_accounted_for(packages):
    events = [
        TaskFinished(host, ENV, Status.OK, found=EnvState(packages=versions)) for host, versions in packages.items()
    ]
    report = drift_report(run(list(packages), *events))
    for each in report.uneven:
        name = each.key.removeprefix("packages.")
        assert {host: value for value, hosts in each.values for host in hosts} == {
            host: versions.get(name) for host, versions in packages.items()
        }
    even = {name for versions in packages.values() for name in versions} - {
        each.key.removeprefix("packages.") for each in report.uneven
    }
    assert all(len({versions.get(name) for versions in packages.values()}) == 1 for name in even)


def test_file_contents_are_compared_by_hash():
    same = FileState(content=Content("b" * 64))
    event = TaskFinished("a", CONDARC, Status.OK, diff=compare(same, FileState(content=EDITED)), found=same)
    assert drift_report(run("a", event)).findings == ()
    assert len(drift_report(run("a", condarc("a", EDITED))).drifting) == 1


def test_of_a_thing_that_is_not_there_its_absence_is_told_and_what_it_would_hold():
    wanted = FileState(content=EDITED, mode="0644")
    report = drift_report(run("a", TaskFinished("a", CONDARC, Status.CHANGED, diff=compare(wanted, None))))
    (cell,) = report.hosts[0].cells.values()
    assert [each.key for each in cell.differences] == ["state", "content", "mode"]
    assert [each.key for each in cell.essential] == ["state", "content"]


def test_of_a_changed_thing_everything_is_told():
    (_, cell), *_ = drift_report(run("a", env("a", numpy="1"))).hosts[0].findings
    assert cell.essential == cell.differences


def test_each_finding_says_what_is_wrong_how_bad_it_is_and_what_mends_it():
    report = drift_report(four_hosts())
    assert [(each.host, each.code, each.subject, str(each.severity)) for each in report.findings] == [
        ("gpu02", "drift", "condarc : Write .condarc", "warning"),
        ("gpu03", "failed", "gpu_driver : Verify the driver", "error"),
        ("gpu03", "drift", "conda_envs : Create environments (nlp_train)", "warning"),
        ("gpu04", "unreachable", "connection", "error"),
    ]
    edited, _, packages, lost = report.findings
    assert edited.text == "content differs"
    assert edited.advice == "fleetenv apply playbooks/site.yml -l gpu02"
    assert packages.text.startswith("packages.numpy: wanted 1.26.4, found 1.26.3; packages.pytorch: wanted 2.4.1, ")
    assert (lost.text, lost.advice.rpartition(": ")[2]) == (
        "could not be looked at: connect to 10.0.0.4 port 22: Connection refused",
        "fleetenv ping gpu04",
    )


def test_the_odd_host_out_has_a_note_which_is_no_drift():
    (finding,) = drift_report(run("abc", driver("a"), driver("b"), driver("c", "470.82.01"))).findings
    assert (finding.host, finding.code, finding.subject) == ("c", "outlier", "Verify the driver: driver")
    assert finding.text == "has 470.82.01, 2 others have 535.104.05"
    assert not finding.is_drift


def test_two_tasks_of_one_name_are_two_subjects():
    events = [
        TaskFinished("a", task("Write", "copy", line), Status.CHANGED, diff=condarc("a", EDITED).diff)
        for line in (1, 9)
    ]
    assert [each.subject for each in drift_report(run("a", *events)).findings] == ["Write", "Write #2"]
