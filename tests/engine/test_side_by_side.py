"""What hosts that go through a play side by side do to each other: as in Ansible, and seen so there."""

from __future__ import annotations

from tests.engine.conftest import Project


def test_what_is_done_once_is_known_to_all(project: Project) -> None:
    project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          tasks:
            - set_fact: {token: "of {{ inventory_hostname }}"}
              run_once: true
            - name: said
              debug: {msg: "{{ token }}"}
        """
    )
    assert [project.messages(host)["said"] for host in "abc"] == ["of a"] * 3


def test_what_failed_once_failed_for_all(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          tasks:
            - {fail: {msg: broken}, run_once: true}
        - hosts: b:c
          gather_facts: false
          tasks: [debug: {msg: a later play}]
        """
    )
    assert done.status == 2
    assert project.report["b"]["tasks"] == []


def test_a_fatal_task_is_done_on_all_hosts_and_ends_the_run(project: Project) -> None:
    done = project.apply(
        "-f",
        "1",
        playbook="""
        - hosts: all
          gather_facts: false
          tasks:
            - block:
                - name: fatal
                  command: test {{ number }} -ne 1
                  changed_when: false
                  any_errors_fatal: true
                - name: after
                  debug: {msg: never}
              always:
                - name: always
                  debug: {msg: on all}
        - hosts: b:c
          gather_facts: false
          tasks: [debug: {msg: a later play}]
        """,
    )
    assert done.status == 2
    assert project.statuses("a") == {"fatal": "failed", "always": "ok"}
    assert project.statuses("b") == project.statuses("c") == {"fatal": "ok", "always": "ok"}


def test_too_many_failures_end_the_run_before_the_next_task(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          max_fail_percentage: 30
          tasks:
            - name: first
              command: test {{ number }} -ne 3
              changed_when: false
            - name: second
              debug: {msg: never}
        """
    )
    assert done.status == 2
    assert project.statuses("a") == {"first": "ok"}


def test_end_batch_and_end_play_reach_as_far_as_they_say(project: Project) -> None:
    playbook = """
        - hosts: all
          gather_facts: false
          serial: 2
          tasks:
            - name: before
              debug: {msg: "{{ ansible_play_batch | join }}"}
            - meta: END
            - name: after
              debug: {msg: never}
        - hosts: all
          gather_facts: false
          tasks:
            - name: next play
              debug: {msg: "{{ ansible_play_batch | join }}"}
        """
    everywhere = {"next play": "abc"}
    assert project.apply(playbook=playbook.replace("END", "end_batch")).status == 0
    assert [project.messages(host) for host in "abc"] == [
        {"before": "ab", **everywhere},
        {"before": "ab", **everywhere},
        {"before": "c", **everywhere},
    ]
    assert project.apply(playbook=playbook.replace("END", "end_play")).status == 0
    assert project.messages("b") == {"before": "ab", **everywhere}
    assert project.messages("c") == everywhere


def test_what_cannot_be_planned_with_a_hosts_answers_fails_as_any_task(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - {command: echo folder, register: said, changed_when: false}
            - name: wrong
              file: {path: /nowhere, state: "{{ said.stdout }}"}
              register: result
              ignore_errors: true
            - assert: {that: result is failed}
        """
    )
    assert done.status == 0, done.stdout
    assert project.statuses()["wrong"] == "ignored"


def test_a_task_is_tried_again_for_its_retries_alone(project: Project) -> None:
    project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - shell: echo x >> {{ out }}/tries; test $(wc -l < {{ out }}/tries) -ge 2
              retries: 2
              delay: 0
              register: second
            - command: "false"
              retries: 2
              delay: 0
              register: never
              ignore_errors: true
            - name: attempts
              debug: {msg: "{{ second.attempts }} {{ never.attempts }}"}
        """
    )
    assert project.messages()["attempts"] == "2 2"
