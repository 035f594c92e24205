"""The same tasks, run by fleetenv and by real ansible-playbook: the same files, and the same registered values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

TASKS = {
    "folder": "file: {path: '{{ out }}/a/b/c', state: directory, mode: '0750'}",
    "folder_again": "file: {path: '{{ out }}/a/b/c', state: directory, mode: '0750'}",
    "folder_symbolic": "file: {path: '{{ out }}/a', mode: 'g+s,o=rx'}",
    "content": "copy: {content: \"one\\ntwo\\n\", dest: '{{ out }}/a/content', mode: '0640'}",
    "content_again": "copy: {content: \"one\\ntwo\\n\", dest: '{{ out }}/a/content'}",
    "content_mode": "copy: {content: \"one\\ntwo\\n\", dest: '{{ out }}/a/content', mode: u+x}",
    "content_json": "copy: {content: {a: [1, two]}, dest: '{{ out }}/a/json'}",
    "content_changed": "copy: {content: three, dest: '{{ out }}/a/content'}",
    "content_kept": "copy: {content: four, dest: '{{ out }}/a/content', force: false}",
    "content_backup": "copy: {content: five, dest: '{{ out }}/a/content', backup: true}",
    "src": "copy: {src: script.sh, dest: '{{ out }}/a/', mode: preserve}",
    "src_into_folder": "copy: {src: script.sh, dest: '{{ out }}/a/b'}",
    "src_tree": "copy: {src: tree, dest: '{{ out }}/trees', directory_mode: '0711', mode: '0604'}",
    "src_tree_again": "copy: {src: tree, dest: '{{ out }}/trees', directory_mode: '0711', mode: '0604'}",
    "src_tree_flat": "copy: {src: tree/, dest: '{{ out }}/flat'}",
    "remote_src": "copy: {src: '{{ out }}/a/content', dest: '{{ out }}/a/remote', remote_src: true}",
    "template": "template: {src: t.j2, dest: '{{ out }}/a/rendered', mode: '0444'}",
    "template_again": "template: {src: t.j2, dest: '{{ out }}/a/rendered', mode: '0444'}",
    "link": "file: {path: '{{ out }}/link', src: a/content, state: link}",
    "link_again": "file: {path: '{{ out }}/link', src: a/content, state: link}",
    "through_link": "copy: {content: seen, dest: '{{ out }}/link', follow: true}",
    "over_link": "copy: {content: replaced, dest: '{{ out }}/link'}",
    "hard": "file: {path: '{{ out }}/hard', src: '{{ out }}/a/json', state: hard}",
    "touch": "file: {path: '{{ out }}/touched', state: touch, mode: '0600'}",
    "recurse": "file: {path: '{{ out }}/flat', state: directory, recurse: true, mode: 'u=rwX,go='}",
    "recurse_again": "file: {path: '{{ out }}/flat', state: directory, recurse: true, mode: 'u=rwX,go='}",
    "absent": "file: {path: '{{ out }}/a/b', state: absent}",
    "absent_again": "file: {path: '{{ out }}/a/b', state: absent}",
    "no_such_file": "file: {path: '{{ out }}/nope', mode: '0600'}",
    "no_such_parent": "copy: {content: x, dest: '{{ out }}/no/such/parent'}",
    "stat": "stat: {path: '{{ out }}/a/content'}",
    "stat_absent": "stat: {path: '{{ out }}/nope'}",
    "stat_folder": "stat: {path: '{{ out }}/a'}",
    "command": "command: printf '%s|' $HOME ~/x 'a  b' \"$NO_SUCH_VARIABLE\" * ;",
    "command_stderr": "command: sh -c 'echo out; echo; echo err >&2; exit 4'",
    "command_creates": "command: touch '{{ out }}/made' creates='{{ out }}/made'",
    "command_created": "command: touch '{{ out }}/made' creates='{{ out }}/made'",
    "command_chdir": "command: {cmd: pwd, chdir: '{{ out }}/a'}",
    "command_missing": "command: /no/such/program",
    "shell": "shell: 'echo one | tr a-z A-Z; echo $((1 + 1)) >&2'",
    "shell_stdin": "shell: {cmd: 'cat; echo end', stdin: given}",
    "debug": "debug: {msg: [a, 1]}",
    "debug_var": "debug: {var: shell.stdout}",
    "assert_true": "assert: {that: ['1 == 1', shell.rc == 0], success_msg: fine}",
    "assert_false": "assert: {that: shell.rc == 1, fail_msg: not so}",
    "fail": "fail: {msg: on purpose}",
    "set_fact": "set_fact: {made: '{{ shell.stdout }}'}",
    "ping": "ping: {data: there}",
    "group": "group: {name: root}",
    "user": "user: {name: root}",
}

COMPARED = {
    "file": ("mode", "state", "path", "dest", "owner", "group", "uid", "gid"),
    "copy": ("mode", "state", "dest", "owner", "group", "uid", "gid", "size", "checksum"),
    "template": ("mode", "state", "dest", "owner", "group", "uid", "gid", "size", "checksum"),
    "command": ("rc", "stdout", "stderr", "stdout_lines", "stderr_lines", "cmd"),
    "shell": ("rc", "stdout", "stderr", "stdout_lines", "stderr_lines", "cmd", "msg"),
    "debug": ("msg", "shell.stdout"),
    "assert": ("msg", "assertion"),
    "fail": ("msg",),
    "set_fact": ("ansible_facts",),
    "ping": ("ping",),
    "group": ("gid", "name", "state", "system"),
    "user": ("uid", "home", "shell", "comment", "state", "name"),
}
NOT_TOLD = {"hard": ("mode", "owner", "group", "uid", "gid"), "remote_src": ("checksum",), "command_missing": ("rc",)}
STAT = [
    "exists",
    "mode",
    "isreg",
    "isdir",
    "islnk",
    "uid",
    "gid",
    "size",
    "pw_name",
    "gr_name",
    "checksum",
    "readable",
    "writeable",
    "executable",
    "isuid",
    "isgid",
    "nlink",
    "rusr",
    "wusr",
    "xusr",
    "rgrp",
    "wgrp",
    "xgrp",
    "roth",
    "woth",
    "xoth",
    "isblk",
    "ischr",
    "isfifo",
    "issock",
    "block_size",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], Path]]:
    """What both tools registered, and the folder that each filled."""
    folder = tmp_path_factory.mktemp("parity")
    (folder / "files" / "tree" / "sub").mkdir(parents=True)
    (folder / "templates").mkdir()
    (folder / "files" / "script.sh").write_text("#!/bin/sh\n")
    (folder / "files" / "script.sh").chmod(0o751)
    for name in ("tree/one", "tree/sub/two"):
        (folder / "files" / name).write_text(name)
    (folder / "templates" / "t.j2").write_text("{% for i in [1, 2] %}\nn={{ i }}\n{% endfor %}\nlast\n")
    lines = ["- hosts: all", "  gather_facts: false", "  tasks:"]
    for name, task in TASKS.items():
        lines += [f"    - {task}", f"      register: {name}", "      ignore_errors: true"]
    lines += ["    - copy:", "        dest: '{{ out }}.json'", "        content:"]
    lines += [f"          {name}: '{{{{ {name} }}}}'" for name in TASKS]
    (folder / "site.yml").write_text("\n".join(lines) + "\n")
    (folder / "inventory").write_text(f"here ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    environment |= {"ANSIBLE_HOME": str(folder / "ansible-home"), "ANSIBLE_PIPELINING": "1"}
    outcome = {}
    for tool, command in (
        ("fleetenv", [sys.executable, "-m", "fleetenv", "apply"]),
        ("ansible", [str(Path(sys.executable).with_name("ansible-playbook"))]),
    ):
        out = folder / tool
        out.mkdir(mode=0o755)
        done = subprocess.run(
            [*command, "site.yml", "-i", "inventory", "-e", f"out={out}"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        outcome[tool] = (json.loads(Path(f"{out}.json").read_text().replace(str(out), "OUT")), out)
    return outcome


@pytest.mark.parametrize("name", TASKS)
def test_the_same_is_registered(results: dict[str, tuple[dict[str, Any], Path]], name: str) -> None:
    ours, theirs = (results[tool][0][name] for tool in ("fleetenv", "ansible"))
    assert (ours["changed"], ours["failed"]) == (theirs["changed"], theirs.get("failed", False)), (ours, theirs)
    module = TASKS[name].partition(":")[0]
    if module == "stat":
        ours, theirs = ours["stat"], theirs["stat"]
    keys = STAT if module == "stat" else COMPARED[module]
    if name in NOT_TOLD:
        keys = tuple(key for key in keys if key not in NOT_TOLD[name])
    compared = [key for key in keys if key in theirs]
    if theirs.get("failed") and module in ("file", "copy", "command"):
        compared = [key for key in ("rc",) if key in keys and theirs.get(key)]
    assert {key: ours.get(key) for key in compared} == {key: theirs[key] for key in compared}


def test_the_same_files_are_there(results: dict[str, tuple[dict[str, Any], Path]]) -> None:
    def tree(folder: Path) -> dict[str, tuple[str, str]]:
        found = {}
        for path in sorted(folder.rglob("*")):
            name = "a/content.backup" if path.name.endswith("~") else str(path.relative_to(folder))
            text = "" if path.is_dir() else path.read_text()
            found[name] = (f"{path.lstat().st_mode:o}", text)
        return found

    assert tree(results["fleetenv"][1]) == tree(results["ansible"][1])
