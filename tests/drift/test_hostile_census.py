"""Hosts whose answer to the census is meant to harm: each has a finding, the others are looked at as ever."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.drift.census import questions, seen
from fleetenv.drift.sections import conda_sections, plain, typed
from fleetenv.drift.snapshot import encode
from fleetenv.errors import HostError
from fleetenv.onhost.census import Census
from fleetenv.onhost.census_environments import Environment
from fleetenv.onhost.census_layers import Kernel
from fleetenv.remote import Completed, Probe

PLAYBOOK = "- hosts: all\n  gather_facts: false\n  tasks: [{copy: {dest: '{{ lab_root }}/motd', content: hello}}]\n"
ESCAPES = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\r\u202e"
EMPTY = {"homes": [], "minicondas": {}, "condarc": {}, "environments": {}, "virtualenvs": {}, "kernels": {}}
KERNELS = {ESCAPES: {"program": f"/{ESCAPES}", "title": ESCAPES, "gone": True}}
LIARS = {
    "noise": "yes | head -c 100000000",
    "deep": "head -c 2000000 /dev/zero | tr '\\0' '['",
    "wrong": "echo '{\"homes\": 1}'",
    "binary": "head -c 4000 /dev/urandom",
    "silent": "true",
    "killed": "kill -9 $$",
    "escapes": f"cat <<'EOF'\n{json.dumps({**EMPTY, 'kernels': KERNELS})}\nEOF",
}
"""What a host's Python says, in place of the census."""


@pytest.fixture
def looked_at(embedded_fleet, fleetenv_cli, tmp_path):
    """`fleetenv drift` of a fleet, all but one of whose hosts lie."""
    fleet = embedded_fleet([*LIARS, "honest"])
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    (tmp_path / "home.yml").write_text("all: {vars: {conda_prefix: '{{ lab_root }}/miniconda3'}}\n")
    for name, says in LIARS.items():
        python = Path(fleet[name].variables["lab_root"]) / "bin/python3"
        # the one that is only asked for its version answers well
        python.write_text(f"#!/bin/sh\ncase $* in *version_info*sys.exit*json*) ;; *) exit 0 ;; esac\n{says}\n")
        python.chmod(0o755)
    words = ("site.yml", "-i", fleet.inventory, "-i", "home.yml")
    assert fleetenv_cli("apply", *words, cwd=tmp_path).status == 0
    return lambda *more: fleetenv_cli("drift", *words, *more, cwd=tmp_path)


def test_lies_are_findings_and_harm_nobody_else(looked_at):
    done = looked_at("--format", "json")
    assert done.status == 4
    findings = json.loads(done.stdout)["findings"]
    assert {(each["host"], each["code"]) for each in findings} == {
        *((name, "not-surveyed") for name in LIARS if name != "escapes"),
        ("escapes", "stale-kernel"),
    }
    texts = {each["host"]: each["text"] for each in findings}
    assert texts["noise"] == "the host's answer is too long: 83222784 bytes more than are kept"
    assert "not understood" in texts["deep"]
    assert "not understood" in texts["wrong"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stdout)
    assert len(done.stdout) < 30_000

    shown = looked_at()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown.stdout)
    assert "\\x1b[2J" in shown.stdout


def answer(script_output: bytes, **more: int) -> object:
    (_, _, question) = questions([], ["/opt/miniconda3"], all_homes=True, deep=False)
    assert isinstance(question, Probe)
    try:
        return question.parse(Completed(0, script_output, **more))
    except (ValueError, HostError) as error:
        return error


@given(st.binary(max_size=300) | st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists).map(
    lambda value: msgspec.json.encode({**EMPTY, "environments": value})
))  # fmt: skip
def test_any_answer_is_a_census_or_a_reason(output):
    got = answer(output)
    assert isinstance(got, Census | ValueError | HostError)
    if isinstance(got, Census):
        seen([{}, None, got], ["/opt/miniconda3"])


def test_a_host_without_python_is_no_finding():
    assert answer(b"no python\n") is None
    assert seen([{"os": "Debian"}, None, None], ["/opt/miniconda3"]).failed == ()


def test_names_and_numbers_are_bounded():
    packages = {f"p{number}": ("1" * 10_000, "b", "u") for number in range(6000)}
    kernels = {f"/k/{number}": Kernel("x" * 100_000, gone=True) for number in range(1000)}
    census = Census([], {}, {}, {"/e": Environment("", "n" * 100_000, packages=packages)}, {}, kernels)
    snapshot = plain(conda_sections(census, ["/opt/miniconda3"]))
    assert len(encode(snapshot)) < 2_000_000
    assert typed(snapshot).environments["/e"].packages["p0"].endswith("...")


def test_more_than_any_host_has_is_refused():
    packages = {f"p{number}": ("1", "b", "u") for number in range(5000)}
    environments = {f"/e{number}": Environment("", "e", packages=packages) for number in range(30)}
    taken = seen([{}, None, Census([], {}, {}, environments, {}, {})], ["/opt/miniconda3"])
    assert taken.failed == ("the host names more than 100000 things",)
    assert "environments" not in taken.snapshot


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("channels: [a, b]\nssl_verify: true\n", {"channels": "[a, b]", "ssl_verify": "true"}),
        ("channels:\n  - https://ana:pw@c.org/t/tk-123/x\n", {"channels": "[https://***@c.org/t/***/x]"}),
        ("", {}),
        ("- a\n", {"(unreadable)": "yes"}),
        ("channels: [", {"(unreadable)": "yes"}),
        ("[" * 16_000, {"(unreadable)": "yes"}),
        ("a: &a [x, *a]\n", None),
        ("a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b]\nd: &d [*c, *c]\ne: [*d, *d]\n", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_settings_are_read_without_secrets_and_without_end(text, settings):
    census = Census([], {}, {"/p/.condarc": text}, {}, {}, {})
    found = conda_sections(census, ["/p"]).condarc["/p/.condarc"]
    assert all(len(value) <= 300 for value in found.values())
    if settings is not None:
        assert found == settings
