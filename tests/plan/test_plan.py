"""`fleetenv plan` and `fleetenv apply PLAN` as users run them, on OpenSSH hosts with a sudo that asks."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.namespaces import Account, NamespaceFleet
from tests.conftest import CommandLine, Finished

pytestmark = [pytest.mark.root, pytest.mark.sshd]

FILES = {
    "playbooks/site.yml": """
- name: Servers
  hosts: all
  gather_facts: false
  become: true
  vars_files: [vars.yml]
  roles: [greeting]
  tasks:
    - name: Token
      copy: {content: "{{ token }}", dest: /srv/site/token, mode: "0600"}
      no_log: true
    - name: Read
      copy: {content: "{{ lookup('file', 'word.txt') }}", dest: /srv/site/word}
    - name: Index
      command: touch /srv/site/index
      args: {creates: /srv/site/index}
    - include_tasks: more.yml
    - name: Sync
      command: touch /srv/site/synced-{{ suffix }}
  handlers:
    - name: Reload
      command: touch /srv/site/reloaded
""",
    "playbooks/vars.yml": "greeting: hello\n",
    "playbooks/more.yml": "- {name: Folder, file: {path: /srv/site/data, state: directory, mode: '0755'}}\n",
    "playbooks/files/word.txt": "word\n",
    "playbooks/group_vars/all.yml": "token: hunter2-of-the-vault\n",
    "roles/greeting/tasks/main.yml": """
- {name: Site, file: {path: /srv/site, state: directory, mode: "0755"}}
- name: Greeting
  template: {src: motd.j2, dest: /srv/site/motd, mode: "0644"}
  notify: Reload
""",
    "roles/greeting/templates/motd.j2": "{{ greeting }} from {{ inventory_hostname }}\n",
}
SECRET = "hunter2-of-the-vault"


class Site:
    """A project and its fleet; every command gets the sudo password and the value that the playbook needs."""

    def __init__(self, fleet: NamespaceFleet, cli: CommandLine, folder: Path) -> None:
        self.fleet, self.cli, self.folder = fleet, cli, folder
        for path, text in FILES.items():
            self.write(path, text)
        (cli.home / "password").write_text("right horse\n")

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, *words: str, env: dict[str, str] | None = None) -> Finished:
        secret = ("--become-password-file", str(self.cli.home / "password"), "-e", "suffix=s3cret-suffix")
        done = self.cli(*words, *secret, cwd=self.folder, env=env)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def plan(self, *words: str) -> Finished:
        return self.run("plan", "playbooks/site.yml", "-i", str(self.fleet.inventory), "-o", "plan.json", *words)

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "plan.json").read_text())
        return document

    def there(self, host: str) -> set[str]:
        return set(self.fleet[host].must_run("ls -1 /srv/site 2>/dev/null || :").split())


@pytest.fixture(scope="module")
def fleet(shared_namespace_fleet: Callable[..., NamespaceFleet]) -> NamespaceFleet:
    return shared_namespace_fleet(("one", "two"), account=Account("ops", sudo="password", password="right horse"))


@pytest.fixture
def site(fleet: NamespaceFleet, fleetenv_cli: CommandLine, tmp_path: Path) -> Iterator[Site]:
    yield Site(fleet, fleetenv_cli, tmp_path)
    for host in fleet.hosts:
        host.must_run("rm -rf /srv/site")


def test_what_was_planned_is_applied(site: Site) -> None:
    planned = site.plan()
    assert planned.status == 2
    assert "+hello from one" in planned.stdout
    assert "Sync: touch /srv/site/synced-s3cret-suffix  on 2 hosts" in planned.stdout
    assert site.there("one") == set()
    document = site.document
    assert (document["format"], document["version"]) == ("fleetenv.plan", 1)
    tasks = {each["task"]: each for each in document["hosts"]["two"]["tasks"]}
    assert [*tasks] == ["Site", "Greeting", "Token", "Read", "Index", "Folder", "Sync", "Reload"]
    assert [name for name, task in tasks.items() if task["acts"]] == ["Index", "Sync", "Reload"]
    assert (tasks["Greeting"]["file"], tasks["Greeting"]["line"]) == ("roles/greeting/tasks/main.yml", 3)

    assert site.run("apply", "plan.json", "--check").status == 0
    applied = site.run("apply", "plan.json")
    assert applied.status == 0, applied.stdout + applied.stderr
    expected = {"motd", "token", "word", "index", "data", "synced-s3cret-suffix", "reloaded"}
    assert site.there("one") == site.there("two") == expected

    again = site.run("apply", "plan.json")
    assert again.status == 1
    assert "one: 'greeting : Site' has nothing to do any more" in again.stderr


def test_nothing_to_do_is_0(site: Site) -> None:
    site.write("playbooks/site.yml", "- {hosts: all, gather_facts: false, tasks: [{stat: {path: /}}]}\n")
    planned = site.plan()
    assert (planned.status, planned.stdout.splitlines()[-2]) == (0, "Plan: 2 hosts with nothing to do")


def test_a_host_that_is_no_longer_the_same_keeps_all_others_from_being_touched(site: Site) -> None:
    site.plan()
    site.fleet["two"].must_run("mkdir -p /srv/site && echo other > /srv/site/token")
    refused = site.run("apply", "plan.json")
    assert refused.status == 1
    assert "two: 'greeting : Site' has nothing to do any more" in refused.stderr
    assert "two: 'Token' would do something else" in refused.stderr
    assert site.there("one") == set()
    assert site.there("two") == {"token"}
    assert site.run("apply", "plan.json", "-l", "one").status == 0
    assert "motd" in site.there("one")
    assert site.there("two") == {"token"}


CHANGES = {*FILES, "playbooks/host_vars/one.yml", "roles/greeting/defaults/main.yml"}


def test_files_that_are_no_longer_the_same_are_named(site: Site) -> None:
    site.plan()
    for path in CHANGES:
        site.write(path, FILES.get(path, "{}\n") + "# changed\n")
    changed = site.run("apply", "plan.json")
    assert changed.status == 1
    assert [path for path in FILES if f"{path} has changed" not in changed.stderr] == []
    for path in FILES:
        site.write(path, FILES[path])
    new = site.run("apply", "plan.json")
    assert new.status == 1
    assert [path for path in CHANGES if (path in FILES) is (f"{path} is new" in new.stderr)] == []
    for path in CHANGES - FILES.keys():
        (site.folder / path).unlink()
    assert site.there("one") == set()
    assert site.run("apply", "plan.json").status == 0


def test_no_secret_is_in_it_nor_can_be_found_by_trying(site: Site) -> None:
    site.plan()
    text = (site.folder / "plan.json").read_text()
    secrets = (SECRET, "s3cret-suffix")
    assert SECRET not in text
    assert "right horse" not in text
    assert (
        text.count("s3cret-suffix") == 2
    )  # one a host: what a command says that is not no_log is shown, as apply shows it
    for data in (*(each.encode() for each in secrets), FILES["playbooks/group_vars/all.yml"].encode()):
        assert hashlib.sha256(data).hexdigest() not in text
    key = site.cli.home / ".local/state/fleetenv/plan.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().strip() not in text
    token = next(each for each in site.document["hosts"]["one"]["tasks"] if each["task"] == "Token")
    assert (token["diff"], token["msg"], token["command"]) == ([], "", None)


def test_what_no_plan_is_for_is_refused(site: Site) -> None:
    site.plan()
    plan = site.folder / "plan.json"
    text = plan.read_text()
    (site.folder / "key").write_text("k" * 64)

    def refusal(*words: str, env: dict[str, str] | None = None) -> str:
        done = site.run("apply", "plan.json", *words, env=env)
        assert done.status == 1
        return done.stderr

    assert "'--tags' is for a playbook" in refusal("-t", "x")
    assert "other values of '-e'" in refusal("-e", "more=1")
    assert "made with another key" in refusal(env={"FLEETENV_PLAN_KEY": "key"})
    plan.write_text(text.replace("hello from one", "hello from 1"))
    assert "was changed after it was made" in refusal()
    plan.write_text(text.replace('"version": 1', '"version": 9'))
    assert "a plan of version 9" in refusal()
    plan.write_text('{"hosts": {}}')
    assert "plan.json is no plan" in refusal()
    assert site.there("one") == set()


def test_a_host_that_was_not_looked_at_is_not_applied_to(site: Site) -> None:
    site.write("playbooks/group_vars/all.yml", FILES["playbooks/group_vars/all.yml"] + "ansible_ssh_port: 22\n")
    site.write("playbooks/host_vars/two.yml", "ansible_port: 1\n")
    planned = site.plan()
    assert planned.status == 4
    assert "1 host could not be looked at: not to be applied" in planned.stdout
    refused = site.run("apply", "plan.json")
    assert refused.status == 1
    assert "two could not be looked at: " in refused.stderr
    assert site.there("one") == set()
    assert site.run("apply", "plan.json", "-l", "one").status == 0
