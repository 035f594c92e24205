"""What holds for every form of the report: all findings are in it, and nothing in it harms whoever shows it."""

import json
import os
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.drift.survey import drift_report
from fleetenv.errors import InputError
from fleetenv.report.drift.forms import Form, form_of, rendered
from fleetenv.report.drift.outputs import Outputs

from .fleets import DRIVER, ENV, HOSTILE, PACKAGES, EnvState, failed, four_hosts, hostile, observed, run
from .looks import every_kind, hostile_findings

_NOBODY = 65534

HUGE = "x\x1b[2J<b>\u202e" * 100_000
BREAKS = (
    "]]>",
    "```",
    "</script><script>alert(3)</script>",
    "-->",
    "</details>",
    '"} 1\nfake{host="',
    "| a | b |",
    "{{ 7*7 }}",
)


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize(
    "report",
    [hostile_findings([HOSTILE]), hostile_findings(BREAKS), drift_report(hostile())],
    ids=["findings", "breaks", "cells"],
)
def test_what_a_hostile_host_wrote_harms_nobody(form, report):
    shown = rendered(report, form)
    assert [char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char != "\n"] == []
    shown.encode("utf-8")
    match form:
        case Form.JSON | Form.SARIF:
            json.loads(shown)
        case Form.JUNIT:
            root = ElementTree.fromstring(shown)
            assert {each.tag for each in root.iter()} <= {
                "testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out",
            }  # fmt: skip
        case Form.HTML:
            assert elements(shown).isdisjoint({"img", "iframe", "object", "form"})
            assert shown.count("<script") == 1
            assert "alert(3)</script>" not in shown
        case Form.PROMETHEUS:
            assert all(re.fullmatch(r'#.*|\w+\{(\w+="[^"\n]*",?)+\} [0-9.]+', line) for line in shown.splitlines())
        case Form.MARKDOWN:
            fences = 0
            for line in shown.splitlines():
                fences += line.startswith("```")
                assert (
                    line in ("<details>", "</details>") or not line.startswith("<") or line.startswith("<details><sum")
                )
            assert fences % 2 == 0


@pytest.mark.parametrize("form", list(Form))
def test_a_host_that_writes_megabytes_makes_no_large_report(form):
    assert len(rendered(hostile_findings([HUGE]), form)) < 1_000_000


@pytest.mark.parametrize("form", [form for form in Form if form is not Form.JSON])
def test_names_and_values_of_megabytes_make_no_large_report(form):
    found = EnvState(packages={f"{number}{HUGE}": HUGE for number in range(3)})
    events = [observed(host, ENV, EnvState(packages=PACKAGES), found, HUGE) for host in ("gpu01", "gpu02")]
    report = drift_report(run(["gpu01", "gpu02", "gpu03"], *events, failed("gpu03", DRIVER, HUGE)))
    assert len(rendered(report, form)) < 1_000_000


def test_a_fleet_in_flames_still_fits_a_screenful_or_two_and_an_issue():
    report = hostile_findings([f"{number} {'`|<' * 500}" for number in range(60)])
    assert len(rendered(report, Form.TEXT).splitlines()) < 260
    assert len(rendered(report, Form.MARKDOWN)) <= 60_000
    assert "more kinds" in rendered(report, Form.MARKDOWN)


@pytest.mark.parametrize("form", [form for form in Form if form is not Form.PROMETHEUS])
def test_every_finding_is_told_with_what_mends_it_and_what_is_simulated_or_waived(form):
    shown = rendered(every_kind(), form).replace("\\_", "_")
    for words in (
        "12 uncorrected ECC errors", "drain the host, and have GPU 3 replaced", "simulated", "RMA 4711",
        "nlp_train: numpy", "470.82.01 is older", "Connection refused", "fleetenv ping gpu04", "5.15.0-107",
    ):  # fmt: skip
        assert words in shown


@given(st.text(st.characters(), min_size=1, max_size=40))
@settings(max_examples=15, deadline=None)
def test_whatever_a_host_writes_every_form_stays_whole(text):
    report = hostile_findings([text])
    for form in Form:
        assert all(char.isprintable() or char in "\n\t" for char in rendered(report, form))
    assert len(json.loads(rendered(report, Form.JSON))["findings"]) == len(report.findings)
    assert len(json.loads(rendered(report, Form.SARIF))["runs"][0]["results"]) == len(report.findings)
    ElementTree.fromstring(rendered(report, Form.JUNIT))
    assert elements(rendered(report, Form.HTML)) == elements(rendered(hostile_findings(["x"]), Form.HTML))


def test_a_pipe_is_written_to_and_a_link_keeps_pointing(tmp_path):
    reading, writing = os.pipe()
    Outputs([Path(f"/dev/fd/{writing}")], Form.PROMETHEUS).write(drift_report(four_hosts()))
    assert os.read(reading, 100).startswith(b"# HELP fleetenv_drift_findings")
    os.close(writing)
    os.close(reading)
    (tmp_path / "latest.md").symlink_to("today.md")
    Outputs([tmp_path / "latest.md"]).write(drift_report(four_hosts()))
    assert (tmp_path / "latest.md").is_symlink()
    assert (tmp_path / "today.md").read_text().startswith("## Drift")


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that everybody can reach, and nobody but root can write into; root becomes another user meanwhile."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "drift.md").write_text("old")
        (folder / "drift.md").chmod(0o666)
        folder.chmod(0o555)
        rendered(drift_report(four_hosts()), Form.MARKDOWN)  # imports what only root may be able to read
        before = os.getresuid()
        if os.geteuid() == 0:
            os.setresuid(_NOBODY, _NOBODY, 0)
        try:
            yield folder
        finally:
            os.setresuid(*before)
            folder.chmod(0o755)


def test_a_file_in_a_folder_of_somebody_elses_is_written_in_place(shared_folder):
    Outputs([shared_folder / "drift.md"]).write(drift_report(four_hosts()))
    assert (shared_folder / "drift.md").read_text().startswith("## Drift")
    with pytest.raises(InputError, match="is not yours to write into"):
        Outputs([shared_folder / "other.md"])


def elements(page: str) -> set[str]:
    found: set[str] = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: found.add(tag)  # type: ignore[method-assign]
    parser.feed(page)
    return found


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("drift.html", Form.HTML),
        ("drift.json", Form.JSON),
        ("drift.md", Form.MARKDOWN),
        ("drift.xml", Form.JUNIT),
        ("drift.sarif", Form.SARIF),
        ("drift.sarif.json", Form.SARIF),
        ("drift.prom", Form.PROMETHEUS),
        ("drift.txt", Form.TEXT),
        ("drift", Form.TEXT),
    ],
)
def test_a_files_ending_says_the_form(name, form):
    assert form_of(Path(name)) is form


def test_one_look_makes_several_files(tmp_path, capsys):
    files = [tmp_path / "drift.json", tmp_path / "drift.sarif", tmp_path / "drift.txt"]
    Outputs(files).write(drift_report(four_hosts()))
    assert capsys.readouterr().out == "".join(f"{file}: 4 findings on 4 hosts\n" for file in files)
    assert json.loads(files[0].read_text())["format"] == "fleetenv.drift"
    assert json.loads(files[1].read_text())["version"] == "2.1.0"
    assert files[2].read_text().startswith("! gpu04")


def test_one_format_cannot_be_that_of_several_files(tmp_path):
    with pytest.raises(InputError, match="--format html is for one file, and -o names 2; their endings can say"):
        Outputs([tmp_path / "a", tmp_path / "b"], Form.HTML)


def test_a_file_is_replaced_whole_and_stays_readable_by_others(tmp_path):
    file = tmp_path / "drift.prom"
    file.write_text("old")
    file.chmod(0o640)
    before = file.stat().st_ino
    Outputs([file]).write(drift_report(four_hosts()))
    assert file.stat().st_ino != before  # whoever has the old one open reads it to its end
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["drift.prom"]
