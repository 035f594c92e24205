"""Roles: where they are found, what they bring, in which order, and how often they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.playbook import Playbook
from fleetenv.playbook.model import Entry, FlushHandlers, Task

from .conftest import MODULES, Project, every_task


def said(project: Project, text: str, only: set[str] | None = None, skip: set[str] | None = None) -> list[str]:
    playbook = project.read(text)
    entries = playbook.selected(playbook.plays[0], only or {"all"}, skip or set())
    return [message(task) for task in every_task(entries)]


def message(task: Entry) -> str:
    assert isinstance(task, Task)
    assert isinstance(task.arguments, dict)
    return str(task.arguments["msg"])


def role(project: Project, name: str, *dependencies: str, meta: str = "") -> None:
    project.write(f"roles/{name}/tasks/main.yml", f"- debug: msg={name}")
    project.write(f"roles/{name}/meta/main.yml", f"dependencies: [{', '.join(dependencies)}]\n{meta}")


def test_dependencies_run_first_and_the_same_role_once(project: Project) -> None:
    role(project, "common")
    role(project, "a", "common")
    role(project, "b", "a", "common")
    assert said(project, "- hosts: all\n  roles: [b, a, common]") == ["common", "a", "b"]


def test_other_parameters_make_it_another_use(project: Project) -> None:
    role(project, "r")
    text = "- hosts: all\n  roles: [r, {role: r, p: 1}, {role: r, p: 1}, {role: r, vars: {p: 1}}]"
    assert said(project, text) == ["r", "r", "r"]


def test_allow_duplicates_runs_each_time(project: Project) -> None:
    role(project, "r", meta="allow_duplicates: true")
    assert said(project, "- hosts: all\n  roles: [r, r]") == ["r", "r"]


def test_a_dependency_runs_for_the_chosen_role_though_another_came_first(project: Project) -> None:
    role(project, "common")
    role(project, "a", "common")
    role(project, "b", "common")
    text = "- hosts: all\n  roles: [{role: a, tags: a}, {role: b, tags: b}]"
    assert said(project, text, {"b"}) == ["common", "b"]
    assert said(project, text) == ["common", "a", "b"]


def test_a_dependency_of_a_conditional_role_still_runs_for_the_next(project: Project) -> None:
    role(project, "common")
    role(project, "a", "common")
    role(project, "b", "common")
    assert said(project, "- hosts: all\n  roles: [{role: a, when: x}, b]") == ["common", "a", "common", "b"]
    assert said(project, "- hosts: all\n  roles: [b, {role: a, when: x}]") == ["common", "b", "a"]


def test_roles_that_need_each_other_are_refused(project: Project) -> None:
    role(project, "a", "b")
    role(project, "b", "a")
    assert "the roles need each other: a -> b -> a" in project.complaint("- hosts: all\n  roles: [a]")


def test_a_missing_role_names_the_nearest_and_its_place(project: Project) -> None:
    role(project, "miniconda")
    said = project.complaint("- hosts: all\n  roles:\n    - minconda")
    assert said == "site.yml:3:7: there is no role 'minconda'; did you mean 'miniconda'?"
    assert "looked for in" in project.complaint("- hosts: all\n  roles: [zzz]")


def test_roles_are_found_on_the_role_path_and_by_environment(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("far/x/tasks/main.yml", "- debug: msg=x")
    project.write("farther/y/tasks/main.yml", "- debug: msg=y")
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", f"/nowhere:{tmp_path}/farther")
    file = project.write("site.yml", "- hosts: all\n  roles: [x, y]")
    playbook = Playbook(file, modules=MODULES, role_path=[tmp_path / "far"])
    assert [role.path for role in playbook.plays[0].roles] == [tmp_path / "far/x", tmp_path / "farther/y"]


def test_a_role_brings_its_handlers_before_the_plays(project: Project) -> None:
    role(project, "r")
    project.write("roles/r/handlers/main.yml", "- name: of role\n  debug:\n- import_tasks: more.yml")
    project.write("roles/r/handlers/more.yml", "- name: more\n  debug:\n  listen: [x, y]")
    play = project.play("- hosts: all\n  roles: [{role: r, become: true}]\n  handlers: [{name: of play, debug: }]")
    assert [handler.name for handler in play.handlers] == ["of role", "more", "of play"]
    assert [handler.listen for handler in play.handlers] == [(), ("x", "y"), ()]
    assert [handler.become for handler in play.handlers] == [True, True, None]
    assert all(handler.handler for handler in play.handlers)


def test_parts_of_a_role_can_be_chosen(project: Project) -> None:
    role(project, "r")
    project.write("roles/r/tasks/install.yml", "- debug: msg=install")
    project.write("roles/r/vars/big.yaml", "v: big")
    project.write("roles/r/defaults/main/one.yml", "d1: 1")
    project.write("roles/r/defaults/main/two.yml", "d2: 2")
    text = "- hosts: all\n  tasks: [{import_role: {name: r, tasks_from: install, vars_from: big}}]"
    play = project.play(text)
    assert [message(task) for task in every_task(play.entries)] == ["install"]
    assert (play.roles[0].vars, play.roles[0].defaults) == ({"v": "big"}, {"d1": 1, "d2": 2})
    said = project.complaint(text.replace("install", "instal"))
    assert "the role r has no tasks/instal; did you mean 'install'?" in said


def test_files_outside_a_role_are_not_parts_of_it(project: Project) -> None:
    role(project, "r")
    project.write("secret.yml", "- debug:")
    text = "- hosts: all\n  tasks: [{import_role: {name: r, tasks_from: ../../../secret.yml}}]"
    assert "leads out of the role" in project.complaint(text)


def test_files_are_looked_for_in_the_role_then_the_roles_it_serves_then_the_playbook(project: Project) -> None:
    role(project, "inner")
    role(project, "outer", "inner")
    (task, *_) = every_task(project.play("- hosts: all\n  roles: [outer]").entries)
    roles = project.folder / "roles"
    assert task.search == (roles / "inner", roles / "outer", roles / "inner/tasks", project.folder)


def test_names_of_imports_may_use_the_plays_and_extra_variables(project: Project) -> None:
    role(project, "r")
    project.write("vars.yml", "which: r")
    text = "- hosts: all\n  vars_files: [vars.yml]\n  roles: ['{{ which }}']"
    assert said(project, text) == ["r"]
    assert "no host is known yet" in project.complaint("- hosts: all\n  roles: ['{{ which }}']")
    playbook = project.read("- hosts: all\n  roles: ['{{ which }}']", extra_vars={"which": "r"})
    assert [each.name for each in playbook.plays[0].roles] == ["r"]


def test_including_again_gives_the_same_tasks_so_that_run_once_knows_them(project: Project) -> None:
    role(project, "r")
    project.write("roles/r/handlers/main.yml", "- name: h\n  debug:")
    playbook = project.read("- hosts: all\n  tasks: [{include_role: {name: '{{ which }}', public: true}}]")
    play = playbook.plays[0]
    (task,) = every_task(play.entries)
    first = playbook.include(play, task, {}, {"which": "r"})
    second = playbook.include(play, task, {}, {"which": "r"})
    other = playbook.include(play, task, {"item": 1}, {"which": "r"})
    assert first.entries[0] is second.entries[0]
    assert first.entries[0] is not other.entries[0]
    assert [each.name for each in first.handlers] == ["h"]
    assert [each.name for each in first.exported] == ["r"]
    assert not any(isinstance(each, FlushHandlers) for each in first.entries)


def test_tags_are_asked_of_included_tasks_too(project: Project) -> None:
    project.write("more.yml", "- debug: msg=one\n  tags: one\n- debug: msg=two")
    playbook = project.read(
        "- hosts: all\n  tasks: [{include_tasks: {file: more.yml, apply: {tags: x}}, tags: always}]"
    )
    play = playbook.plays[0]
    (task,) = every_task(playbook.selected(play, {"one"}, set()))
    included = playbook.include(play, task, {}, {}, only={"one"})
    assert [message(each) for each in included.entries] == ["one"]
    assert len(playbook.include(play, task, {}, {}, only={"x"}).entries) == 2


def test_include_says_what_is_wrong_with_its_arguments(project: Project) -> None:
    assert "include_tasks has no argument 'fil'; did you mean 'file'?" in project.complaint_about_task(
        "- include_tasks: {fil: x.yml}"
    )
    assert "takes no 'become'" in project.complaint_about_task("- include_tasks: x.yml\n  become: true")
    assert "import_tasks has no argument 'apply'" in project.complaint_about_task(
        "- import_tasks: {file: x, apply: {}}"
    )
    assert "cannot loop" in project.complaint_about_task("- import_tasks: x.yml\n  loop: [1]")


def test_an_imported_playbook_gets_its_vars_tags_and_conditions(project: Project) -> None:
    project.write("sub/more.yml", "- hosts: b\n  vars: {v: own, w: own}\n  tasks: [{debug: {msg: x}}]")
    playbook = project.read("- hosts: a\n- import_playbook: sub/more.yml\n  vars: {v: 1}\n  tags: t\n  when: c")
    play = playbook.plays[1]
    (task,) = every_task(play.entries)
    assert play.vars == {"v": 1, "w": "own"}
    assert (task.tags, task.when) == ({"t"}, ("c",))
    assert play.folder == project.folder / "sub"
    assert "imports itself" in project.complaint("- import_playbook: site.yml")
