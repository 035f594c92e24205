"""The dashboard in a real Chromium: its script runs under its policy, and nothing complains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chromium import CHROMIUM, Page, chromium

from .conftest import TOKEN
from .test_pages import PAGES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One tab for all tests."""
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser.page("about:blank")


def leave(page, do):
    """Do what leads to another page, and wait until that has loaded."""
    page.run("window.isOld = true")
    do()
    page.wait("window.isOld !== true && document.readyState === 'complete'")


def test_no_page_breaks_its_policy_runs_what_a_host_wrote_or_is_wider_than_the_screen(page, dashboard):
    for path in PAGES:
        page.open(dashboard.url.rstrip("/") + path)
        assert page.run("document.scripts.length") == 1
        assert page.run("document.querySelectorAll('img, iframe, [onerror], [style]').length") == 0
        for width in (380, 800, 1400):
            page.resize(width, 1000)
            assert page.run("document.documentElement.scrollWidth") <= width, path
        assert page.complaints() == [], path
    assert {url.partition(":")[0] for url in page.requests() if not url.startswith(dashboard.url)} <= {"data", "about"}


def test_dark_and_light_follow_the_reader(page, dashboard):
    page.open(dashboard.url)
    colours = []
    for dark in (True, False):
        page.media(dark=dark)
        colours.append(page.run("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(17, 21, 26)", "rgb(255, 255, 255)"]


def test_the_keyboard_reaches_the_filter_and_moves_through_the_table(page, dashboard):
    page.open(dashboard.url)
    page.press("/")
    page.write("gpu00")
    leave(page, lambda: page.press("Enter"))
    assert page.run("location.search") == "?q=gpu00"
    assert page.run("document.querySelectorAll('.matrix tbody tr').length") == 9
    names = page.run("[...document.querySelectorAll('.matrix tbody th a')].map((each) => each.textContent)")
    page.run("document.querySelector('.matrix tbody th a').focus()")
    page.press("ArrowDown")
    assert page.run("document.activeElement.textContent") == names[1]
    page.press("ArrowRight")
    assert page.run("document.activeElement.closest('tr').rowIndex") == 2
    page.press("ArrowLeft")
    leave(page, lambda: page.press("Enter"))
    assert page.run("location.pathname") == f"/hosts/{names[1]}"


def test_a_choice_takes_effect_at_once_and_stays_in_the_address(page, dashboard):
    page.open(dashboard.url + "?q=gpu")
    choose = "(() => { const group = document.querySelector('[name=group]'); group.value = 'h100';"
    leave(page, lambda: page.run(choose + "group.dispatchEvent(new Event('change', {bubbles: true})); })()"))
    assert page.run("location.search") == "?q=gpu&group=h100"
    assert page.run("document.querySelector('[name=group]').value") == "h100"


def test_how_long_ago_something_was_is_said(page, dashboard):
    page.open(dashboard.url + "runs")
    assert " ago" in page.run("document.querySelector('tbody time').title")


def test_everything_is_open_on_paper(page, dashboard):
    page.open(dashboard.url + "hosts/gpu001")
    closed = "document.querySelectorAll('main details:not([open])').length"
    assert page.run(closed) > 0
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run(closed) == 0
    page.media(printed=True)
    assert page.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    page.media()
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(closed) > 0


def test_signing_in_leads_to_the_page_that_was_asked_for(page, guarded):
    page.open(guarded.url + "hosts/gpu001")
    assert page.run("location.pathname") == "/login"
    page.write("not the token")
    leave(page, lambda: page.press("Enter"))
    assert page.run("document.querySelector('[role=alert]').textContent") == "That is not the token."
    page.write(TOKEN)
    leave(page, lambda: page.press("Enter"))
    assert page.run("location.pathname") == "/hosts/gpu001"
    assert page.run("document.cookie") == ""
    leave(page, lambda: page.click(".leave button"))
    page.open(guarded.url)
    assert page.run("location.pathname") == "/login"
    assert TOKEN not in page.run("location.href")
