"""Bad input is told before any host is touched, with its place and what would be right."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Project

TOUCH = """
        - hosts: all
          gather_facts: false
          tasks:
            - shell: touch {{ out }}/touched
"""


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("- fil: {path: /x}", ["'fil'", "did you mean 'file'", "site.yml:6:"]),
        ("- file: {pth: /x, state: directory}", ["'pth'", "path", "site.yml:6:"]),
        ("- file: {path: /x, state: folder}", ["'state'", "site.yml:6:"]),
        ("- {file: {path: /x}, wen: true}", ["wen", "when", "site.yml:6:"]),
        ("- debug: {msg: '{{ nmber }}'}", ["nmber", "number", "site.yml:6:"]),
        ("- debug: {msg: '{{ number | intt }}'}", ["intt", "site.yml:6:"]),
        ("- debug: {msg: '{{ number '}", ["site.yml:6:"]),
        ("- copy: {src: nowhere.txt, dest: /x}", ["nowhere.txt", "site.yml:6:"]),
        ("- template: {src: nowhere.j2, dest: /x}", ["nowhere.j2", "site.yml:6:"]),
        ("- {command: 'true', notify: nobody}", ["nobody", "site.yml:6:"]),
        ("- {command: 'true', loop: '{{ number }}'}", ["list", "site.yml:6:"]),
        ("- import_tasks: nowhere.yml", ["nowhere.yml", "site.yml:6:"]),
        ("- lineinfile: {path: /x, line: y}", ["lineinfile", "site.yml:6:"]),
        ("- {debug: {msg: x}, async: 5}", ["async", "not supported yet", "site.yml:6:"]),
    ],
)
def test_bad_task_is_told_before_any_host_is_touched(project: Project, task: str, words: list[str]) -> None:
    done = project.apply(playbook=TOUCH + f"            {task}\n")
    assert done.status == 1, done.stdout
    assert not (project.folder / "touched").exists()
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_variables_that_a_task_will_register_are_no_mistake(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - command: echo hi
              register: said
            - set_fact: {later: "{{ said.stdout }}"}
            - debug: {msg: "{{ later }}"}
            - debug: {msg: "{{ {'inside': [said]} | to_json }} {{ [said] | to_yaml }}"}
            - assert: {that: later == 'hi'}
        """
    )
    assert done.status == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-l", "nobody"], "nobody"),
        (["--json", "/nowhere/at/all.json"], "/nowhere/at"),
        (["-e", "novalue"], "key=value"),
        (["--nonsense"], "unrecognized arguments: --nonsense; 'fleetenv apply --help'"),
        (["-f", "none"], "'none' is not a number above 0"),
    ],
)
def test_bad_options(project: Project, words: list[str], expected: str) -> None:
    done = project.apply(*words, playbook=TOUCH)
    assert done.status == 1
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (project.folder / "touched").exists()


def test_what_a_host_says_is_never_a_template(project: Project) -> None:
    project.write("said", "{{lookup('pipe','id')}}\n")
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - command: cat {{ out }}/said
              register: evil
            - set_fact: {kept: "{{ evil.stdout }}"}
            - debug: {msg: "{{ kept }}"}
            - copy: {content: "{{ kept }}", dest: "{{ out }}/kept"}
        """
    )
    assert done.status == 0, done.stdout + done.stderr
    assert (project.folder / "kept").read_text() == "{{lookup('pipe','id')}}"
    assert "uid=" not in done.stdout


def test_lists_need_no_keys_of_hosts(project: Project) -> None:
    project.write("hosts.ini", "far ansible_host=192.0.2.1 ansible_ssh_private_key_file=/nowhere/key\n")
    project.inventory = "hosts.ini"
    listed = project.apply("--list-hosts", "--list-tasks", playbook=TOUCH)
    assert (listed.status, listed.stderr) == (0, "")
    assert "far" in listed.stdout
    done = project.apply()
    assert done.status == 1
    assert done.stderr.startswith("fleetenv: hosts.ini:1:57: ansible_ssh_private_key_file of host 'far' cannot be")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("- fil: {path: /x}", ["'fil'"]),
        ("- debug: {msg: '{{ nmber }}'}", ["nmber", "number"]),
        ("- {debug: {msg: x}, run_once: perhaps}", ["'perhaps' is neither yes nor no"]),
    ],
)
def test_a_rescue_is_checked_before_anything_fails(project: Project, task: str, words: list[str]) -> None:
    rescue = f"            - {{block: [command: 'true'], rescue: [{task.removeprefix('- ')}]}}\n"
    done = project.apply(playbook=TOUCH + rescue)
    assert done.status == 1, done.stdout
    assert "site.yml:6:" in done.stderr
    for word in words:
        assert word in done.stderr


def test_set_fact_names_may_be_templates(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - set_fact: {"{{ 'dyn' }}amic": 5}
            - debug: {msg: "{{ dynamic }}"}
            - assert: {that: dynamic == 5}
        """
    )
    assert done.status == 0, done.stdout + done.stderr
