"""What people and programs get to read."""

import io
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace
from rich.console import Console

from fleetenv.drift.report import DriftReport
from fleetenv.drift.survey import drift_report
from fleetenv.events import Status, TaskFinished
from fleetenv.report.difference import unified_diff, value_text
from fleetenv.report.drift.document import drift_json
from fleetenv.report.drift.html import drift_html
from fleetenv.report.drift.junit import drift_junit
from fleetenv.report.drift.markdown import drift_markdown
from fleetenv.report.drift.terminal import print_drift
from fleetenv.report.hosts import fold_hosts
from fleetenv.state import Content, Difference

from .fleets import CONDARC, driver, env, four_hosts, healthy, hostile, many_hosts, run
from .looks import every_kind, finding, large_fleet, many_kinds, with_findings

FOUR = drift_report(four_hosts())
MANY = drift_report(many_hosts(400))
HOSTILE = drift_report(hostile())


def text(report: DriftReport, *, encoding: str = "utf-8", colour: bool = False, width: int = 80) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    print_drift(
        report, Console(file=stream, width=width, force_terminal=colour, color_system="standard" if colour else None)
    )
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


# Text


def test_text_names_hosts_tasks_and_what_differs():
    shown = text(FOUR)
    assert "! gpu04\n  could not be looked at: connect to 10.0.0.4 port 22: Connection refused" in shown
    assert "driver 470.82.01 is older than 535.104; upgrade it and reboot" in shown
    assert re.search(r"packages.numpy +1.26.4 +1.26.3", shown)
    assert re.search(r"packages.pytorch +2.4.1 +\(none\)", shown)
    assert "    -- defaults\n    +- conda-forge\n" in shown
    assert "as the playbook says: gpu01" in shown
    assert "2 of 4 hosts differ from the playbook, 1 could not be looked at; 4 findings" in shown


def test_text_fits_80_columns_and_ends_no_line_in_blanks():
    for report in (FOUR, MANY):
        for line in text(report).splitlines():
            assert len(line) <= 80 or line.startswith("    → ")  # a command is to be copied, whole
            assert line == line.rstrip()


def test_text_tells_the_worst_first_since_when_and_what_does_not_count():
    shown = text(every_kind())
    assert re.findall(r"(?m)^\S (gpu\d\d)$", shown) == ["gpu04", "gpu03", "gpu01", "gpu02"]
    assert re.findall(r"(?m)^  (\S) ", shown[: shown.index("\n≠ gpu01")]) == ["✗", "✗", "≠", "≠"]
    assert (
        "  ≠ nlp_train: numpy  [pip-over-conda]  since 2026-05-02 (19 days)\n"
        "    pip put numpy 1.26.3 over conda's 1.26.4\n"
        "    → fleetenv apply playbooks/site.yml -i inventories/lab -l gpu01 -t conda\n"
    ) in shown
    assert "Worth knowing\n  · gpu01, gpu02  facts: kernel: 5.15.0-105 became 5.15.0-107  [changed]  new\n" in shown
    assert "~ waived: 1 finding on gpu02: RMA 4711 is under way (until 2026-06-30)\n" in shown
    assert "8 findings, 2 notes" in shown.replace("\n", " ")


def test_findings_in_ever_other_combinations_are_told_one_by_one():
    shown = text(many_kinds(400))
    assert len(shown.splitlines()) < 110
    assert [shown.count(f"environment old_{kind}  ") for kind in range(7)] == [1] * 7
    assert "fleetenv clean gpu005 --environments  (and so for 79 others)" in shown
    assert "-l gpu040,gpu080,gpu120" in shown


def test_what_eight_gpus_of_a_host_have_is_told_once():
    clean = drift_report(run(["gpu01", "gpu02"], *healthy("gpu01", "gpu02")))
    ecc = [finding("gpu01", "gpu-ecc-uncorrected", f"GPU {index}", "4 errors", "drain it") for index in range(8)]
    report = with_findings(clean, *ecc, finding("gpu02", "gpu-ecc-uncorrected", "GPU 3", "4 errors", "drain it"))
    shown = text(report)
    assert shown.count("4 errors") == 2
    assert "≠ gpu01\n  ≠ GPU [0:7]  [gpu-ecc-uncorrected]\n" in shown
    assert "≠ gpu02\n  ≠ GPU 3  [gpu-ecc-uncorrected]\n" in shown
    assert "9 findings" in shown.replace("\n", " ")
    assert drift_markdown(report).count("4 errors") == 2
    page = drift_html(report)
    assert page.count("<b>GPU [0:7]</b> <span>gpu-ecc-uncorrected</span> <span>gpu01</span>") == 1


def test_four_hundred_hosts_fit_a_screen():
    shown = text(MANY)
    assert len(shown.splitlines()) < 60
    assert "gpu009, gpu018" in shown
    assert "(43 hosts)" in shown
    assert "as the playbook says: 343 hosts" in shown


def test_text_needs_neither_colours_nor_unicode():
    assert "\x1b[" not in text(FOUR)
    assert "\x1b[" in text(FOUR, colour=True)
    assert text(FOUR, encoding="ascii").isascii()


def test_a_clean_fleet_is_told_in_two_lines():
    shown = text(drift_report(run(["gpu01", "gpu02"], *healthy("gpu01", "gpu02"))))
    assert shown.splitlines() == [
        "✓ as the playbook says: gpu01, gpu02",
        "0 of 2 hosts differ from the playbook; 0 findings in 12.3 s, nothing was changed",
    ]


def test_one_host_differs_and_several_differ():
    def told(*hosts):
        return text(drift_report(run(hosts, *(env(host, numpy="1.26.3") for host in hosts))))

    assert "1 of 1 host differs from" in told("gpu01")
    assert "2 of 2 hosts differ from" in told("gpu01", "gpu02")


def test_terminals_are_safe_from_hosts():
    shown = text(HOSTILE)
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "\\x1b[2J" in shown


def test_an_outlier_is_named_and_the_majority_counted():
    shown = text(drift_report(run("abc", driver("a"), driver("b"), driver("c", "470.82.01"))))
    assert re.search(r"535.104.05 +2 hosts\n", shown)
    assert re.search(r"470.82.01 +1 host +c\n", shown)


# JSON


def test_json_is_complete_and_versioned():
    document = json.loads(drift_json(replace(FOUR, taken=datetime(2026, 1, 5, 10, 0, tzinfo=UTC))))
    assert (document["format"], document["version"]) == ("fleetenv.drift", 1)
    assert document["taken"] == "2026-01-05T10:00:00+00:00"
    assert document["summary"] == {
        "hosts": 4,
        "findings": 4,
        "simulated": 0,
        "unreachable": 1,
        "failed": 1,
        "drift": 1,
        "ignored": 0,
        "same": 1,
        "skipped": 0,
        "errors": 2,
        "warnings": 2,
        "notes": 0,
        "waived": 0,
    }
    assert document["items"][2] == {
        "id": 2,
        "play": "gpu servers",
        "role": "conda_envs",
        "task": "Create environments",
        "module": "conda_env",
        "item": "nlp_train",
        "file": "playbooks/site.yml",
        "line": 30,
        "column": 5,
    }
    assert document["hosts"]["gpu03"]["items"][2]["differences"] == [
        {"key": "packages.numpy", "wanted": "1.26.4", "found": "1.26.3"},
        {"key": "packages.pytorch", "wanted": "2.4.1", "found": None},
        {"key": "packages.scipy", "wanted": None, "found": "1.14.0"},
    ]
    assert "-- defaults" in document["hosts"]["gpu02"]["items"][1]["differences"][0]["diff"]
    assert document["hosts"]["gpu04"] == {
        "verdict": "unreachable",
        "lost": "connect to 10.0.0.4 port 22: Connection refused",
        "items": [],
    }
    assert document["uneven"][0]["values"] == [
        {"value": "535.104.05", "hosts": ["gpu01", "gpu02"]},
        {"value": "470.82.01", "hosts": ["gpu03"]},
    ]


def test_json_holds_what_a_hostile_host_wrote_and_harms_nobody():
    document = drift_json(HOSTILE)
    assert document.isascii()
    assert all(char.isprintable() or char == "\n" for char in document)
    assert json.loads(document)["hosts"]["gpu01"]["items"][0]["msg"].startswith("\x1b[2J")


# HTML


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("report", [FOUR, MANY, HOSTILE], ids=["four", "many", "hostile"])
def test_the_page_fetches_nothing_and_runs_only_its_own_script(report):
    page = Page(drift_html(report))
    names = [tag for tag, _ in page.tags]
    assert names.count("script") == 1
    assert not {"img", "link", "iframe", "object", "form", "base"} & set(names)
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert (attributes.get("href") or "#").startswith("#")
        assert "src" not in attributes
    (policy,) = (each["content"] for tag, each in page.tags if each.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.parametrize("report", [FOUR, MANY, HOSTILE], ids=["four", "many", "hostile"])
def test_every_link_of_the_page_leads_somewhere(report):
    page = Page(drift_html(report))
    places = [each["id"] for _, each in page.tags if "id" in each]
    assert len(places) == len(set(places))
    assert {str(each["href"])[1:] for _, each in page.tags if "href" in each} <= set(places)


def test_every_mark_of_the_matrix_has_a_symbol_beside_its_colour():
    page = drift_html(FOUR)
    matrix = page[page.index('<table id="matrix"') : page.index("</table>")]
    cells = re.findall(r'<td class="(\w+)"[^>]*>(.*?)</td>', matrix)
    assert [kind for kind, _ in cells if kind != "rest"] == [
        *("same", "same", "same"),
        *("same", "warning", "same"),
        *("error", "same", "warning"),
    ]
    symbols = {"same": "✓", "warning": "≠", "error": "✗"}
    assert all(symbols[kind] == inner for kind, inner in cells if kind != "rest")


def test_the_page_of_500_hosts_and_60_tasks_is_small():
    page = drift_html(large_fleet(500, 60))
    assert len(page) < 2_500_000
    assert page.count("<tr ") == 500


def test_the_page_shows_what_differs():
    words = Page(drift_html(FOUR)).words
    for expected in ("packages.pytorch", "(none)", "+- conda-forge", "Connection refused", "470.82.01"):
        assert expected in words


def test_many_hosts_without_findings_are_hidden_at_first():
    assert '<input id="findings-only" type="checkbox" checked>' in drift_html(MANY)
    assert '<input id="findings-only" type="checkbox">' in drift_html(FOUR)


def test_the_page_has_no_control_characters():
    assert all(char.isprintable() or char == "\n" for char in drift_html(HOSTILE))


def test_simulated_hardware_is_called_so_in_every_report():
    report = drift_report(
        run("ab", driver("a", simulated=True), replace(driver("b", "1.0", simulated=True), status=Status.FAILED))
    )
    assert "the GPUs of 2 hosts are simulated" in text(report)
    assert '"simulated": true' in drift_json(report)
    assert "the GPUs of 2 hosts are simulated" in Page(drift_html(report)).words
    assert "The GPUs of 2 hosts are simulated." in drift_markdown(report)
    assert "simulated" in drift_junit(report)


# JUnit and Markdown


@pytest.mark.parametrize("report", [FOUR, MANY, HOSTILE], ids=["four", "many", "hostile"])
def test_junit_counts_are_right(report):
    root = ElementTree.fromstring(drift_junit(report))
    assert root.tag == "testsuites"
    assert len(root.findall("testsuite")) == len(report.hosts)
    for place in (root, *root):
        assert int(place.get("tests", "")) == len(list(place.iter("testcase")))
        assert int(place.get("failures", "")) == len(list(place.iter("failure")))
        assert int(place.get("errors", "")) == len(list(place.iter("error")))


def test_junit_has_a_testcase_a_host_and_task():
    root = ElementTree.fromstring(drift_junit(FOUR))
    case = root.find("testsuite[@name='gpu03']/testcase[@name='conda_envs : Create environments (nlp_train)']")
    assert case is not None
    assert (case.get("classname"), case.get("file"), case.get("line")) == ("gpu03", "playbooks/site.yml", "30")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "warning"
    assert str(failure.get("message")).startswith("packages.numpy: wanted 1.26.4, found 1.26.3; packages.pytorch: ")
    assert "packages.pytorch: wanted 2.4.1, found (none)" in str(failure.text)
    error = root.find("testsuite[@name='gpu04']/testcase/error")
    assert error is not None
    assert error.get("message") == "could not be looked at: connect to 10.0.0.4 port 22: Connection refused"


def test_markdown_is_a_table_of_findings():
    shown = drift_markdown(FOUR)
    assert "4 hosts: **2 differ** from the playbook, 1 could not be looked at" in shown
    assert (
        "| warning | gpu02 | condarc : Write .condarc | `content differs` | `fleetenv apply playbooks/site.yml" in shown
    )
    assert "| `packages.pytorch` | `2.4.1` | `(none)` |" in shown
    assert "```diff\n--- found\n+++ wanted" in shown


def test_markdown_says_each_finding_once_with_all_its_hosts():
    shown = drift_markdown(MANY)
    assert len(shown) < 4000
    assert shown.count("packages.numpy") == 1
    assert re.search(r"\| gpu009, gpu018, .*gpu360.* \| conda", shown)


def test_markdown_cells_cannot_be_broken_out_of():
    shown = drift_markdown(HOSTILE)
    assert all(char.isprintable() or char == "\n" for char in shown)
    rows = [line for line in shown.splitlines() if line.startswith(("| w", "| **"))]
    assert len(rows) == 5
    assert all(len(re.split(r"(?<!\\)\|", row)) == 7 for row in rows)
    assert not re.search(r"(?m)^<(?!/?details>)", shown)


# Values


def test_values_are_shown_on_one_short_line():
    assert value_text(None) == "(none)"
    assert value_text(True) == "yes"
    assert value_text("") == '""'
    assert value_text(("a", 1)) == "a, 1"
    assert value_text(Content("ab" * 32)) == "sha256 abababababab"
    assert value_text("x" * 1000) == "x" * 297 + "..."
    assert value_text("a\nb") == "a\\nb"


def test_a_file_that_is_not_there_is_shown_as_wholly_new():
    assert unified_diff(Difference("content", Content("a", b"one\n"), None)) == [
        "--- found",
        "+++ wanted",
        "@@ -0,0 +1 @@",
        "+one",
    ]


def test_a_missing_newline_is_a_difference_that_one_can_see():
    lines = unified_diff(Difference("content", Content("a", b"one\n"), Content("b", b"one")))
    assert lines is not None
    assert lines[-2:] == ["-one (no newline at the end)", "+one"]


@pytest.mark.parametrize("data", [None, b"\xff\xfe", b"\n" * 5000])
def test_what_is_not_text_is_not_shown_line_by_line(data):
    assert unified_diff(Difference("content", Content("a", b"one\n"), Content("b", data))) is None


def test_long_lines_are_cut():
    lines = unified_diff(Difference("content", Content("a", b"x" * 1_000_000 + b"\n"), None))
    assert lines is not None
    assert max(len(line) for line in lines) == 300


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["gpu01"], "gpu01"),
        (["gpu01", "gpu02"], "gpu01, gpu02"),
        (["gpu03", "gpu01", "gpu02"], "gpu[01:03]"),
        (["gpu09", "gpu10", "gpu11"], "gpu[09:11]"),
        (["gpu9", "gpu10", "gpu11"], "gpu[9:11]"),
        (["a1.lab", "a2.lab", "a3.lab", "login"], "a[1:3].lab, login"),
        (["gpu1", "gpu02", "gpu3"], "gpu1, gpu02, gpu3"),
        ([], ""),
    ],
)
def test_host_names_fold_into_the_inventorys_ranges(names, folded):
    assert fold_hosts(names) == folded


def test_a_secret_tasks_report_says_only_that_it_differs():
    report = drift_report(run(["gpu01"], TaskFinished("gpu01", CONDARC, Status.CHANGED)))
    for shown in (text(report), Page(drift_html(report)).words):
        assert "how is not told (no_log, or an action)" in shown
