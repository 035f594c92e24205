"""Template files: what Ansible's `template` makes of them, and errors that name their line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fleetenv.errors import InputError
from fleetenv.playbook import Templates

FILES = {
    "plain": "a\nb\n",
    "no newline at the end": "a",
    "blocks": "{% for x in [1, 2] %}\nline {{ x }}\n{% endfor %}\nend\n",
    "indented blocks": "a\n  {% if n %}\n  yes\n  {% endif %}\nz\n",
    "header": "#jinja2: lstrip_blocks: True, trim_blocks: False\na\n  {% if n %}\n  yes\n  {% endif %}\nz\n",
    "other brackets": "#jinja2: variable_start_string: '[%', variable_end_string: '%]'\n[% n %] {{ n }}\n",
    "none": "[{{ none }}]\n",
    "list": "{{ [1, 'a'] }}\n",
    "only an expression": "{{ n }}",
    "backslashes": "{{ 'a\\\\tb' }} {{ name | regex_replace('(g)', '\\\\1\\\\1') }}\n",
    "windows": "a\r\nb\r\n",
    "include": "{% include 'part.j2' %}!\n",
    "import": "{% from 'macros.j2' import m with context %}{{ m(n) }}\n",
    "managed": "{{ template_path | basename }} {{ template_uid }} {{ ansible_managed }}\n",
    "whitespace control": "a\n{%- if n %}\nb\n{%- endif %}\nc\n",
    "comment": "{# gone #}\nx\n",
    "empty": "",
    "set": "{% set x = n + 1 %}\n{{ x }}\n",
    "json": "{{ {'b': 1, 'a': [true, none]} | to_nice_json }}\n",
}


@pytest.fixture(scope="module")
def by_ansible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ansible-core's template module makes of the files."""
    folder = tmp_path_factory.mktemp("templates")
    tasks = ["- hosts: localhost", "  gather_facts: false", "  vars: {n: 3, name: gpu}", "  tasks:"]
    (folder / "part.j2").write_text("part {{ n }}\n")
    (folder / "macros.j2").write_text("{% macro m(x) %}<{{ x }}{{ name }}>{% endmacro %}")
    for name, text in FILES.items():
        (folder / f"{name}.j2").write_text(text, newline="")
        tasks.append(f"    - template: {{src: '{folder}/{name}.j2', dest: '{folder}/{name}.out'}}")
    (folder / "site.yml").write_text("\n".join(tasks))
    interpreter = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible.cli.playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            interpreter,
            "site.yml",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", FILES)
def test_as_ansible(by_ansible: Path, name: str) -> None:
    rendered = Templates().render_file(by_ansible / f"{name}.j2", {"n": 3, "name": "gpu"})
    assert rendered == (by_ansible / f"{name}.out").read_bytes().decode()


def complaint(folder: Path, text: str) -> str:
    (folder / "t.j2").write_text(text)
    with pytest.raises(InputError) as caught:
        Templates().render_file(folder / "t.j2", {"name": "x"})
    return str(caught.value).replace(f"{folder}/", "")


def test_errors_name_the_line(tmp_path: Path) -> None:
    assert complaint(tmp_path, "a\n\n{{ nam }}\n") == "t.j2:3:1: 'nam' is undefined; did you mean 'name'?"
    assert (
        complaint(tmp_path, "a\n{% if %}")
        == "t.j2:2:1: not a valid template: Expected an expression, got 'end of statement block'"
    )
    assert complaint(tmp_path, "a\n{{ 1 / 0 }}").startswith("t.j2:2:1: cannot render the template: division by zero")
    assert "t.j2:1:1: 'nope: 1' is not a setting" in complaint(tmp_path, "#jinja2: nope: 1\nx")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    templates = Templates()
    file = tmp_path / "t.j2"
    file.write_text("one")
    assert templates.render_file(file, {}) == "one"
    file.write_text("another")
    assert templates.render_file(file, {}) == "another"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the template"):
        Templates().render_file(tmp_path / "none.j2", {})


def test_extra_variables_of_the_module_win(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("{{ name }} {{ lookup('vars', 'name') }}")
    assert Templates().render_file(tmp_path / "t.j2", {"name": "x"}, {"name": "y"}) == "y y"
