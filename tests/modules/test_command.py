"""`command` and `shell` run what they are told, once, and register what came out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.errors import InputError

from .conftest import Driver


def test_what_came_out_is_registered(driver: Driver) -> None:
    done = driver.act("shell", "cmd: printf 'one\\ntwo\\n'; echo three >&2; exit 3")
    assert (done.changed, done.failed, done.msg) == (True, True, "exit status 3: three")
    values = done.values
    assert (values["rc"], values["stdout"], values["stdout_lines"], values["stderr"]) == (
        3,
        "one\ntwo",
        ["one", "two"],
        "three",
    )
    assert values["cmd"] == "printf 'one\\ntwo\\n'; echo three >&2; exit 3"
    assert str(values["delta"]).startswith("0:00:0")


def test_command_knows_no_shell(driver: Driver) -> None:
    done = driver.act("command", "cmd: echo 'a b' $(id) > x && `id` * ; \\; \"$NO_SUCH\"")
    assert done.values["stdout"] == "a b $(id) > x && `id` * ; ; $NO_SUCH"
    assert done.values["cmd"] == ["echo", "a b", "$(id)", ">", "x", "&&", "`id`", "*", ";", ";", "$NO_SUCH"]


def test_variables_and_home_are_the_host_s(driver: Driver) -> None:
    driver.environment = {"HOME": "/home/it's", "DATA": "/da ta;$(id)"}
    done = driver.act("command", "argv: [printf, '%s,', $DATA/x, '${DATA}', ~/y, a~/b, $HOME]")
    assert done.values["stdout"] == "/da ta;$(id)/x,/da ta;$(id),/home/it's/y,a~/b,/home/it's,"
    plain = driver.act("command", "argv: [printf, '%s,', $DATA]\nexpand_argument_vars: false")
    assert plain.values["stdout"] == "$DATA,"


def test_creates_and_removes_decide(driver: Driver, tmp_path: Path) -> None:
    task = f"cmd: touch {tmp_path}/made.1\ncreates: {tmp_path}/made.*"
    assert driver.act("command", task, check=True).changed
    assert not (tmp_path / "made.1").exists()
    assert driver.act("command", task).changed
    again = driver.act("command", task)
    assert (again.changed, again.values["stdout"]) == (False, f"skipped, since {tmp_path}/made.* exists")
    assert not driver.act("command", f"cmd: 'false'\nremoves: {tmp_path}/nope").failed
    assert driver.act("command", f"cmd: rm made.1\nchdir: {tmp_path}\nremoves: made.1").changed


def test_check_mode_runs_nothing(driver: Driver, tmp_path: Path) -> None:
    done = driver.act("shell", f"cmd: touch {tmp_path}/x", check=True)
    assert (done.skipped, done.changed) == (True, False)
    assert not (tmp_path / "x").exists()


def test_stdin_chdir_and_executable(driver: Driver, tmp_path: Path) -> None:
    assert driver.act("command", f"cmd: cat\nstdin: secret\nchdir: {tmp_path}").values["stdout"] == "secret"
    assert driver.act("command", f"cmd: pwd\nchdir: {tmp_path}").values["stdout"] == str(tmp_path)
    assert driver.act("command", "cmd: pwd\nchdir: /nope").failed
    bash = driver.act("shell", "cmd: echo ${BASH_VERSION:+yes}\nexecutable: /bin/bash")
    assert bash.values["stdout"] == "yes"


@pytest.mark.parametrize("text", ["cmd: echo 'open", "chdir: /", "cmd: a\nargv: [b]", "cmd: ''"])
def test_no_command_is_a_mistake(driver: Driver, text: str) -> None:
    with pytest.raises(InputError, match="'command': "):
        driver.build("command", text)
