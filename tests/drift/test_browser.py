"""The page in a real Chromium: its script runs under its own policy, and does what it says, by keyboard, too."""

import pytest
from msgspec.structs import replace

from fleetenv.drift.survey import drift_report
from fleetenv.report.drift.html import drift_html
from tests.chromium import CHROMIUM, chromium

from .fleets import HOSTILE, hostile, run
from .looks import earlier_looks, every_kind, hostile_findings, large_fleet, many_kinds

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

ROWS = "[...document.querySelectorAll('#matrix tbody tr')].filter(row => !row.hidden).map(row => row.cells[0].id)"
FOCUS = "document.activeElement.id"
TOLD = "document.getElementById('dialog-body').innerText"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def show(browser, tmp_path):
    """Open a report's page; a complaint of the browser's, or anything that is fetched, fails the test."""
    pages = []

    def show(report, fragment="", earlier=(), **more):
        file = tmp_path / "drift.html"
        file.write_text(drift_html(report, earlier), encoding="utf-8")
        page = browser.page(f"file://{file}{fragment}", **more)
        pages.append((page, f"file://{file}"))
        return page

    yield show
    for page, url in pages:
        assert page.complaints() == []
        assert {each.partition("#")[0] for each in page.requests()} == {url}
        page.close()


def test_only_hosts_with_findings_are_shown_at_first_when_there_are_many(show):
    page = show(many_kinds(400))
    assert len(page.run(ROWS)) == 169
    assert page.run("document.getElementById('shown').textContent") == "169 of 400 hosts shown"
    page.click("#findings-only")
    assert len(page.run(ROWS)) == 400
    row = page.run("[...document.querySelector('#c0-0').parentElement.cells].map(each => each.textContent)")
    assert row == ["✓gpu001, as the playbook says", "as the playbook says", ""]


def test_the_filter_narrows_hosts_and_findings_and_escape_clears_it(show):
    page = show(every_kind())
    page.press("/")
    page.write("numpy")
    assert page.run(ROWS) == ["c0-0", "c1-0", "c2-0"]
    assert page.run("[...document.querySelectorAll('details.finding')].filter(each => !each.hidden).length") == 2
    page.write(" gpu02")
    assert page.run(ROWS) == []  # no finding speaks of both, and a host's own name has no numpy
    page.press("Escape")
    assert len(page.run(ROWS)) == 4
    page.write("gpu02")
    assert page.run(ROWS) == ["c1-0"]


def choose(page, select, value):
    page.run(
        f"(() => {{ const s = document.getElementById('{select}'); s.value = '{value}';"
        " s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


@pytest.mark.parametrize(
    ("select", "value", "rows"),
    [
        ("severity", "error", ["c2-0"]),
        ("severity", "waived", ["c1-0"]),
        ("severity", "unreachable", ["c3-0"]),
        ("against", "time", ["c0-0", "c1-0"]),
        ("against", "playbook", ["c1-0", "c2-0"]),
        ("group", "1", ["c1-0", "c3-0"]),
    ],
)
def test_hosts_are_chosen_by_severity_by_what_they_are_compared_with_and_by_group(show, select, value, rows):
    report = every_kind()
    hosts = [replace(host, groups=("a", "b") if place % 2 else ("a",)) for place, host in enumerate(report.hosts)]
    page = show(replace(report, hosts=tuple(hosts)))
    choose(page, select, value)
    assert page.run(ROWS) == rows


def test_the_matrix_is_walked_and_findings_are_opened_by_keyboard(show):
    page = show(every_kind())
    assert page.run("document.querySelectorAll('#matrix tbody [tabindex=\"0\"]').length") == 1
    page.press("/", "Enter")
    assert page.run(FOCUS) == "c0-0"
    page.press("ArrowDown", "ArrowDown", "ArrowRight")
    assert page.run(FOCUS) == "c2-1"
    page.press("Enter")
    assert page.run("document.getElementById('dialog').open")
    told = page.run(TOLD)
    assert "driver 470.82.01 is older than 535.104" in told
    assert "fleetenv apply playbooks/site.yml -l gpu03" in told
    assert page.run("location.hash") == "#c2-1"
    page.press("Escape")
    page.wait("!document.getElementById('dialog').open")
    assert page.run(FOCUS) == "c2-1"
    page.press("n")
    assert page.run(FOCUS) == "c2-3"
    page.press("p", "p")
    assert page.run(FOCUS) == "c1-7"
    page.press("Home", "ArrowUp", "Enter")
    assert page.run("document.getElementById('dialog-title').textContent") == "gpu01"
    assert "-l gpu01 -t conda" in page.run(TOLD)  # its own command, not that for all who share the finding
    assert "5.15.0-107" in page.run(TOLD)


def test_a_link_to_a_cell_opens_it_though_its_row_is_hidden(show):
    page = show(many_kinds(400), "#c30-5")
    assert page.run("document.getElementById('dialog-title').textContent") == "gpu031"
    assert "384 others have 535.104.05" in page.run(TOLD)


def test_what_a_hostile_host_wrote_stays_text(show):
    for report in (drift_report(hostile()), hostile_findings([HOSTILE, "</script><img src=x onerror=alert(1)>"])):
        page = show(report)
        assert page.run("document.querySelectorAll('script').length") == 1
        assert page.run("document.querySelectorAll('img, iframe, form, object').length") == 0
        page.click("#c0-0")
        assert "<script>alert(1)</script>" in page.run(TOLD)
        assert page.run("document.querySelectorAll('script, img').length") == 1


def test_a_user_prefers_dark_or_light_and_can_say_so(show):
    paper = "getComputedStyle(document.body).backgroundColor"
    page = show(every_kind(), dark=True)
    assert page.run(paper) == "rgb(17, 21, 26)"
    page.click("#theme")
    assert page.run(paper) == "rgb(255, 255, 255)"
    page.click("#theme")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    page.media(printed=True)
    assert page.run(paper) == "rgb(255, 255, 255)"
    assert page.run("getComputedStyle(document.querySelector('.tools')).display") == "none"
    page.run("localStorage.clear()")


# the ratio that WCAG 2 demands of text (1.4.3, AA): https://www.w3.org/TR/WCAG22/#contrast-minimum
FAINT = """(() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const paper = (element) => {
    const colour = numbers(getComputedStyle(element ?? document.body).backgroundColor);
    return !element || colour.length === 3 || colour[3] > 0.99 ? colour : paper(element.parentElement);
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.offsetWidth && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((each) => ratio(light(numbers(getComputedStyle(each).color)), light(paper(each))) < 4.5)
    .map((each) => each.outerHTML.slice(0, 100));
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_stands_out_from_its_paper(show, dark):
    page = show(every_kind(), earlier=earlier_looks(3), dark=dark)
    page.run("for (const each of document.querySelectorAll('details')) each.open = true")
    page.settle()
    assert page.run(FAINT) == []


def test_a_page_without_findings_tasks_or_hosts_is_a_page(show):
    for hosts in ([], ["gpu01", "gpu02"]):
        page = show(drift_report(run(hosts)))
        page.press("/", "Enter", "ArrowDown", "n", "Enter")
        assert len(page.run(ROWS)) == len(hosts)


def test_all_that_is_told_is_printed(show):
    page = show(every_kind())
    count = "document.querySelectorAll('details.finding[open]').length"
    assert page.run(count) == 0
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run(count) == 9
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(count) == 0


@pytest.mark.parametrize("width", [1280, 380])
def test_nothing_is_wider_than_the_window(show, width):
    page = show(every_kind(), width=width)
    assert page.run("document.documentElement.scrollWidth") <= width


def test_a_wide_matrix_fits_the_paper(show):
    page = show(large_fleet(5, 60), width=1000)
    page.media(printed=True)
    assert page.run("document.getElementById('matrix').offsetWidth") <= 1000


def test_earlier_looks_are_plotted(show):
    page = show(every_kind(), earlier=earlier_looks(5))
    told = page.run("[...document.querySelectorAll('figure svg')].map(each => each.getAttribute('aria-label'))")
    assert told[0].startswith("findings, look by look: 6 from 2026-05-16 to 2026-05-21; the last, ")
    assert told[0].endswith("2026-05-21 08:00: 3 errors, 5 warnings")
    heights = page.run(
        "[...document.querySelectorAll('figure:first-of-type rect.warning')].map(e => +e.getAttribute('height'))"
    )
    assert len(heights) == 6
    assert heights[:5] == sorted(heights[:5], reverse=True)


def test_a_large_fleet_is_filtered_by_columns_and_rows(show):
    page = show(large_fleet(300, 60))
    assert page.run("document.querySelectorAll('#matrix td').length") > 300 * 60
    page.press("/")
    page.write("gpu007")
    assert page.run(ROWS) == ["c6-0"]
    assert page.run("[...document.querySelectorAll('#matrix thead th')].filter(each => !each.hidden).length") == 4
