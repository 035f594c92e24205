"""Arguments are checked before any host is touched, with the place where they were written."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
import pytest

from fleetenv.errors import InputError
from fleetenv.modules import arguments, registry
from fleetenv.modules.base import Module
from fleetenv.source import SourceMap
from fleetenv.source_yaml import parse_yaml


class Sample(Module, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ClassVar[str] = "sample"
    synonyms: ClassVar[dict[str, str]] = {"dest": "path"}

    path: str
    mode: str | int | msgspec.UnsetType = msgspec.UNSET
    state: Literal["present", "absent"] = "present"
    force: bool = False
    size: int | None = None
    names: tuple[str, ...] = ()
    login: str = msgspec.field(name="name", default="")
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None


def written(text: str) -> SourceMap:
    value = parse_yaml(text, "site.yml")
    assert isinstance(value, SourceMap)
    return value


def build(text: str) -> Sample:
    module = arguments.build(Sample, written(text))
    assert isinstance(module, Sample)
    return module


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pth: /x", "site.yml:1:1: 'sample' has no argument 'pth'; did you mean 'path'?"),
        ("path: /x\nzzz: 1", "site.yml:2:1: 'sample' has no argument 'zzz'; it takes path, mode, state, force, size"),
        ("force: true", "site.yml:1:1: 'sample' needs the argument 'path'"),
        ("path: /x\nforce: maybe", "site.yml:2:8: 'force' must be yes or no, not 'maybe'"),
        ("path: /x\nstate: presnt", "site.yml:2:8: 'state' must be one of present, absent, not 'presnt'; did you mean"),
        ("path: /x\nsize: big", "site.yml:2:7: 'size' must be a whole number, not 'big'"),
        ("path: /x\nlimit: 500", "site.yml:2:8: 'limit' must be a whole number <= 100, not 500"),
        ("path: /x\nsize: [1]", "site.yml:2:7: 'size' must be a whole number, not a list"),
        ("path: {a: b}", "site.yml:1:7: 'path' must be text, not a mapping"),
        ("path: 3.10", "site.yml:1:7: 'path' must be text; YAML reads it as 3.1: quote it"),
        ("path: /x\ndest: /y", "site.yml:1:1: 'dest' is another name of 'path': write one of them"),
    ],
)
def test_wrong_arguments_are_reported_with_their_place(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        arguments.check(Sample, written(text))
    assert str(caught.value).startswith(message)


def test_values_with_templates_are_checked_when_they_are_rendered() -> None:
    arguments.check(Sample, written("path: '{{ x }}'\nforce: '{{ maybe }}'\nsize: '{{ n }}'"))
    with pytest.raises(InputError, match="'force' must be yes or no, not 'maybe'"):
        arguments.build(Sample, {"path": "/x", "force": "maybe"})


def test_ansible_s_ways_of_writing_are_understood() -> None:
    module = build("dest: /x\nforce: 'yes'\nsize: '12'\nnames: vim, git\nname: 5\nmode:")
    assert module == Sample(path="/x", force=True, size=12, names=("vim", "git"), login="5")
    assert build("path: /x\nforce: 'off'\nnames: [1, b]").names == ("1", "b")
    assert build("path: /x\nmode: 0644").mode == 0o644


def test_every_name_of_the_registry_leads_to_its_class() -> None:
    assert all(issubclass(registry.load(name), Module) for name in registry.MODULES)


def test_modules_that_take_plain_text_say_where_it_goes() -> None:
    assert registry.free_form("ansible.builtin.shell") == "cmd"
    assert registry.free_form("copy") is None


def test_a_name_that_is_no_module_is_answered_with_what_to_use() -> None:
    assert "did you mean 'command'?" in str(registry.unknown_module("comand"))
    assert str(registry.unknown_module("ansible.builtin.lineinfile")).startswith("the module 'lineinfile' is not here")
