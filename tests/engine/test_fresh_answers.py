"""No task decides by an answer that an earlier one has made untrue, however far ahead the host was asked.

In each playbook the last state task was asked about early, as part of the first message; then something changed what it
looks at. All hosts of the inventory are this machine: what one of them does, another one sees.
"""

from __future__ import annotations

import os
import shutil
import threading

import pytest

from tests.engine.conftest import Project

EARLY = """
        - hosts: {hosts}
          gather_facts: false
          tasks:
            - {{name: ask early, file: {{path: "{{{{ out }}}}", state: directory}}}}
"""
WANTED = """
            - {name: wanted, copy: {content: right, dest: "{{ out }}/note"}}
"""
SPOIL = "shell: echo wrong > {{ out }}/note"

CHANGES = {
    "a command": f"""
            - {SPOIL}
""",
    "a command that says it changed nothing": f"""
            - {SPOIL}
              changed_when: false
""",
    "a command that failed": """
            - shell: echo wrong > {{ out }}/note; exit 1
              ignore_errors: true
""",
    "a command in a loop": """
            - shell: echo {{ item }} > {{ out }}/note
              loop: [right, wrong]
""",
    "a state task": """
            - copy: {content: wrong, dest: "{{ out }}/note"}
""",
    "a state task in a block": """
            - block:
                - {file: {path: "{{ out }}/note", state: absent}}
              always:
                - debug: {msg: done}
""",
    "a rescue": f"""
            - block:
                - fail: {{msg: broken}}
              rescue:
                - {SPOIL}
""",
    "an included file": """
            - include_tasks: spoil.yml
""",
    "a handler": """
            - {debug: {msg: x}, changed_when: true, notify: spoil}
            - meta: flush_handlers
""",
    "a command of another user": f"""
            - {SPOIL}
              become: true
""",
    "a command that was delegated to this machine": f"""
            - {SPOIL}
              delegate_to: localhost
""",
    "a state task that was delegated to this machine": """
            - copy: {content: wrong, dest: "{{ out }}/note"}
              delegate_to: localhost
""",
    "a task delegated to another name of this machine": """
            - file: {path: "{{ out }}/note", state: absent}
              delegate_to: c
""",
    "a loop of delegated state tasks": """
            - copy: {content: "{{ item }}", dest: "{{ out }}/note"}
              loop: [right, wrong]
              delegate_to: localhost
""",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_by_the_tasks_behind_it(project: Project, change: str) -> None:
    if "another user" in change and (os.geteuid() != 0 or not shutil.which("sudo")):
        pytest.skip("needs root, and sudo")
    note = project.folder / "note"
    note.write_text("right")
    project.write("spoil.yml", f"- {SPOIL}\n")
    handlers = f"          handlers:\n            - name: spoil\n              {SPOIL}\n"
    done = project.apply(playbook=EARLY.format(hosts="a") + CHANGES[change] + WANTED + handlers)
    assert done.status == 0, done.stdout
    assert project.statuses()["wanted"] == "changed"
    assert note.read_text() == "right"


def test_a_task_for_all_hosts_in_one_place_is_seen_by_those_who_waited(project: Project) -> None:
    (project.folder / "note").write_text("right")
    done = project.apply(
        playbook=EARLY.format(hosts="all")
        + """
            - {copy: {content: spoilt, dest: "{{ out }}/note"}, run_once: true}
            - {stat: {path: "{{ out }}/note"}, register: note}
            - assert: {that: note.stat.size == 6}
        """
    )
    assert done.status == 0, done.stdout


def test_another_play_may_have_changed_what_a_host_was_asked_about(project: Project) -> None:
    (project.folder / "note").write_text("right")
    done = project.apply(
        playbook=EARLY.format(hosts="a")
        + WANTED
        + f"""
        - hosts: b
          gather_facts: false
          tasks:
            - {SPOIL}
        - hosts: a
          gather_facts: false
          tasks:
            - {{name: again, copy: {{content: right, dest: "{{{{ out }}}}/note"}}}}
        """
    )
    assert done.status == 0, done.stdout
    assert project.statuses() == {"ask early": "ok", "wanted": "ok", "again": "changed"}


def test_until_looks_anew_each_time(project: Project) -> None:
    """A file that somebody else makes is waited for."""
    timer = threading.Timer(1.5, (project.folder / "ready").touch)
    timer.start()
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - name: wait
              stat: {path: "{{ out }}/ready"}
              register: ready
              until: ready.stat.exists
              retries: 60
              delay: 0.1
            - assert: {that: ready.stat.exists and ready.attempts > 1}
        """
    )
    timer.join()
    assert done.status == 0, done.stdout


def test_what_a_task_makes_on_the_controller_is_read_by_the_tasks_behind_it(project: Project) -> None:
    """As with a key that one task generates, and the next ones hand out: the file need not exist beforehand."""
    (project.folder / "known").write_text("old")
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - shell: printf new > {{ out }}/made; printf new > {{ out }}/known
              delegate_to: localhost
            - copy: {src: "{{ out }}/made", dest: "{{ out }}/copied"}
            - copy: {src: "{{ out }}/known", dest: "{{ out }}/again"}
            - copy: {content: "{{ query('file', out ~ '/made', out ~ '/known') | join(' ') }}", dest: "{{ out }}/read"}
        """
    )
    assert done.status == 0, done.stdout + done.stderr
    texts = [(project.folder / name).read_text() for name in ("copied", "again", "read")]
    assert texts == ["new", "new", "new new"]


def test_what_other_hosts_registered_is_read_at_the_tasks_turn(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a, b
          gather_facts: false
          tasks:
            - command: echo token
              register: said
              when: inventory_hostname == 'a'
            - command: "true"
              run_once: true
        - hosts: b
          gather_facts: false
          tasks:
            - copy: {content: "{{ hostvars['a'].said.stdout | default('nothing') }}", dest: "{{ out }}/said"}
        """
    )
    assert done.status == 0, done.stdout + done.stderr
    assert (project.folder / "said").read_text() == "token"


def test_the_time_is_that_of_the_task(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - set_fact: {before: "{{ now().timestamp() }}"}
            - command: sleep 0.5
            - set_fact: {after: "{{ now().timestamp() }}"}
            - assert: {that: after - before >= 0.5}
        """
    )
    assert done.status == 0, done.stdout


def test_run_once_sets_facts_for_all(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          tasks:
            - {set_fact: {token: "{{ inventory_hostname }}"}, run_once: true}
            - assert: {that: token == 'a'}
        """
    )
    assert done.status == 0, done.stdout
