"""debug, assert, fail, set_fact and include_vars: what happens on the controller alone."""

from __future__ import annotations

import pytest

from fleetenv.errors import InputError

from .conftest import Driver


def test_debug_shows_a_message_or_a_variable(driver: Driver) -> None:
    driver.site.variables["gpus"] = [1, 2]
    assert driver.act("debug", "msg: hello").msg == "hello"
    assert driver.act("debug", "msg: [a, b]").values["msg"] == ["a", "b"]
    assert driver.act("debug", "var: gpus").values == {"gpus": [1, 2]}
    assert driver.act("debug", "msg: x\nverbosity: 2").skipped


def test_assert_stops_at_the_first_condition_that_does_not_hold(driver: Driver) -> None:
    driver.site.variables["gpus"] = 4
    assert driver.act("assert", "that: gpus == 4").msg == "All assertions passed"
    failed = driver.act("assert", "that: [gpus > 1, gpus == 8]\nmsg: too few")
    assert (failed.failed, failed.msg, failed.values["assertion"]) == (True, "too few", "gpus == 8")
    assert driver.act("assert", "that: gpus == 8").msg == "Assertion failed: gpus == 8"
    with pytest.raises(InputError, match="'assert' needs the argument 'that'"):
        driver.build("assert", "msg: x")


def test_fail_fails(driver: Driver) -> None:
    assert driver.act("fail", "msg: no scratch disk").msg == "no scratch disk"


def test_set_fact_takes_any_name_that_can_be_one(driver: Driver) -> None:
    assert driver.act("set_fact", "mirror: tuna\nvariables: 1\ncacheable: 'yes'").facts == {
        "mirror": "tuna",
        "variables": 1,
    }
    with pytest.raises(InputError, match=r"site.yml:1:6: 'set_fact': 'a-b' cannot be the name of a variable"):
        driver.build("set_fact", "a-b: 1")
    with pytest.raises(InputError, match="no variable is set"):
        driver.build("set_fact", "cacheable: true")


def test_include_vars_reads_files_and_folders(driver: Driver) -> None:
    folder = driver.site.folder / "vars" / "site"
    (folder / "b").mkdir(parents=True)
    (folder / "a.yml").write_text("x: 1\ny: 1\n")
    (folder / "b" / "c.json").write_text('{"y": 2}')
    (folder / "notes.txt").write_text("not: read")
    assert driver.act("include_vars", "file: site/a.yml").facts == {"x": 1, "y": 1}
    assert driver.act("include_vars", "dir: site\nname: all").facts == {"all": {"x": 1, "y": 2}}
    assert driver.act("include_vars", "dir: site\ndepth: 1").facts == {"x": 1, "y": 1}
    assert driver.act("include_vars", "dir: site\nignore_files: [a.yml]").facts == {"y": 2}
    (folder / "bad.yml").write_text("- a list\n")
    with pytest.raises(InputError, match=r"bad\.yml must hold a mapping"):
        driver.act("include_vars", "dir: site")
