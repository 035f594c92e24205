"""Variables: layers, laziness, facts, hostvars, vars_files, extra variables, and what is said when one is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetenv.errors import InputError, Location
from fleetenv.playbook import FleetVariables, Templates, UndefinedVariable, parse_extra_vars
from fleetenv.source import SourceText, Value
from fleetenv.source_yaml import parse_yaml

from .conftest import Project, every_task

PLACE = Location("t.yml", 1, 1)


class Hosts:
    """An inventory of hosts with variables as YAML."""

    def __init__(self, **hosts: str) -> None:
        self.hosts: Mapping[str, object] = hosts
        self._read: dict[str, Value] = {name: parse_yaml(text, f"{name}.yml") for name, text in hosts.items()}

    def variables(self, host: str) -> Mapping[str, Value]:
        found = self._read[host]
        return found if isinstance(found, dict) else {}

    def magic(self, host: str) -> Mapping[str, Value]:
        return {"inventory_hostname": host}


def fleet(**hosts: str) -> FleetVariables:
    return FleetVariables(Hosts(**hosts), Templates())


def read(variables: FleetVariables, host: str, expression: str) -> Value:
    return Templates().evaluate(SourceText(expression, PLACE), variables.of(host).scope(None, None))


def complaint(variables: FleetVariables, expression: str) -> str:
    with pytest.raises(InputError) as caught:
        read(variables, "h", expression)
    return str(caught.value)


def test_a_template_is_rendered_when_it_is_read_with_what_is_known_then() -> None:
    variables = fleet(h="path: '{{ root }}/x'")
    assert complaint(variables, "path") == "h.yml:1:7: 'root' is undefined"
    variables.of("h").register("root", "/opt")
    assert read(variables, "h", "path") == "/opt/x"
    assert variables.of("h").scope(None, None)["path"] == "/opt/x"


def test_hostvars_are_rendered_with_the_other_hosts_own_variables() -> None:
    variables = fleet(
        a="me: '{{ inventory_hostname }}-{{ n }}'\nn: 1", b="me: '{{ inventory_hostname }}/{{ n }}'\nn: 2"
    )
    assert read(variables, "a", "hostvars.b.me ~ ' ' ~ me") == "b/2 a-1"
    assert read(variables, "a", "['a', 'b'] | map('extract', hostvars, 'n') | list") == [1, 2]
    assert read(variables, "a", "hostvars | list") == ["a", "b"]
    assert read(variables, "a", "'c' in hostvars or hostvars.c is defined") is False


def test_a_host_nobody_reads_is_never_rendered() -> None:
    variables = fleet(a="x: 1", b="x: '{{ 1 / 0 }}'\ny: 2")
    assert read(variables, "a", "hostvars.values() | map(attribute='y', default=0) | sum") == 2


def test_reading_hostvars_itself_renders_nothing() -> None:
    variables = fleet(a="", b="x: '{{ 1 / 0 }}'")
    assert variables.of("a").scope(None, None)["hostvars"] is variables


def test_jinja_is_imported_only_when_a_template_is_rendered() -> None:
    script = (
        "import sys; from fleetenv.playbook import Templates, Playbook; "
        "assert Templates().render({'a': ['b']}, {}) == {'a': ['b']}; print('jinja2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_variables_that_need_each_other_are_named() -> None:
    assert "h.yml:1:4: a variable is defined by itself: {{ b }} -> {{ a }}" in complaint(
        fleet(h="a: '{{ b }}'\nb: '{{ a }}'"), "a"
    )
    variables = fleet(h="a: '{{ hostvars.g.a }}'", g="a: '{{ hostvars.h.a }}'")
    assert "defined by itself" in complaint(variables, "a")


def test_a_mapping_may_use_its_own_parts() -> None:
    assert read(fleet(h="a: {root: /x, bin: '{{ a.root }}/bin'}"), "h", "a") == {"root": "/x", "bin": "/x/bin"}


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    variables = fleet(h="conda_prefix: /opt\nnested: {channels: []}")
    assert complaint(variables, "conda_prefx") == "t.yml:1:1: 'conda_prefx' is undefined; did you mean 'conda_prefix'?"
    assert complaint(variables, "nested.chanels") == (
        "t.yml:1:1: the mapping has no 'chanels'; did you mean 'channels'?"
    )
    with pytest.raises(UndefinedVariable) as caught:
        read(variables, "h", "a.b.c")
    assert caught.value.name == "a"


def test_facts_have_both_names_and_can_be_forgotten() -> None:
    variables = fleet(h="ansible_system: inventory")
    host = variables.of("h")
    host.learn({"ansible_hostname": "gpu01", "ansible_system": "Linux", "custom": 1})
    assert read(variables, "h", "[ansible_hostname, ansible_facts.hostname, ansible_system, custom]") == [
        "gpu01", "gpu01", "Linux", 1,
    ]  # fmt: skip
    host.forget_facts()
    assert read(variables, "h", "[ansible_system, ansible_hostname is defined]") == ["inventory", False]


def test_every_change_changes_the_version() -> None:
    host = fleet(h="").of("h")
    seen = {host.version}
    for change in (
        lambda: host.register("a", 1),
        lambda: host.learn({"a": 1}),
        lambda: host.include({"a": 1}),
        host.forget_facts,
    ):
        change()
        assert host.version not in seen
        seen.add(host.version)
    host.begin_play()
    assert host.version in seen  # nothing was forgotten: what was planned before still holds


def test_vars_files_may_depend_on_the_host_and_on_facts(project: Project) -> None:
    project.write("vars/h.yml", "v: host file")
    project.write("default.yml", "v: default")
    project.write("Debian.yml", "os: Debian file")
    files = "[['{{ inventory_hostname }}.yml', default.yml], '{{ ansible_distribution }}.yml']"
    play = project.play(f"- hosts: all\n  vars_files: {files}")
    variables = fleet(h="", g="")
    scopes = {name: variables.of(name).scope(play, None) for name in ("h", "g")}
    assert [scope["v"] for scope in scopes.values()] == ["host file", "default"]
    assert "os" not in scopes["h"]
    variables.of("h").learn({"ansible_distribution": "Debian"})
    assert variables.of("h").scope(play, None)["os"] == "Debian file"


def test_a_missing_vars_file_is_refused_when_reading(project: Project) -> None:
    said = project.complaint("- hosts: all\n  vars_files:\n    - none.yml")
    assert said.startswith("site.yml:3:7: vars_files: there is no file none.yml")


def test_a_scope_copies_no_variables() -> None:
    variables = fleet(h="a: 1")
    layers = variables.of("h").scope(None, None).layers
    assert any(layer is variables.of("h")._inventory for layer in layers)


def test_an_includes_variables_win_over_set_fact(project: Project) -> None:
    project.write("more.yml", "- debug:")
    playbook = project.read("- hosts: all\n  tasks: [{include_tasks: more.yml, vars: {v: include}}]")
    play = playbook.plays[0]
    (include,) = every_task(play.entries)
    (task,) = every_task(playbook.include(play, include, {"item": "x"}, {}).entries)
    host = fleet(h="").of("h")
    host.register("v", "fact")
    assert host.scope(play, task)["v"] == "include"
    assert host.scope(play, task)["item"] == "x"
    assert host.scope(play, task, {"item": "own loop"})["item"] == "own loop"


def test_omit_leaves_arguments_out() -> None:
    scope = fleet(h="mode: '0644'").of("h").scope(None, None)
    written = parse_yaml(
        "{a: '{{ nope | default(omit) }}', b: ['{{ omit }}', 1], c: '{{ mode | default(omit) }}'}", "t.yml"
    )
    assert Templates().render(written, scope) == {"b": [1], "c": "0644"}
    assert Templates().render(SourceText("{{ omit }}", PLACE), scope) is None


def test_rendered_arguments_keep_their_places() -> None:
    written = parse_yaml("path: '{{ inventory_hostname }}'\nstate: x", "t.yml")
    rendered = Templates().render(written, fleet(h="").of("h").scope(None, None))
    assert rendered == {"path": "h", "state": "x"}
    assert getattr(rendered, "values_at", None) == getattr(written, "values_at", 0)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a=1 b='x y'", "a=2"], {"a": "2", "b": "x y"}),
        (['{"a": 1, "b": [true]}'], {"a": 1, "b": [True]}),
        (["{a: 1}", "b={{ a }}"], {"a": 1, "b": "{{ a }}"}),
    ],
)
def test_extra_variables(texts: list[str], expected: dict[str, Value]) -> None:
    assert parse_extra_vars(texts) == expected


def test_extra_variables_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("a: '{{ b }}'\n")
    assert parse_extra_vars([f"@{tmp_path}/x.yml"]) == {"a": "{{ b }}"}


@pytest.mark.parametrize("text", ["a", "1=2", "[1]", "@/nowhere.yml", "{a: ", "a='x"])
def test_wrong_extra_variables_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_extra_vars([text])


def test_yes_and_no_are_words_for_keywords_only() -> None:
    scope = fleet(h="t: 'yes'\nn: 'False'").of("h").scope(None, None)
    templates = Templates()
    assert [templates.flag(SourceText(text, PLACE), scope) for text in ("{{ t }}", "{{ n }}", "on", "no")] == [
        True, False, True, False,
    ]  # fmt: skip
    with pytest.raises(InputError, match="neither yes nor no"):
        templates.flag(SourceText("perhaps", PLACE), scope)
    with pytest.raises(InputError, match="neither true nor false"):
        templates.condition(SourceText("t", PLACE), scope)


def test_a_condition_may_stand_in_a_variable() -> None:
    scope = fleet(h="is_first: inventory_hostname == 'h'").of("h").scope(None, None)
    assert Templates().condition(SourceText("{{ is_first }}", PLACE), scope)


@pytest.mark.parametrize("condition", ["", "a ==", "a b", "{{ a"])
def test_a_wrong_condition_is_refused_at_its_place(condition: str) -> None:
    with pytest.raises(InputError, match=r"t\.yml:1:1"):
        Templates().condition(SourceText(condition, PLACE), {"a": 1})
