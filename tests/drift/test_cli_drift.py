"""`fleetenv drift` as users run it, on embedded hosts that were provisioned and then damaged by hand."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fleetenv.lab.nvidia_smi import A100

HOSTS = ("gpu01", "gpu02", "gpu03", "gpu04")
PLAYBOOK = r"""
- name: gpu servers
  hosts: all
  gather_facts: false
  tasks:
    - name: Verify the driver
      gpu_driver: {min_version: "535.104", count: 8, model: A100}
    - name: Greet
      copy: {dest: "{{ lab_root }}/motd", content: "welcome\nto the lab\n", mode: "0644"}
    - name: Make folders
      file: {path: "{{ lab_root }}/{{ item }}", state: directory, mode: "0755"}
      loop: [data, envs]
    - name: Keep the token
      copy: {dest: "{{ lab_root }}/token", content: "s3cret\n", mode: "0600"}
      no_log: true
    - name: Say hello
      command: "true"
"""


@pytest.fixture
def fleet(embedded_fleet):
    return embedded_fleet(HOSTS, gpus=dict.fromkeys(HOSTS, A100))


@pytest.fixture
def root(fleet):
    """Each host's own folder."""
    return lambda host: Path(fleet[host].variables["lab_root"])


@pytest.fixture
def drift(fleet, fleetenv_cli, tmp_path):
    """The fleet is as the playbook says; returns `fleetenv drift` for it."""
    playbook = tmp_path / "site.yml"
    playbook.write_text(PLAYBOOK)
    applied = fleetenv_cli("apply", playbook, "-i", fleet.inventory)
    assert applied.status == 0, applied.stdout + applied.stderr
    return lambda *words: fleetenv_cli("drift", playbook, "-i", fleet.inventory, *words)


def findings(document):
    """Return what differs: host -> task -> key -> (wanted, found)."""
    titles = {item["id"]: item["task"] + (f" {item['item']}" if item["item"] else "") for item in document["items"]}
    return {
        name: {
            titles[item["id"]]: {each["key"]: (each["wanted"], each["found"]) for each in item["differences"]}
            for item in host["items"]
            if item["verdict"] in ("drift", "failed")
        }
        for name, host in document["hosts"].items()
        if host["verdict"] != "same"
    }


def test_a_fleet_as_wanted_has_no_drift(drift):
    done = drift()
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ as the playbook says: gpu[01:04]\n0 of 4 hosts differ")


def test_exactly_the_damage_is_found_and_nothing_is_changed(drift, fleet, root):
    fleet["gpu02"].set_gpus(replace(A100, count=7))
    (root("gpu02") / "motd").write_text("welcome\n")
    (root("gpu03") / "envs").rmdir()
    (root("gpu04") / "token").write_text("stolen\n")
    done = drift("--format", "json")
    assert done.status == 2
    document = json.loads(done.stdout)
    found = findings(document)
    assert found["gpu02"]["Verify the driver"] == {"count": (8, 7)}
    assert list(found["gpu02"]["Greet"]) == ["content"]  # looked at though the driver's task failed before it
    assert found["gpu03"] == {
        "Make folders envs": {"state": ("present", "absent"), "kind": ("directory", None), "mode": ("0755", None)}
    }
    assert found["gpu04"] == {"Keep the token": {}}
    assert list(found) == ["gpu02", "gpu03", "gpu04"]
    assert "stolen" not in done.stdout
    assert "s3cret" not in done.stdout
    assert (root("gpu02") / "motd").read_text() == "welcome\n"
    assert not (root("gpu03") / "envs").exists()


def test_what_apply_mends_is_drift_no_more(drift, fleetenv_cli, fleet, root, tmp_path):
    (root("gpu03") / "envs").rmdir()
    assert drift().status == 2
    assert fleetenv_cli("apply", tmp_path / "site.yml", "-i", fleet.inventory).status == 0
    assert drift().status == 0


def test_text_shows_a_file_line_by_line_and_escapes_it(drift, root):
    (root("gpu03") / "motd").write_text("welcome\nto \x1b[31mhell\n")
    told = drift().stdout
    assert "     welcome\n    -to \\x1b[31mhell\n    +to the lab\n" in told
    assert "\x1b" not in told


def test_the_odd_driver_out_is_named_though_the_playbook_takes_it(drift, fleet):
    fleet["gpu04"].set_gpus(replace(A100, driver="560.35.03", cuda="12.6"))
    done = drift()
    assert done.status == 0
    assert re.search(
        r"Verify the driver: driver \(simulated\)\n +550.54.15 +3 hosts\n +560.35.03 +1 host +gpu04", done.stdout
    )


def test_a_host_that_is_away_is_a_finding(drift, tmp_path):
    more = tmp_path / "more.yml"
    more.write_text("all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 1, lab_root: /nowhere}}}\n")
    done = drift("-i", more)
    assert done.status == 4
    assert "! gone\n  could not be looked at: " in done.stdout


def test_limit_and_tags_narrow_the_look(drift, root):
    (root("gpu03") / "envs").rmdir()
    assert drift("-l", "gpu01:gpu02").status == 0
    assert drift("-t", "nothing").status == 0


def test_a_files_ending_chooses_the_form(drift, root, tmp_path):
    (root("gpu03") / "envs").rmdir()
    forms = {
        "drift.html": "<!doctype html>",
        "drift.json": '{\n  "format": "fleetenv.drift"',
        "drift.md": "## Drift: ",
        "drift.txt": "≠ gpu03",
    }
    for name, begins in forms.items():
        done = drift("-o", tmp_path / name)
        assert done.status == 2
        assert done.stdout == f"{tmp_path / name}: 1 finding on 4 hosts\n"
        assert (tmp_path / name).read_text().startswith(begins)
    assert drift("-o", tmp_path / "drift.xml").status == 2
    suites = ElementTree.parse(tmp_path / "drift.xml").getroot()
    assert (len(suites.findall("testsuite")), suites.get("failures")) == (4, "1")


def test_a_report_that_cannot_be_written_is_known_before_any_host_is_asked(drift):
    done = drift("-o", "/no/such/folder/drift.html")
    assert done.status == 1
    assert "no folder to write /no/such/folder/drift.html into" in done.stderr
    done = drift("-o", "/tmp")
    assert (done.status, done.stderr) == (1, "fleetenv: cannot write /tmp: it is a folder\n")


def test_bad_input_is_told_before_any_host_is_asked(drift, tmp_path):
    (tmp_path / "site.yml").write_text("- hosts: all\n  tasks:\n    - gpu_drivr: {}\n")
    done = drift()
    assert done.status == 1
    assert "gpu_driver" in done.stderr


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            "drift_ignore: [{code: drfit, reason: x, until: 2099-01-01}]",
            "more.yml:2:45: there is no finding with the c",
        ),
        (
            "drift_ignore: [{code: drift, host: 'all:!gon', reason: x, until: 2099-01-01}]",
            "more.yml:2:58: 'all:!gon' names 'gon', which is neither a host nor a group of the inventory; did you mean "
            "'gone'?",
        ),
        ("drift_homes: none", "more.yml:2:36: drift_homes is 'none'; it must be 'all' or 'own'"),
    ],
)
def test_what_variables_say_of_drift_is_checked_before_any_host_is_asked(fleetenv_cli, tmp_path, variables, told):
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    (tmp_path / "more.yml").write_text(f"all:\n  vars: {{lab_root: /, {variables}}}\n  hosts: {{gone: {{}}}}\n")
    done = fleetenv_cli("drift", "site.yml", "-i", "more.yml", cwd=tmp_path)
    assert (done.status, done.stdout) == (1, "")
    assert told in done.stderr


def test_a_form_of_news_needs_somebody_who_is_told(fleetenv_cli, tmp_path):
    done = fleetenv_cli("drift", "site.yml", "-i", "gone,", "--webhook-format", "slack", cwd=tmp_path)
    assert done.status == 1
    assert "--webhook-format says nothing without --webhook; or FLEETENV_WEBHOOK in the env" in done.stderr


def test_since_needs_a_history(fleetenv_cli, tmp_path):
    done = fleetenv_cli("drift", "site.yml", "-i", "gone,", "--since", "last", "--no-history", cwd=tmp_path)
    assert (done.status, "--no-history does without it" in done.stderr) == (1, True)


def test_hosts_are_compared_with_what_the_user_chooses(drift, fleet, root, tmp_path):
    assert drift().status == 0
    for host in ("gpu02", "gpu03"):
        (root(host) / "motd").write_text("welcome\n")
    fleet["gpu04"].set_gpus(replace(A100, driver="560.35.03", cuda="12.6", remap_pending=True))
    waiver = "{code: drift, subject: Greet, host: gpu03, reason: a test, until: 2099-12-31}"
    play = PLAYBOOK.replace("  tasks:\n", f"  vars: {{drift_ignore: [{waiver}]}}\n  tasks:\n")
    (tmp_path / "site.yml").write_text(play)

    done = drift("--since", "last", "--format", "json")
    document = json.loads(done.stdout)
    found = {(each["host"], each["code"], each["subject"]): each for each in document["findings"]}
    assert found["gpu02", "drift", "Greet"]["waiver"] is None
    assert found["gpu03", "drift", "Greet"]["waiver"] == {"reason": "a test", "until": "2099-12-31"}
    assert found["gpu04", "outlier", "gpus: driver"]["severity"] == "note"
    assert found["gpu04", "gpu-remapping-pending", "GPU 7"]["simulated"]
    assert found["gpu02", "changed", "tasks: Greet: content"]["first_seen"]
    assert (done.status, document["summary"]["waived"]) == (2, 1)
    assert not [each for each in found if each[0] == "gpu01"]

    fewer = drift("--since", "2", "--only", "fleet,time", "--format", "json")
    assert {each["code"] for each in json.loads(fewer.stdout)["findings"]} == {"outlier", "changed"}
    assert fewer.status == 0  # neither forbids anything


def test_a_playbook_that_means_no_host_is_warned_of(fleetenv_cli, tmp_path):
    (tmp_path / "site.yml").write_text("- hosts: a10O\n  gather_facts: false\n  tasks: []\n")
    (tmp_path / "hosts.yml").write_text("a100: {hosts: {gpu01: {}}}\n")
    for command in ("drift", "apply"):
        done = fleetenv_cli(command, "site.yml", "-i", "hosts.yml", cwd=tmp_path)
        assert done.status == 0
        assert "warning: no host is meant: nothing of the inventory matches a10O" in done.stdout + done.stderr
