"""From YAML to plays: what is accepted, what is pushed down, and what is refused where."""

from __future__ import annotations

import pytest

from fleetenv.playbook.model import FlushHandlers, Task

from .conftest import Project


def test_sections_run_in_ansibles_order_with_handlers_flushed_between(project: Project) -> None:
    project.write("roles/r/tasks/main.yml", "- debug: msg=role")
    play = project.play("""
- hosts: all
  post_tasks: [debug: msg=post]
  tasks: [debug: msg=task]
  roles: [r]
  pre_tasks: [debug: msg=pre]
""")
    shown = ["flush" if isinstance(e, FlushHandlers) else e.arguments["msg"] for e in play.entries]  # type: ignore[union-attr,index,call-overload]
    assert shown == ["pre", "flush", "role", "task", "flush", "post", "flush"]


def test_a_command_keeps_its_own_equals_signs(project: Project) -> None:
    (task,) = project.tasks("- command: dd if=/dev/zero of=/x creates=/x  'a b'\n  args: {chdir: /tmp}")
    assert task.arguments == {"cmd": "dd if=/dev/zero of=/x 'a b'", "creates": "/x"}
    assert task.args_vars == {"chdir": "/tmp"}


def test_key_value_text_becomes_arguments(project: Project) -> None:
    (task,) = project.tasks("""- file: path="/a b" state={{ 'x' if y else "z" }} owner='root'""")
    assert task.arguments == {"path": "/a b", "state": "{{ 'x' if y else \"z\" }}", "owner": "root"}


def test_full_module_names_are_the_short_ones(project: Project) -> None:
    tasks = project.tasks("- ansible.builtin.file: {path: /x}\n- ansible.legacy.command: ls\n- action: shell ls")
    assert [task.module for task in tasks] == ["file", "command", "shell"]


def test_what_surrounds_a_task_is_written_into_it(project: Project) -> None:
    (task,) = project.play("""
- hosts: all
  become: true
  tags: site
  environment: {A: 1}
  tasks:
    - when: outer
      become_user: u
      vars: {a: 1, b: 1}
      environment: {B: 2}
      tags: [one, two]
      block:
        - debug:
          when: [inner, most]
          vars: {b: 2}
          become: false
          tags: three
""").entries[:-1]
    assert isinstance(task, Task)
    assert task.when == ("outer", "inner", "most")
    assert task.vars == {"a": 1, "b": 2}
    assert (task.become, task.become_user) == (False, "u")
    assert task.tags == {"site", "one", "two", "three"}
    assert task.environment == ({"A": 1}, {"B": 2})


def test_wrong_words_are_answered_with_the_right_ones(project: Project) -> None:
    assert project.complaint("- host: all") == "site.yml:1:3: 'host' is not a keyword of a play; did you mean 'hosts'?"
    said = project.complaint_about_task("- comand: ls")
    assert said == "site.yml:3:7: 'comand' is neither a module nor a keyword of a task; did you mean 'command'?"
    said = project.complaint_about_task("- debug:\n  whn: x")
    assert said == "site.yml:4:7: 'whn' is neither a module nor a keyword of a task; did you mean 'when'?"
    said = project.complaint_about_task("- community.general.copy: {}")
    assert said.endswith("there is no module 'community.general.copy'; 'copy' is there: write that")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("async", "1"), ("poll", "1"), ("throttle", "1"), ("module_defaults", "{}"), ("connection", "local")],
)
def test_keywords_that_are_not_here_yet_are_refused_by_name(project: Project, keyword: str, value: str) -> None:
    said = project.complaint_about_task(f"- debug:\n  {keyword}: {value}")
    assert said == f"site.yml:4:7: the task keyword '{keyword}' is not supported yet"


def test_a_task_has_one_module(project: Project) -> None:
    assert "one module, not both 'debug' and 'fail'" in project.complaint_about_task("- debug:\n  fail:")
    assert "names no module" in project.complaint_about_task("- name: x")


def test_imports_pass_their_keywords_on_and_includes_do_not(project: Project) -> None:
    project.write("more.yml", "- debug:\n  when: own")
    both = "  when: outer\n  tags: t\n"
    imported, include = project.tasks(
        f"- import_tasks: more.yml\n  vars: {{v: 1}}\n{both}- include_tasks: more.yml\n{both}"
    )
    assert (imported.when, imported.tags, imported.vars) == (("outer", "own"), {"t"}, {"v": 1})
    assert (include.module, include.when, include.tags) == ("include_tasks", ("outer",), {"t"})


def test_an_included_file_is_checked_before_anything_runs(project: Project) -> None:
    project.write("more.yml", "- debg:")
    assert "more.yml:1:3: 'debg'" in project.complaint_about_task("- include_tasks: more.yml")
    assert "there is no file 'none.yml'" in project.complaint_about_task("- include_tasks: none.yml")


def test_a_file_that_imports_itself_is_refused(project: Project) -> None:
    project.write("self.yml", "- import_tasks: self.yml")
    assert "imports itself" in project.complaint_about_task("- import_tasks: self.yml")


def test_a_file_may_include_itself(project: Project) -> None:
    project.write("self.yml", "- debug:\n- include_tasks: self.yml\n  when: false")
    assert len(project.tasks("- include_tasks: self.yml")) == 1
