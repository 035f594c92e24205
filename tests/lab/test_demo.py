"""The demo, as a user runs it."""

from __future__ import annotations


def test_demo_tells_its_story_to_the_end(fleetenv_cli, tmp_path):
    done = fleetenv_cli("demo", "--folder", tmp_path / "demo", timeout=300)
    assert done.status == 0, done.stdout + done.stderr
    chapters = [line for line in done.stdout.splitlines() if line.startswith("== ")]
    assert len(chapters) == 8
    assert "simulated" in done.stdout
    assert (tmp_path / "demo/project/drift.html").read_text().startswith("<!doctype html>")
