"""adopt: the spec and the lock of an environment that somebody made; taking it over keeps what was there."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.conda import handmade
from fleetenv.conda.adoption import Wishes as Manner
from fleetenv.conda.adoption import adopt as write_adoption
from fleetenv.conda.handmade import Handmade, look
from fleetenv.conda.lock import fresh_lock, lock_path, read_lock
from fleetenv.conda.relock import Wishes, relock
from fleetenv.conda.spec import read_spec
from fleetenv.remote import Completed

from .machine import Machine, Project


def make_by_hand(machine: Machine, project: Project, *wishes: str, name: str = "nlp_train") -> Path:
    """Solve and install an environment without fleetenv, as somebody with conda does."""
    from rattler import Channel, install, solve

    async def make() -> None:
        records = await solve(
            [Channel(project.channel.url)], list(wishes), platforms=[project.channel.subdir, "noarch"],  # type: ignore[list-item]
        )  # fmt: skip
        await install(records, path)

    path = machine.prefix / "envs" / name
    asyncio.run(make())
    for wish in wishes:  # as conda notes it
        (record,) = path.glob(f"conda-meta/{wish.partition('=')[0]}-[0-9]*.json")
        record.write_text(json.dumps(json.loads(record.read_text()) | {"requested_spec": wish}, indent=2))
    return path


def pip(environment: Path, project: Project, *words: str) -> None:
    command = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", "--no-build-isolation"]
    subprocess.run([*command, "--index-url", project.channel.simple, *words], check=True, capture_output=True)


def records(environment: Path) -> dict[str, Any]:
    found = [json.loads(path.read_text()) for path in environment.glob("conda-meta/*.json")]
    return {each["name"]: (each["version"], each["build"], each["url"], each["sha256"]) for each in found}


@pytest.fixture
def adopt(machine: Machine, project: Project, fleetenv_cli: Any) -> Any:
    inventory = project.folder / "hosts.yml"
    host = {"ansible_connection": "local", "conda_prefix": str(machine.prefix)}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"gpu07": host}}}))
    (project.folder / "envs").mkdir(exist_ok=True)

    def run(*words: str, spec: str = "nlp_train", index: str = project.channel.simple) -> Any:
        return fleetenv_cli(
            "adopt", "gpu07", *words, "-i", inventory, "-o", project.folder / "envs" / f"{spec}.yml",
            "--pip-index", index,
        )  # fmt: skip

    return run


def test_an_environment_made_by_hand_is_adopted_and_taken_over(
    machine: Machine, project: Project, adopt: Any, fleetenv_cli: Any
) -> None:
    by_hand = make_by_hand(machine, project, "python", "pip", "fleet-text=0.9")
    pip(by_hand, project, "fleet-plots")
    (by_hand / "conda-meta" / "state").write_text(json.dumps({"env_vars": {"FLEET_MODE": "train"}}))
    was = records(by_hand)

    done = adopt("nlp_train")

    assert done.status == 0, done.stderr
    assert "look at its variables before you commit them: FLEET_MODE" in done.stderr
    path = project.folder / "envs" / "nlp_train.yml"
    document = yaml.safe_load(path.read_text())
    assert "fleet-text=0.9=pyh_0" in document["dependencies"]
    assert {"fleet-plots==1.0", "fleet-metrics==0.2"} == set(document["dependencies"][-1]["pip"])
    (locked,) = fresh_lock(read_spec(path)).platforms.values()
    assert {each.name: (each.version, each.build, each.url, each.sha256) for each in locked.conda} == was

    task = project.task(machine)
    diff = machine.apply(task)
    assert not [each for each in diff.differences if each.key.startswith(("packages.", "pip.fleet"))]
    assert records(machine.current()) == was
    assert machine.python("import fleet_plots, fleet_text, os; print(fleet_text.__version__)") == "0.9"
    assert not machine.diff(task)
    aside = machine.prefix / "envs" / ".fleetenv" / "nlp_train" / "0001-by-hand"
    assert records(aside) == was
    back = fleetenv_cli("rollback", "nlp_train", "-i", project.folder / "hosts.yml")
    assert back.status == 0, back.stdout + back.stderr
    assert machine.current() == aside
    assert machine.python("import fleet_plots; print(fleet_plots.__version__)") == "1.0"

    again = adopt("nlp_train")
    assert (again.status, "nlp_train.yml is there already; --force writes over it" in again.stderr) == (1, True)


def test_from_history_names_what_was_asked_for_and_locks_all(machine: Machine, project: Project, adopt: Any) -> None:
    made = make_by_hand(machine, project, "python", "fleet-text=0.9", name="cv")
    done = adopt(str(made), "--from-history", spec="cv_detect")
    assert done.status == 0, done.stderr
    spec = read_spec(project.folder / "envs" / "cv_detect.yml")
    assert spec.name == "cv"
    assert [each.text for each in spec.conda if each.name != "python"] == ["fleet-text=0.9"]
    (locked,) = fresh_lock(spec).platforms.values()
    assert {each.name for each in locked.conda} == set(records(made))


def test_what_a_spec_cannot_hold_is_named(machine: Machine, project: Project, adopt: Any, tmp_path: Path) -> None:
    made = make_by_hand(machine, project, "python", "pip", "fleet-tensor=1.0", name="mess")
    site = next(made.glob("lib/python3*/site-packages"))
    pip(made, project, "fleet-tensor==1.5", "fleet-metrics==0.1")
    for name, source in {
        "mine": {"url": "file:///home/ana/mine", "dir_info": {"editable": True}},
        "fork": {"url": "https://ana:PASSWORD@git.lab/fork", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}},
    }.items():
        folder = site / f"{name}-0.1.dist-info"
        folder.mkdir()
        (folder / "direct_url.json").write_text(json.dumps(source))
    (site / "old-0.1-py3.11.egg-info").mkdir()
    (made / "conda-meta" / "evil-1.0-0.json").write_text('{"name": "../evil", "version": "1.0", "build": "0"}')
    done = adopt("mess", spec="mess")
    assert done.status == 0, done.stderr
    for line in (
        "mine 0.1 is editable: its code is a folder of that host (file:///home/ana/mine): left out",
        "fork 0.1 was installed from a version control URL (https://***@git.lab/fork): left out",
        "pip had replaced conda's fleet-tensor 1.0 by 1.5: conda's is adopted",
        "old-0.1-py3.11.egg-info cannot be understood, and is left out",
        "conda-meta/evil-1.0-0.json cannot be understood, and is left out",
    ):
        assert line in done.stderr
    text = (project.folder / "envs" / "mess.yml").read_text()
    assert "PASSWORD" not in text + done.stderr + lock_path(project.folder / "envs" / "mess.yml").read_text()
    assert "fleet-metrics==0.1" in text
    assert "mine is" not in yaml.safe_load(text)


def test_old_records_get_their_sha256_from_the_channel_or_no_lock(
    machine: Machine, project: Project, adopt: Any
) -> None:
    made = make_by_hand(machine, project, "python", "fleet-tensor=1.0", name="old")
    (path,) = made.glob("conda-meta/fleet-tensor-*.json")
    record = json.loads(path.read_text())
    sha256 = record.pop("sha256")
    path.write_text(json.dumps(record, indent=2))
    done = adopt("old", spec="old")
    assert done.status == 0, done.stderr
    assert "the sha256 of fleet-tensor 1.0 pyh_0 is its channel's" in done.stderr
    (locked,) = read_lock(project.folder / "envs" / "old.lock").platforms.values()
    assert sha256 in {each.sha256 for each in locked.conda}

    (path.parent / "fleet-tensor-0.5-pyh_0.json").write_text(json.dumps(record | {"version": "0.5"}))
    twice = adopt("old", "--force", spec="other")
    assert (twice.status, "has two records of fleet-tensor in conda-meta" in twice.stderr) == (1, True)
    (path.parent / "fleet-tensor-0.5-pyh_0.json").unlink()

    path.write_text(json.dumps(record | {"md5": "0" * 32}, indent=2))  # not the channel's file
    done = adopt("old", "--force", spec="other")
    assert done.status == 2
    assert (
        "no lock was written: neither the host nor its channel knows the URL or sha256 of fleet-tensor 1.0"
        in done.stderr
    )
    assert not (project.folder / "envs" / "other.lock").exists()


def test_without_an_index_the_pip_section_has_no_lock_and_apply_says_so(
    machine: Machine, project: Project, adopt: Any
) -> None:
    made = make_by_hand(machine, project, "python", "pip", name="offline")
    pip(made, project, "fleet-metrics")
    nowhere = project.folder / "nowhere"
    nowhere.mkdir()
    done = adopt("offline", spec="offline", index=nowhere.as_uri())
    assert done.status == 2, done.stderr
    assert "the pip section is not locked: " in done.stderr
    spec = read_spec(project.folder / "envs" / "offline.yml")
    lock = read_lock(project.folder / "envs" / "offline.lock")
    assert lock.spec_digest != spec.digest
    (before,) = lock.platforms.values()
    assert {each.name for each in before.conda} == set(records(made))
    (after,) = relock(spec, Wishes(pip_index=project.channel.simple)).platforms.values()
    assert after.conda == before.conda
    assert [(each.name, each.version) for each in after.pip] == [("fleet-metrics", "0.2")]


def test_what_is_not_there_is_said(adopt: Any) -> None:
    assert "gpu07: there is no environment at " in adopt("nowhere").stderr
    assert "'a b' is neither the name nor the absolute path" in adopt("a b").stderr


def ask(path: Path) -> Handmade:
    probe = look(str(path))
    done = subprocess.run(["sh", "-c", probe.script], capture_output=True)
    return probe.parse(Completed(done.returncode, done.stdout, done.stderr))


@given(st.lists(st.text(max_size=40)))
def test_whatever_a_host_says_is_read_or_refused(lines: list[str]) -> None:
    words = [
        "system x86_64 glibc 2.36",
        "record /x/a.json",
        "| {",
        *lines,
        "package a-1.dist-info",
        "direct {",
        "state [",
    ]
    answer = Completed(0, "\n".join(words).encode())
    found = look("/x").parse(answer)
    assert all(isinstance(each, handmade.CondaRecord) for each in found.conda)


@pytest.mark.parametrize(
    "url", ["http://[::1/noarch/x-1.0-0.conda", "http://x/y", "file:///x-1.0-0.conda", "http://c/noarch/y-1-0.conda"]
)
def test_a_url_that_is_not_the_package_s_is_none(url: str, tmp_path: Path) -> None:
    record = handmade.CondaRecord(name="x", version="1.0", build="0", subdir="linux-64", url=url, sha256="0" * 64)
    found = Handmade("x86_64", "2.36", "present", (record,))
    done = write_adoption(found, "x", "gpu07:/x", tmp_path / "x.yml", Manner())
    assert done.lock is None
    assert "neither the host nor its channel knows the URL or sha256 of x 1.0 0" in done.warnings[0]


def test_a_record_in_any_layout_is_read(tmp_path: Path) -> None:
    meta = tmp_path / "conda-meta"
    meta.mkdir()
    record = {"build": "0", "files": ["a", "b"], "name": "x", "paths_data": {"paths": [{"_path": "a"}]}, "version": "1"}
    for name, text in {
        "conda": json.dumps(record, indent=2),
        "line": json.dumps(record),
        "last": json.dumps({**record, "name": "y", "zfiles": []}, indent=2, sort_keys=True).replace("zfiles", "files"),
    }.items():
        (meta / f"{name}.json").write_text(text)
    found = ask(tmp_path)
    assert sorted(each.name for each in found.conda) == ["x", "x", "y"]
    assert found.unread == ()
    shutil.rmtree(meta)
    assert ask(tmp_path).there == "absent"
