"""What a host said is data: it goes through every way that text can take, and stays what it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.errors import InputError, Location
from fleetenv.playbook import FleetVariables, Scope, Templates
from fleetenv.playbook.loops import items
from fleetenv.playbook.model import Task
from fleetenv.source import SourceText, Value
from fleetenv.source_yaml import parse_yaml

PLACE = Location("t.yml", 1, 1)
EVIL = "{{ lookup('pipe', 'touch /tmp/pwned') }}"


class OneHost:
    hosts: Mapping[str, object] = {"h": None}

    def __init__(self, variables: str = "") -> None:
        self._variables = parse_yaml(variables, "vars.yml") or {}

    def variables(self, host: str) -> Mapping[str, Value]:
        assert isinstance(self._variables, dict)
        return self._variables

    def magic(self, host: str) -> Mapping[str, Value]:
        return {"inventory_hostname": host}


def after_registering(text: str, variables: str = "") -> Scope:
    """The variables of a host that printed `text`."""
    fleet = FleetVariables(OneHost(variables), Templates())
    host = fleet.of("h")
    host.register("out", {"stdout": text, "stdout_lines": [text], "nested": {"deep": [{"er": text}]}})
    host.learn({"ansible_local": {"fact": text}})
    return host.scope(None, None)


def render(text: str, scope: Scope) -> Value:
    return Templates().render(SourceText(text, PLACE), scope)


WAYS = [
    "{{ out.stdout }}",
    "{{ out['stdout'] }}",
    "{{ out.stdout_lines[0] }}",
    "{{ out.nested.deep.0.er }}",
    "{{ out.stdout | default('x') }}",
    "{{ out.stdout | regex_replace('never matches\\\\d', '') }}",
    "{{ out.stdout | string }}",
    "{{ out.stdout ~ '' }}",
    "{{ '' ~ out.stdout }}",
    "{{ '%s' % out.stdout }}",
    "{{ '{}'.format(out.stdout) }}",
    "{{ pattern.format(out.stdout) }}",
    "{{ '%s' | format(out.stdout) }}",
    "{{ [out.stdout] | join }}",
    "{{ [out.stdout] | first }}",
    "{{ {'k': out.stdout}.k }}",
    "{{ {'k': out.stdout} | dict2items | map(attribute='value') | first }}",
    "{{ out | combine({'x': 1}) | extract('stdout') if false else out.stdout }}",
    "{{ out | to_json | from_json | json_value if false else (out | to_json | from_json).stdout }}",
    "{{ (out | to_yaml | from_yaml).stdout }}",
    "{{ out.stdout | b64encode | b64decode }}",
    "{{ lookup('vars', 'out').stdout }}",
    "{{ lookup('items', [out.stdout]) }}",
    "{{ vars['out'].stdout }}",
    "{{ hostvars['h'].out.stdout }}",
    "{{ hostvars[inventory_hostname]['ansible_local']['fact'] }}",
    "{{ ansible_facts['local'].fact }}",
    "{{ renamed }}",
    "{{ in_list[0] }}",
    "{{ in_list | last }}",
    "{{ in_map.key.key }}",
    "{{ chained }}",
    "{% for line in out.stdout_lines %}{{ line }}{% endfor %}",
    "{% set x = out.stdout %}{{ x }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(out.stdout) }}",
    "{% if out.stdout %}{{ out.stdout }}{% endif %}",
    "{% filter string %}{{ out.stdout }}{% endfilter %}",
]
WAYS = [way for way in WAYS if " if false else " not in way]

VARIABLES = """
pattern: "{}"
renamed: "{{ out.stdout }}"
in_list: ["{{ out.stdout }}", "{{ renamed }}"]
in_map: {key: {key: "{{ in_list.0 }}"}}
chained: "{{ in_map.key.key }}"
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", [EVIL, "{% raw %}", "{{ 7 * 7 }}", "{#", "{{"])
def test_a_registered_text_comes_out_as_it_was(way: str, text: str) -> None:
    assert render(way, after_registering(text, VARIABLES)) == text


@given(text=st.text(st.sampled_from("{}%#' \\n\\|ab1[]()"), min_size=1, max_size=12), way=st.sampled_from(WAYS))
def test_any_text_comes_out_as_it_was(text: str, way: str) -> None:
    assert render(way, after_registering(text, VARIABLES)) == text


def test_set_fact_of_it_is_not_evaluated_either() -> None:
    fleet = FleetVariables(OneHost(), Templates())
    host = fleet.of("h")
    host.register("out", {"stdout": EVIL})
    for _ in range(3):
        host.register("again", render("{{ again | default(out.stdout) }}", host.scope(None, None)))
    assert host.scope(None, None)["again"] == EVIL
    assert render("{{ [again] }}", host.scope(None, None)) == [EVIL]


def test_a_condition_only_compares_it() -> None:
    scope = after_registering("true")
    templates = Templates()
    assert templates.condition(SourceText("out.stdout == 'true'", PLACE), scope)
    with pytest.raises(InputError, match="neither true nor false"):
        templates.condition(SourceText("out.stdout", PLACE), scope)
    with pytest.raises(InputError, match="neither true nor false"):
        templates.condition(SourceText("{{ out.stdout }}", PLACE), scope)
    assert templates.evaluate(EVIL, scope) == EVIL


def test_a_loop_over_it_is_not_evaluated() -> None:
    task = Task("debug", None, PLACE, loop=SourceText("{{ out.stdout_lines }}", PLACE))
    assert items(task, Templates(), after_registering(EVIL)) == [EVIL]
    assert items(Task("debug", None, PLACE, loop=[EVIL], loop_form="items"), Templates(), after_registering("")) == [
        EVIL
    ]


def test_a_template_file_only_shows_it(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("{{ out.stdout }} {{ renamed }} {% for x in in_list %}{{ x }} {% endfor %}")
    text = Templates().render_file(tmp_path / "t.j2", after_registering(EVIL, VARIABLES))
    assert text == f"{EVIL} {EVIL} {EVIL} {EVIL} "


def test_what_a_template_gives_is_not_a_template(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(EVIL)
    scope = after_registering(
        "", f"own: \"{{{{ lookup('file', '{tmp_path}/f') }}}}\"\nraw: \"{{% raw %}}{{{{ x }}}}{{% endraw %}}\""
    )
    assert render("{{ own }}", scope) == EVIL
    assert render("{{ raw }}", scope) == "{{ x }}"


def test_unsafe_values_of_the_user_are_taken_literally() -> None:
    assert render("{{ u }}", after_registering("", "u: !unsafe '{{ x }}'")) == "{{ x }}"


@pytest.mark.parametrize(
    "text",
    [
        "{0.__class__.__mro__}",
        "{0.__init__.__globals__}",
    ],
)
def test_a_format_string_of_a_host_reaches_nothing_inside(text: str) -> None:
    scope = after_registering(text)
    for way in ("{{ out.stdout.format(out) }}", "{{ out['stdout']['format'](out) }}", "{{ out.stdout.format(now) }}"):
        try:
            assert "class" not in str(render(way, scope))
        except InputError:
            continue


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ out.__class__ }}",
        "{{ out.reading.renderer }}",
        "{{ out['reading'] }}",
        "{{ (out | attr('reading')).renderer }}",
        "{{ lookup.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ hostvars.raw }}",
    ],
)
def test_templates_are_in_a_sandbox(text: str) -> None:
    with pytest.raises(InputError):
        render(text, after_registering(""))


def test_variables_cannot_be_changed_by_templates() -> None:
    scope = after_registering("", "l: [1]\nm: {a: 1}")
    for text in (
        "{{ l.append(2) }}",
        "{{ m.update({'a': 2}) }}",
        "{{ out.stdout_lines.append(1) }}",
        "{{ m.pop('a') }}",
    ):
        with pytest.raises(InputError):
            render(text, scope)
    assert render("{{ l + [m.a] }}", scope) == [1, 1]
