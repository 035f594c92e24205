"""`fleetenv mirrors` as users run it: what hosts see of mirrors, with python, curl or wget."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.conda.channels import MIRRORS, Mirror
from fleetenv.conda.mirror_speed import parse, question
from fleetenv.remote import Completed

from .machine import Machine
from .wayward import Wayward, serving

FILE = "/anaconda/cloud/conda-forge/noarch/repodata.json.zst"


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[dict[str, Wayward]]:
    folder = tmp_path / "site"
    (folder / FILE[1:]).parent.mkdir(parents=True)
    (folder / FILE[1:]).write_bytes(bytes(2_000_000))
    with ExitStack() as stack:
        manners: dict[str, dict[str, Any]] = {"fast": {}, "slow": {"trickle": 0.02}, "broken": {"status": 403}}
        sites = {name: stack.enter_context(serving(folder, **each)) for name, each in manners.items()}
        sites["slow"].replaced[FILE] = b"x" * 20
        yield sites


def test_a_table_marks_each_host_s_fastest(embedded_fleet: Any, fleetenv_cli: Any, sites: dict[str, Wayward]) -> None:
    fleet = embedded_fleet(2)
    urls = {name: f"http://ops:secret@127.0.0.1:{site.port}/anaconda" for name, site in sites.items()}
    mirrors = [word for url in urls.values() for word in ("--mirror", url)]
    done = fleetenv_cli("mirrors", "-i", fleet.inventory, *mirrors, "--json")
    assert done.status == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["format"], document["version"]) == ("fleetenv.mirrors", 1)
    shown = {name: f"{site.url}/anaconda" for name, site in sites.items()}
    for host in document["hosts"].values():
        assert host["fastest"] == shown["fast"]
        fast, slow, broken = (host["mirrors"][shown[name]] for name in ("fast", "slow", "broken"))
        assert fast["bytes"] == 2_000_000
        assert fast["bytes_per_second"] > slow["bytes_per_second"] > 0
        assert broken["error"] == "HTTP 403 Forbidden"
    done = fleetenv_cli("mirrors", "-i", fleet.inventory, "gpu01", *mirrors, env={"COLUMNS": "150"})
    assert "secret" not in done.stdout + json.dumps(document)
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("gpu01 ") and "HTTP" not in line]
    assert re.match(r"gpu01 +[\d.]+\* +0\.00 +-$", row)
    assert f"gpu01  {shown['broken']}: HTTP 403 Forbidden" in done.stdout
    assert done.stdout.endswith(f"fastest: {shown['fast']} for 1 host\n")


@pytest.mark.parametrize("tool", ["python", "curl", "wget", "none"])
def test_it_measures_with_what_the_host_has(
    tool: str, tmp_path: Path, machine: Machine, sites: dict[str, Wayward]
) -> None:
    needed = ["head", "wc", "awk", "tail", "grep", "timeout", "cat"]
    (tmp_path / "bin").mkdir()
    for program in (*needed, "sh", *({tool} - {"none", "python"})):
        path = shutil.which(program)
        if path is None:
            pytest.skip(f"this machine has no {program}")
        (tmp_path / "bin" / program).symlink_to(path)
    if tool == "python":
        (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    bare = Machine(machine.prefix, tmp_path, {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)})
    mirrors = {name: Mirror.below(f"{site.url}/anaconda") for name, site in sites.items()}
    step = question(mirrors)
    completed = bare.sh(step.script, stdin=step.stdin)
    if tool == "none":
        with pytest.raises(ValueError, match="neither Miniconda nor python3, curl or wget"):
            parse(completed, mirrors)
        return
    found = parse(completed, mirrors)
    assert (found.tool, found.fastest) == (tool, "fast"), completed.error_text
    assert found.mirrors["fast"].bytes == 2_000_000
    assert found.mirrors["broken"].error


@given(st.text())
def test_whatever_a_host_prints_is_understood_or_refused(text: str) -> None:
    for said in (text, f"tool python\nspeed 0 {text}\nerror 1 {text}\nspeed 2 0.1 100 0.2\n"):
        try:
            found = parse(Completed(0, said.encode("utf-8", "replace")), MIRRORS)
        except ValueError:
            continue
        assert list(found.mirrors) == list(MIRRORS)
        assert found.fastest is None or found.mirrors[found.fastest].rate > 0


def test_an_unknown_mirror_and_a_host_that_is_away(fleetenv_cli: Any) -> None:
    done = fleetenv_cli("mirrors", "-i", "gone,", "--mirror", "tunna")
    assert (done.status, done.stderr) == (1, "fleetenv: there is no mirror 'tunna'; did you mean 'tuna'?\n")
    done = fleetenv_cli("mirrors", "-i", "127.0.0.1,", "-e", "ansible_port=1", "--mirror", "tuna")
    assert done.status == 4
    assert "127.0.0.1  could not be asked: " in done.stdout
