"""How a host walks through a play, seen from outside: traces that tasks leave, and the JSON document."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from tests.engine.conftest import Project

ADD = "echo {} >> {{{{ out }}}}/trace.{{{{ inventory_hostname }}}}"


def add(word: str) -> str:
    return ADD.format(word)


def test_tasks_run_in_order_and_handlers_once_at_the_end(project: Project) -> None:
    done = project.apply(
        playbook=f"""
        - hosts: all
          gather_facts: false
          pre_tasks:
            - shell: {add("pre")}
              notify: after
          tasks:
            - shell: {add("one")}
              notify: [after, second]
            - shell: {add("two")}
              notify: after
          post_tasks:
            - shell: {add("post")}
          handlers:
            - name: second
              shell: {add("H2")}
            - name: first
              listen: after
              shell: {add("H1")}
        """
    )
    assert done.status == 0, done.stdout + done.stderr
    assert project.trace("a") == ["pre", "H1", "one", "two", "H2", "H1", "post"]
    assert project.trace("c") == project.trace("a")
    assert project.report["b"]["changed"] == 7


def test_handlers_run_at_flush_handlers(project: Project) -> None:
    project.apply(
        playbook=f"""
        - hosts: a
          gather_facts: false
          tasks:
            - shell: {add("one")}
              notify: after
            - meta: flush_handlers
            - shell: {add("two")}
          handlers:
            - name: after
              shell: {add("H")}
        """
    )
    assert project.trace() == ["one", "H", "two"]


def test_rescue_takes_over_and_always_runs(project: Project) -> None:
    done = project.apply(
        playbook=f"""
        - hosts: a
          gather_facts: false
          tasks:
            - block:
                - name: breaks
                  command: "false"
                - shell: {add("unreached")}
              rescue:
                - shell: {add("rescue")}
                - name: knows
                  assert: {{that: ansible_failed_task.name == 'breaks' and ansible_failed_result.rc == 1}}
              always:
                - shell: {add("always")}
            - shell: {add("after")}
        """
    )
    assert done.status == 0, done.stdout
    assert project.trace() == ["rescue", "always", "after"]
    assert project.statuses()["breaks"] == "rescued"


def test_always_runs_when_nothing_rescues(project: Project) -> None:
    done = project.apply(
        playbook=f"""
        - hosts: a
          gather_facts: false
          tasks:
            - block:
                - command: "false"
              always:
                - shell: {add("always")}
            - shell: {add("unreached")}
        """
    )
    assert done.status == 2
    assert project.trace() == ["always"]


def test_one_host_fails_alone(project: Project) -> None:
    done = project.apply(
        playbook=f"""
        - hosts: all
          gather_facts: false
          tasks:
            - name: breaks on b
              command: "test {{{{ number }}}} -ne 2"
            - shell: {add("after")}
        - hosts: all
          gather_facts: false
          tasks:
            - shell: {add("second-play")}
        """
    )
    assert done.status == 2
    assert project.trace("a") == project.trace("c") == ["after", "second-play"]
    assert project.trace("b") == []
    assert project.report["b"]["failed"] == 1
    assert project.report["a"]["failed"] == 0


def test_loops_register_every_item(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - name: loop
              command: "echo {{ item.name }}-{{ n }}"
              loop: [{name: x, go: true}, {name: y, go: false}, {name: z, go: true}]
              loop_control: {index_var: n, label: "{{ item.name }}"}
              when: item.go
              register: out_
            - assert:
                that:
                  - out_.results | length == 3
                  - out_.results[0].stdout == 'x-0'
                  - out_.results[1] is skipped
                  - out_.results[2].item.name == 'z'
                  - out_ is changed
        """
    )
    assert done.status == 0, done.stdout
    assert [each.get("item") for each in project.report["a"]["tasks"][:3]] == ["x", "y", "z"]
    assert project.report["a"]["changed"] == 1


def test_set_fact_in_a_loop_sees_the_item_before(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - set_fact: {sum_: "{{ (sum_ | default(0)) + item }}"}
              loop: [1, 2, 3]
            - assert: {that: sum_ == 6}
        """
    )
    assert done.status == 0, done.stdout


def test_changed_when_and_failed_when_decide(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - name: quiet
              command: echo hi
              changed_when: false
            - name: expected
              command: sh -c 'exit 3'
              register: r
              failed_when: r.rc != 3
            - name: ignored
              command: "false"
              ignore_errors: true
            - name: strict
              command: echo broken
              register: s
              failed_when: "'broken' in s.stdout"
        """
    )
    assert done.status == 2
    assert project.statuses() == {"quiet": "ok", "expected": "changed", "ignored": "ignored", "strict": "failed"}


def test_until_tries_again(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - name: third time
              shell: "echo x >> {{ out }}/tries; wc -l < {{ out }}/tries"
              register: r
              until: r.stdout | int >= 3
              retries: 5
              delay: 0
            - assert: {that: r.attempts == 3}
            - name: never
              command: echo no
              register: n
              until: n.stdout == 'yes'
              retries: 1
              delay: 0
        """
    )
    assert done.status == 2
    assert project.statuses()["never"] == "failed"


def test_run_once_gives_its_result_to_all(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          tasks:
            - name: once
              shell: "echo x >> {{ out }}/once; echo token"
              run_once: true
              register: r
            - assert: {that: r.stdout == 'token'}
        """
    )
    assert done.status == 0, done.stdout
    assert (project.folder / "once").read_text() == "x\n"


def test_delegate_to_localhost(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - name: on the controller
              command: echo {{ inventory_hostname }}
              delegate_to: localhost
              register: r
            - assert: {that: r.stdout == 'a'}
        """
    )
    assert done.status == 0, done.stdout


def test_serial_goes_batch_by_batch_and_stops_at_a_lost_batch(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          serial: 1
          tasks:
            - shell: "echo {{ inventory_hostname }} >> {{ out }}/order"
            - command: "test {{ number }} -ne 2"
        """
    )
    assert done.status == 2
    assert (project.folder / "order").read_text().split() == ["a", "b"]
    assert "1 host converged, 3 changed, 1 host failed, 1 host came to no task in" in done.stdout


def test_any_errors_fatal_stops_everybody(project: Project) -> None:
    done = project.apply(
        playbook=f"""
        - hosts: all
          gather_facts: false
          any_errors_fatal: true
          serial: 3
          tasks:
            - command: "test {{{{ number }}}} -ne 1"
            - command: sleep 1
            - shell: {add("unreached")}
        """
    )
    assert done.status == 2
    assert project.trace("b") == project.trace("c") == []


def test_include_tasks_in_a_loop_and_include_role(project: Project) -> None:
    project.write("more.yml", f"- shell: {add('{{ item }}')}\n")
    project.write("roles/r/tasks/main.yml", f"- shell: {add('role-{{ word }}')}\n  notify: role handler\n")
    project.write("roles/r/handlers/main.yml", f"- name: role handler\n  shell: {add('RH')}\n")
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - include_tasks: more.yml
              loop: [x, y]
            - include_role: {name: r}
              vars: {word: hi}
        """
    )
    assert done.status == 0, done.stdout
    assert project.trace() == ["x", "y", "role-hi", "RH"]


def test_check_mode_changes_nothing_and_says_what_it_would(project: Project) -> None:
    playbook = """
        - hosts: a
          gather_facts: false
          tasks:
            - name: folder
              file: {path: "{{ out }}/new", state: directory}
            - name: file
              copy: {content: "hello\\n", dest: "{{ out }}/note"}
            - name: command
              command: touch {{ out }}/touched
        """
    (project.folder / "note").write_text("old\n")
    done = project.apply("--check", "--diff", playbook=playbook)
    assert done.status == 0, done.stdout
    assert project.statuses() == {"folder": "changed", "file": "changed", "command": "skipped"}
    assert "-old" in done.stdout
    assert "+hello" in done.stdout
    assert (project.folder / "note").read_text() == "old\n"
    assert not (project.folder / "new").exists()
    assert not (project.folder / "touched").exists()


def test_a_second_run_changes_nothing_in_one_round_trip(project: Project) -> None:
    playbook = """
        - hosts: all
          gather_facts: false
          tasks:
            - file: {path: "{{ out }}/{{ inventory_hostname }}/{{ item }}", state: directory, mode: "0750"}
              loop: [x, y, z]
            - copy: {content: "{{ inventory_hostname }}\\n", dest: "{{ out }}/{{ inventory_hostname }}/x/name"}
              notify: told
          handlers:
            - name: told
              debug: {msg: told}
        """
    assert project.apply(playbook=playbook).status == 0
    assert project.report["a"]["changed"] == 2
    assert project.apply().status == 0
    assert {host: (each["changed"], each["round_trips"]) for host, each in project.report.items()} == {
        "a": (0, 1),
        "b": (0, 1),
        "c": (0, 1),
    }


def test_what_still_differs_after_all_steps_has_failed(project: Project) -> None:
    target = project.folder / "clash"
    target.mkdir()
    (target / "inside").touch()
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - name: a file where a folder is
              copy: {content: x, dest: "{{ out }}/clash/inside/deeper"}
        """
    )
    assert done.status == 2
    assert project.messages()["a file where a folder is"]


def test_an_unreachable_host_is_lost_alone(project: Project) -> None:
    project.write(
        "hosts.yml",
        """
        all:
          hosts:
            a: {ansible_connection: local, number: 1}
            gone: {ansible_host: 127.0.0.1, ansible_port: 1, number: 2}
        """,
    )
    playbook = """
        - hosts: all
          gather_facts: false
          tasks:
            - command: "test {{ number }} -ne {{ bad | default(0) }}"
        """
    done = project.apply(playbook=playbook)
    assert done.status == 4
    assert "unreachable: [gone]" in done.stdout
    assert project.report["gone"]["unreachable"] == 1
    assert project.report["a"]["changed"] == 1
    assert project.apply("-e", "bad=1").status == 6


def test_what_a_failed_command_said_is_shown(project: Project) -> None:
    done = project.apply(
        playbook="""
        - hosts: a
          gather_facts: false
          tasks:
            - shell: "printf 'no such \\\\033[31mGPU\\\\n' >&2; exit 3"
        """
    )
    assert done.status == 2
    assert "no such \\x1b[31mGPU" in done.stdout
    assert "\x1b" not in done.stdout


def test_ctrl_c_ends_the_run_with_a_recap(project: Project) -> None:
    project.write(
        "site.yml",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - shell: "touch {{ out }}/begun.{{ inventory_hostname }}; exec sleep 60"
            - shell: touch {{ out }}/unreached
        """,
    )
    command = ("apply", "site.yml", "-i", "hosts.yml", "-e", f"out={project.folder}")
    process = project.cli.start(*command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while len(list(project.folder.glob("begun.*"))) < 3 and time.monotonic() < deadline:
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "RECAP" in stdout
    assert "interrupted" in stdout
    assert "Traceback" not in stderr
    assert not (project.folder / "unreached").exists()
