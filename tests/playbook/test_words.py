"""`key=value` text is split as ansible-core splits it."""

from __future__ import annotations

import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.errors import InputError, Location
from fleetenv.playbook.words import COMMAND_OPTIONS, parse_arguments
from fleetenv.source import SourceText

PLACE = Location("t.yml", 3, 5)

TEXTS = [
    "a=b",
    "a=b c=d",
    "a=b   c=d",
    "path='/a b' state=\"x y\"",
    "msg={{ x }}",
    "msg={{ x | default('a b') }} n=1",
    'msg="{{ x }} and {{ y }}" n={% if a %}b{% endif %}',
    "a=b=c",
    "a=",
    "a='' b=\"\"",
    "url=http://h/?a=b&c=d",
    "a='it is \"quoted\"'",
]

COMMANDS = [
    "echo hi",
    "echo hi creates=/x",
    "creates=/x echo hi",
    "echo a=b chdir=/tmp c=d",
    "echo 'a b'  c",
    "echo {{ x | default('a b') }} removes='/y z'",
    "ls -l | grep x > /tmp/out",
    'echo "creates=/x"',
]


def ours(text: str, free_form: str | None = None, *, command: bool = False) -> dict[str, object]:
    return dict(parse_arguments(SourceText(text, PLACE), free_form, "m", command=command))


@pytest.mark.parametrize("text", TEXTS)
def test_arguments_as_ansible(text: str) -> None:
    from ansible.parsing.splitter import parse_kv

    assert ours(text) == parse_kv(text)


@pytest.mark.parametrize("text", COMMANDS)
def test_commands_as_ansible(text: str) -> None:
    from ansible.parsing.splitter import parse_kv

    theirs = parse_kv(text, check_raw=True)
    found = ours(text, "_raw_params", command=True)
    assert shlex.split(str(found.pop("_raw_params"))) == shlex.split(str(theirs.pop("_raw_params")))
    assert found == theirs


def test_a_commands_own_text_is_left_alone() -> None:
    text = "for i in 1 2; do\n  echo \"it's $i\" # a comment with a ' in it\ndone"
    assert ours(text, "cmd", command=True) == {"cmd": text}


@given(st.dictionaries(st.sampled_from(["a", "b", "path"]), st.text("ab =/'{}%|\\", max_size=8)))
def test_quoted_values_come_back(values: dict[str, str]) -> None:
    plain = {key: value for key, value in values.items() if '"' not in value and not value.endswith("\\")}
    text = " ".join(f'{key}="{value}"' for key, value in plain.items())
    if not any(brackets in text for brackets in ("{{", "{%", "{#")):
        assert ours(text) == plain


@given(st.text("ab=' \"{}%\\\n", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InputError):
        assert all(isinstance(value, SourceText) and value.location == PLACE for value in ours(text).values())


def test_values_know_their_place() -> None:
    arguments = parse_arguments(SourceText("a=b", PLACE), None, "file")
    assert arguments.keys_at["a"] == arguments.values_at["a"] == PLACE
    with pytest.raises(InputError, match=r"t\.yml:3:5: m: 'word' is not key=value"):
        ours("a=b word")


def test_the_arguments_of_commands_are_known() -> None:
    assert {"chdir", "creates", "removes", "executable", "stdin"} <= COMMAND_OPTIONS
