"""The page in a real Chromium: its script runs under its own policy, and does what it says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetenv.drift.survey import drift_report
from fleetenv.report.drift.html import drift_html

from .fleets import four_hosts, hostile, many_hosts

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom",
)  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def opened(tmp_path: Path, page: str, fragment: str = "") -> str:
    """Open a page and return what became of it; anything that the browser complains about fails the test."""
    file = tmp_path / "drift.html"
    file.write_text(page, encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"file://{file}{fragment}"],
        capture_output=True, timeout=60, check=True, text=True,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line or "Content Security" in line]
    assert complaints == []
    return done.stdout


def test_only_hosts_with_findings_are_shown_at_first_when_there_are_many(tmp_path):
    page = opened(tmp_path, drift_html(drift_report(many_hosts(400))))
    assert len(re.findall(r"<tr [^>]*data-same=\"\"[^>]* hidden=\"\"", page)) == 343
    assert not re.search(r"<tr [^>]*data-words[^>]* hidden", page)
    assert "57 of 400 hosts shown" in page


def test_a_link_to_a_finding_opens_its_host(tmp_path):
    page = opened(tmp_path, drift_html(drift_report(many_hosts(400))), "#h8-2")
    assert re.findall(r'<details class="host[^>]*id="(h\d+)"[^>]* open=""', page) == ["h8"]


def test_what_a_hostile_host_wrote_stays_text(tmp_path):
    page = opened(tmp_path, drift_html(drift_report(hostile())))
    assert page.count("<script") == 1
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_four_hosts_are_all_shown(tmp_path):
    page = opened(tmp_path, drift_html(drift_report(four_hosts())))
    assert not re.search(r"<tr[^>]* hidden", page)
