"""Commands that follow each other go over in one message, and nobody can tell: only the round trips are fewer.

`--task-timeout` makes every command go alone, since each is to be ended when its own time is over. What a run with it
does and tells is what a run without it has to do and tell.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from tests.conftest import Finished
from tests.engine.conftest import Project

HEAD = """
- hosts: a
  gather_facts: false
  vars: {root_user: root}
  tasks:
"""


def add(word: str) -> str:
    return f"echo {word} >> {{{{ out }}}}/trace.{{{{ inventory_hostname }}}}"


def play(*tasks: str) -> str:
    return HEAD + "".join(indent(task.strip("\n"), "    ") + "\n" for task in tasks)


def trips(done: Finished) -> int:
    """Messages that the host was sent."""
    told = re.search(r"(\d+) round trips? a host", done.stdout)
    return int(told[1]) if told else 0


TOGETHER = {
    "commands": ["- command: id\n  register: who\n  changed_when: false", "- shell: echo x; true", "- command: id"],
    "items of a loop": ["- command: echo {{ item }}\n  loop: [1, 2, 3]\n  register: said"],
    "a loop between others": ["- command: id", "- command: echo {{ item }}\n  loop: [1, 2]", "- command: id"],
    "tasks that are skipped between": ["- command: id", "- {command: 'false', when: false}", "- command: id"],
    "one that is ignored if it fails": ["- command: id\n  ignore_errors: true", "- command: id"],
    "the last may be judged": ["- command: id", "- command: id\n  register: me\n  failed_when: me.rc > 7"],
    "other environments": ["- shell: echo $X\n  environment: {X: 1}", "- shell: echo $X\n  environment: {X: 2}"],
    "blocks": ["- block:\n    - command: id\n  rescue:\n    - command: id", "- command: id"],
    "creates": ["- command: id\n  args: {creates: /}", "- command: id\n  args: {creates: /nope}", "- command: id"],
    "questions behind": ["- command: id", "- command: id", "- {stat: {path: /}}", "- {stat: {path: /etc}}"],
    "names that were registered before": [
        "- set_fact: {x: 1}",
        "- command: id\n  register: y",
        "- command: echo {{ x }}",
    ],
}

APART = {
    "what is registered is said": ["- command: id\n  register: me", "- command: echo {{ me.stdout }}"],
    "what is registered decides": ["- command: id\n  register: me", "- command: id\n  when: me.rc == 0"],
    "what is registered is looped over": [
        "- command: id\n  register: me",
        "- command: id\n  loop: '{{ me.stdout_lines }}'",
    ],
    "what is registered is in the environment": [
        "- command: id\n  register: me",
        "- command: id\n  environment: {ME: '{{ me.stdout }}'}",
    ],
    "a variable's variable was registered": [
        "- command: id\n  register: me",
        "- command: echo {{ said }}\n  vars: {said: '{{ me.stdout }}'}",
    ],
    "all variables are read": ["- command: id\n  register: me", "- command: echo {{ vars.me.rc }}"],
    "a condition for failure": ["- command: id\n  register: me\n  failed_when: me.rc > 7", "- command: id"],
    "a condition for change": ["- command: id\n  register: me\n  changed_when: me.rc > 7", "- command: id"],
    "until": ["- command: id\n  register: me\n  until: me.rc == 0", "- command: id"],
    "a notification": ["- command: id\n  notify: []", "- command: id"],
    "a task between": ["- command: id", "- {stat: {path: /}}", "- command: id"],
    "a message between": ["- command: id", "- {debug: {msg: hi}}", "- command: id"],
    "handlers between": ["- command: id", "- meta: flush_handlers", "- command: id"],
    "an include between": ["- command: id", "- include_tasks: one.yml"],
    "another user": ["- command: id", "- command: id\n  become: true"],
    "another host": ["- command: id", "- command: id\n  delegate_to: b", "- command: id"],
    "one host for all": ["- command: id", "- command: id\n  run_once: true"],
    "errors that end it for all": ["- command: id\n  any_errors_fatal: true", "- command: id"],
    "a timeout": ["- command: id\n  timeout: 60", "- command: id"],
    "a pause": ["- command: echo {{ item }}\n  loop: [1, 2]\n  loop_control: {pause: 0.1}"],
    "chance": ["- command: id", "- command: echo {{ 1000000 | random }}"],
    "the controller's files": ["- command: id", "- command: id\n  when: \"'/' is exists\""],
}


@pytest.mark.parametrize("tasks", TOGETHER)
def test_it_takes_one_message(project: Project, tasks: str) -> None:
    done = project.apply(playbook=play(*TOGETHER[tasks]))
    assert (done.status, trips(done)) == (0, 1), done.stdout + done.stderr


def test_questions_behind_one_that_has_to_wait_go_along_with_it(project: Project) -> None:
    look = [f"- {{stat: {{path: {path}}}}}" for path in ("/", "/etc", "/tmp")]
    note = "- copy: {content: '{{ me.stdout }}', dest: '{{ out }}/note'}"
    never = "- stat: {path: '/{{ me.stdout }}'}\n  when: me.rc != 0"
    playbook = play("- command: id\n  register: me", look[0], never, look[1], note, look[2])
    project.apply(playbook=playbook)
    done = project.apply()
    assert (done.status, trips(done)) == (0, 2), done.stdout + done.stderr


@pytest.mark.parametrize("reason", APART)
def test_it_takes_more_than_one_message(project: Project, reason: str) -> None:
    if "another user" in reason and (os.geteuid() != 0 or not shutil.which("sudo")):
        pytest.skip("needs root, and sudo")
    project.write("one.yml", "- command: id\n")
    done = project.apply(playbook=play(*APART[reason]))
    assert done.status == 0, done.stdout + done.stderr
    assert trips(done) == 2 or "another" in reason or "host" in reason, done.stdout


def test_nothing_runs_behind_a_command_that_failed(project: Project) -> None:
    done = project.apply(playbook=play(f"- shell: {add(1)}", "- shell: exit 3", f"- shell: {add(2)}"))
    assert done.status == 2
    assert project.trace() == ["1"]
    assert project.messages()["shell"] == "exit status 3"


def test_what_follows_a_failure_that_is_ignored_or_rescued_runs_once(project: Project) -> None:
    done = project.apply(
        playbook=play(
            f"- shell: {add(1)}; false\n  ignore_errors: true",
            f"- shell: {add(2)}",
            f"- shell: {add('{{ item }}')}; [ {{{{ item }}}} != 4 ]\n  loop: [3, 4, 5]\n  ignore_errors: true",
            f"- block:\n    - shell: {add(6)}; false\n    - shell: {add('no')}\n"
            f"  rescue:\n    - shell: {add(7)}\n  always:\n    - shell: {add(8)}",
            f"- shell: {add(9)}",
        )
    )
    assert done.status == 0, done.stdout
    assert project.trace() == [*"123456789"]


def test_who_cannot_be_become_fails_only_the_tasks_that_ask_for_it(project: Project) -> None:
    if os.geteuid() != 0 or not shutil.which("sudo"):
        pytest.skip("needs root, and sudo")
    other = "- name: other\n  stat: {path: /}\n  become: true\n  become_user: nobody-there\n  ignore_errors: true"
    done = project.apply(
        playbook=play("- name: first\n  stat: {path: /}", other, f"- name: acts\n  shell: {add(1)}", other)
    )
    assert done.status == 0, done.stdout
    assert project.statuses() == {"first": "ok", "acts": "changed", "other": "ignored"}
    assert project.trace() == ["1"]


@pytest.mark.parametrize(
    ("task", "reason"),
    {
        "- shell: \"echo '\\0'\"": "'shell': a command cannot hold a NUL character",
        '- command: {argv: [echo, "\\0"]}': "'command': a command cannot hold a NUL character",
        "- shell: id\n  environment: {A B: 1}": "environment: 'A B' cannot be the name of a variable",
        '- shell: id\n  environment: {A: "\\0"}': "environment: A cannot hold a NUL character",
    }.items(),
)
def test_what_cannot_be_said_in_sh_is_refused_before_anything_is_done(project: Project, task: str, reason: str) -> None:
    done = project.apply(playbook=play(f"- shell: {add(1)}", task))
    assert done.status == 1
    assert reason in done.stderr
    assert project.trace() == []


def test_what_a_host_says_cannot_spoil_the_task_before(project: Project) -> None:
    done = project.apply(
        playbook=play(
            "- shell: printf 'a\\000b'\n  register: said",
            f"- name: first\n  shell: {add(1)}",
            "- name: spoilt\n  shell: echo {{ said.stdout }}",
        )
    )
    assert done.status == 2
    assert project.trace() == ["1"]
    assert "cannot hold a NUL character" in project.messages()["spoilt"]
    assert "internal error" not in done.stdout + done.stderr


def test_many_items_take_few_messages(project: Project) -> None:
    done = project.apply(playbook=play(f"- shell: {add('{{ item }}')}\n  loop: '{{{{ range(150) }}}}'"))
    assert (done.status, trips(done)) == (0, 3), done.stdout + done.stderr
    assert project.trace() == [str(number) for number in range(150)]


@pytest.fixture
def waiting(project: Project) -> Iterator[subprocess.Popen[str]]:
    """A run whose second command waits for somebody to write into `gate`."""
    os.mkfifo(project.folder / "gate")
    project.write(
        "site.yml",
        play(
            "- name: first\n  shell: echo one",
            f"- name: second\n  shell: read word < {{{{ out }}}}/gate; {add('$word')}",
            f"- name: third\n  shell: {add('three')}",
        ),
    )
    words = ("apply", "site.yml", "-i", "hosts.yml", "-e", f"out={project.folder}", "--json", "report.json")
    process = project.cli.start(*words, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def _read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout
    return next(line for line in process.stdout if word in line)


def test_each_result_is_told_as_it_comes(project: Project, waiting: subprocess.Popen[str]) -> None:
    assert "changed: [a] first" in _read_until(waiting, "first")  # though the second waits
    (project.folder / "gate").write_text("two\n")
    rest, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "at most 1 round trip a host" in rest
    assert project.trace() == ["two", "three"]


def test_an_interrupt_ends_the_message(project: Project, waiting: subprocess.Popen[str]) -> None:
    _read_until(waiting, "first")
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    with pytest.raises(OSError, match="No such device"):  # nobody reads any longer
        os.open(project.folder / "gate", os.O_WRONLY | os.O_NONBLOCK)
    assert project.trace() == []
    told = json.loads((project.folder / "report.json").read_text())["hosts"]["a"]["tasks"]
    assert [each["task"] for each in told if each["status"] == "changed"] == ["first"]


FORMS = (
    "- shell: {add}",
    "- shell: {add}\n  register: r{n}",
    "- shell: {add}; echo {n}\n  register: r\n  changed_when: false",
    "- shell: {add} {{{{ r.stdout | default('none') }}}}",
    "- shell: {add}\n  when: r is defined and r.stdout | default('') | length > 0",
    "- shell: {add}\n  when: number == 3",
    "- shell: {add}-{{{{ item }}}}\n  loop: [x, y, z]\n  register: many",
    "- shell: {add}-{{{{ item }}}}; [ {{{{ item }}}} != y ]\n  loop: [x, y, z]\n  ignore_errors: true",
    "- shell: {add}-{{{{ item }}}}\n  loop: '{{{{ many.results | default([]) | map(attribute=\"rc\") }}}}'",
    "- shell: {add}; exit {n}\n  ignore_errors: true\n  register: r",
    "- shell: {add}; exit 1\n  failed_when: false",
    "- shell: {add}\n  register: r\n  failed_when: r.rc != 0",
    "- shell: {add}\n  notify: handled",
    "- shell: {add}; echo noise >&2\n  environment: {{N: '{n}'}}\n  no_log: true",
    "- shell: {add}\n  args: {{creates: '{{{{ out }}}}/made'}}",
    "- shell: {add}; touch {{{{ out }}}}/made",
    "- {{copy: {{content: '{n}', dest: '{{{{ out }}}}/made'}}}}",
    "- {{file: {{path: '{{{{ out }}}}/made', state: absent}}}}",
    "- {{set_fact: {{r: {{stdout: '{n}'}}}}}}",
    "- meta: flush_handlers",
    "- shell: {add}\n  until: true\n  retries: 1\n  delay: 0",
    "- shell: {add}; exit 1",
    "- shell: {add}\n  run_once: true",
    "- shell: {add}\n  delegate_to: b",
    "- shell: {add}\n  any_errors_fatal: true",
    "- shell: {add}\n  check_mode: true",
    "- shell: {add}\n  when: r is failed",
    "- shell: {add}\n  register: item",
    "- shell: {add}-{{{{ item }}}}\n  loop: [same, same]\n  loop_control: {{label: one, index_var: i}}",
    "- shell: {add}-{{{{ item }}}}; echo {{{{ item }}}}; [ {{{{ item }}}} = 1 ]\n  loop: [1, 2]\n  failed_when: false\n"
    "  register: r",
    "- shell: {add}; cat\n  args: {{stdin: hello}}",
    "- shell: {add}; [ -e {{{{ out }}}}/made ]\n  retries: 1\n  delay: 0\n  ignore_errors: true",
    "- shell: {add}; kill -9 $PPID\n  ignore_errors: true",
    "- {{stat: {{path: '{{{{ out }}}}/made'}}, register: r}}",
    "- shell: {add}\n  when: r.stat.exists | default(false)",
)


def _tasks(source: random.Random, count: int, depth: int = 0) -> list[str]:
    tasks = []
    for _ in range(count):
        n = source.randrange(1, 200)
        if depth < 2 and source.random() < 0.15:
            parts = [
                f"{key}:\n{indent(''.join(each + chr(10) for each in _tasks(source, 3, depth + 1)), '  ')}"
                for key in ("block", *source.sample(["rescue", "always"], 1))
            ]
            tasks.append("- " + indent("\n".join(parts), "  ").strip())
        else:
            tasks.append(source.choice(FORMS).format(n=n, add=add(n)))
    return tasks


def _outcome(project: Project, text: str, *words: str) -> tuple[object, ...]:
    for path in (*project.folder.glob("trace.*"), project.folder / "made"):
        path.unlink(missing_ok=True)
    done = project.apply("-v", *words, playbook=text)
    told = re.sub(r" in [\d.]+ s, .*", "", done.stdout)
    events = {
        host: [{key: each[key] for key in ("task", "status", "msg", "diff")} for each in report["tasks"]]
        for host, report in project.report.items()
    }
    made = Path(project.folder, "made")
    return done.status, done.stderr, told, project.trace(), made.exists() and made.read_text(), events


def test_any_playbook_does_and_tells_the_same_as_one_by_one(project: Project) -> None:
    """Playbooks made by chance; in each run another few, and the seed is told when they differ."""
    seed = random.randrange(10**9)
    for number in range(seed, seed + 4):
        source = random.Random(number)
        text = play(*_tasks(source, 14)) + f"  handlers:\n    - name: handled\n      shell: {add('handled')}\n"
        together = _outcome(project, text)
        one_by_one = _outcome(project, text, "--task-timeout", "600")
        assert together == one_by_one, f"seed {number}:\n{text}"
