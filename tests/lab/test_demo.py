"""The demo, as a user runs it for the second time: the channel and the installer that it builds are there."""

from __future__ import annotations

import os
import shutil


def test_demo_tells_its_story_to_the_end(fleetenv_cli, lab_channel, standin_installer, tmp_path):
    for kept, name in ((lab_channel.folder, "channel"), (standin_installer.path.parent, "installer")):
        shutil.copytree(kept, tmp_path / "demo" / name, copy_function=os.link)
    done = fleetenv_cli("demo", "--folder", tmp_path / "demo", timeout=300)
    assert done.status == 0, done.stdout + done.stderr
    chapters = [line for line in done.stdout.splitlines() if line.startswith("== ")]
    assert len(chapters) == 8
    assert "simulated" in done.stdout
    assert (tmp_path / "demo/project/drift.html").read_text().startswith("<!doctype html>")
