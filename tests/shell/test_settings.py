"""Connection settings from Ansible's variables, the command line and ssh's options."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.errors import InputError
from fleetenv.shell import Become, Defaults, Settings
from fleetenv.source import Value
from fleetenv.source_yaml import parse_yaml


def test_ansibles_names(tmp_path: Path) -> None:
    (key := tmp_path / "key").touch()
    settings = Settings.from_variables(
        "gpu01",
        {
            "ansible_host": "10.0.0.1", "ansible_port": "2222", "ansible_user": "ops", "ansible_password": "pw",
            "ansible_ssh_private_key_file": str(key), "ansible_connection": "paramiko", "ansible_timeout": 3,
            "ansible_ssh_common_args": "-J bastion -o StrictHostKeyChecking=accept-new -oUserKnownHostsFile=/k -C",
            "ansible_ssh_extra_args": "-o 'ServerAliveInterval 5'", "ansible_shell_executable": "/bin/bash",
        },
    )  # fmt: skip
    assert settings == Settings(
        "gpu01", "10.0.0.1", 2222, "ops", "pw", key, "fabric", proxy_jump="bastion",
        host_key_checking="accept-new", known_hosts=(Path("/k"),), connect_timeout=3, keepalive=5, shell="/bin/bash",
    )  # fmt: skip


def test_a_hosts_variables_win_over_the_command_line() -> None:
    defaults = Defaults(user="me", password="typed", private_key=Path("/dev/null"), timeout=7, connection="local")
    given = Settings.from_variables("a", {"ansible_user": "ops", "ansible_connection": "ssh"}, defaults)
    assert (given.user, given.password, given.private_key, given.transport) == (
        "ops",
        "typed",
        Path("/dev/null"),
        "asyncssh",
    )
    assert given.connect_timeout == 7


def test_what_nobody_says_is_left_to_ssh_config() -> None:
    settings = Settings.from_variables("gpu01", {})
    assert (settings.address, settings.port, settings.user, settings.private_key) == ("gpu01", None, None, None)


def test_passwords_are_not_shown() -> None:
    variables: dict[str, Value] = {"ansible_password": "s3cret", "ansible_become_password": "s3cret"}
    settings = Settings.from_variables(
        "a", variables, Defaults(password="s3cret", become_password="s3cret", become=True)
    )
    assert "s3cret" not in repr(settings) + repr(settings.becoming())


@pytest.mark.parametrize(
    ("variables", "task", "command_line", "expected"),
    [
        ({}, (None, None, None), Defaults(), None),
        ({}, (True, None, None), Defaults(), Become()),
        ({}, (False, None, None), Defaults(become=True), None),
        (
            {},
            (None, None, None),
            Defaults(become=True, become_user="ci", become_password="p"),
            Become("ci", password="p"),
        ),
        ({"ansible_become": "no"}, (True, None, None), Defaults(become=True), None),
        ({"ansible_become": True}, (None, "task", "su"), Defaults(become_user="cli"), Become("task", "su")),
        ({"ansible_become_user": "var"}, (True, "task", None), Defaults(), Become("var")),
        ({"ansible_become_method": "su"}, (True, None, "sudo"), Defaults(), Become(method="su")),
        ({"ansible_become_pass": "x"}, (True, None, None), Defaults(become_password="y"), Become(password="x")),
        ({"ansible_become_exe": "/opt/sudo"}, (True, None, None), Defaults(), Become(program="/opt/sudo")),
    ],
)
def test_whom_to_become(
    variables: dict[str, Value],
    task: tuple[bool | None, str | None, str | None],
    command_line: Defaults,
    expected: Become | None,
) -> None:
    assert Settings.from_variables("a", variables, command_line).becoming(*task) == expected


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ansible_port": 0}, "ansible_port of host 'a' cannot be '0'; it must be a number from 1 to 65535"),
        ({"ansible_port": "²"}, "ansible_port of host 'a' cannot be '²'"),
        ({"ansible_private_key_file": "/no/key"}, "cannot be '/no/key'; it must be a file on this machine"),
        ({"ansible_port": True}, "ansible_port of host 'a' cannot be 'True'"),
        ({"ansible_timeout": "soon"}, "ansible_timeout of host 'a' cannot be 'soon'"),
        ({"ansible_become": "perhaps"}, "it must be true or false"),
        ({"ansible_user": ["ops"]}, "it must be text"),
        ({"ansible_password": "a\nb"}, "ansible_password of host 'a' cannot be; it must be text on one line"),
        ({"ansible_connection": "docker"}, "it must be one of ssh, smart, asyncssh"),
        ({"ansible_host_key_checking": "perhaps"}, "it must be true, false or accept-new"),
        ({"ansible_ssh_common_args": "-o ProxyJum=b"}, "option 'ProxyJum' is not supported; did you mean 'ProxyJump'?"),
        ({"ansible_ssh_common_args": "-o Port=x"}, "ansible_ssh_common_args of host 'a': Port cannot be 'x'"),
        ({"ansible_ssh_common_args": "-Y"}, "the ssh option '-Y' is not supported"),
        ({"ansible_ssh_common_args": "-o"}, "the ssh option '-o' lacks its value"),
        ({"ansible_ssh_common_args": "-o 'x"}, "No closing quotation"),
    ],
)
def test_what_cannot_be_is_told_with_what_would_be_right(variables: dict[str, Value], told: str) -> None:
    with pytest.raises(InputError) as caught:
        Settings.from_variables("a", variables)
    assert told in str(caught.value)


def test_the_place_of_a_wrong_value_is_told() -> None:
    variables = parse_yaml("ansible_user: ops\nansible_port: twenty-two\n", "host_vars/a.yml")
    assert isinstance(variables, dict)
    with pytest.raises(InputError, match=r"^host_vars/a\.yml:2:15: ansible_port"):
        Settings.from_variables("a", variables)


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        ("bastion", [(None, "bastion", None)]),
        ("ops@bastion:2222,gate", [("ops", "bastion", 2222), (None, "gate", None)]),
        ("[::1]:22", [(None, "::1", 22)]),
        ("gpu01", []),  # `Host *` with a ProxyJump: the jump host itself is reached directly
    ],
)
def test_jump_hosts(via: str, expected: list[tuple[str | None, str, int | None]]) -> None:
    stops = Settings("gpu01", "gpu01", password="own").jumps(via)
    assert [(stop.user, stop.address, stop.port) for stop in stops] == expected
    assert {stop.password for stop in stops} <= {None}


@pytest.mark.parametrize("method", ["magic", ""])
def test_a_method_that_does_not_exist(method: str) -> None:
    with pytest.raises(InputError, match="become method"):
        Become(method=method)


@pytest.mark.parametrize("user", ["", "-x", "a\0b"])
def test_a_name_that_is_none(user: str) -> None:
    with pytest.raises(InputError, match="name of a user"):
        Become(user)
