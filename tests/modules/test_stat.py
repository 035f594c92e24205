"""`stat` registers what Ansible's does."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from fleetenv.engine.dialogue import Account, Asked, Dialogue
from fleetenv.modules.filestate import content_of, look_up
from fleetenv.modules.stat import Stat
from fleetenv.remote import sh
from fleetenv.shell import Settings, connect

from .conftest import Driver


def stat(driver: Driver, text: str) -> dict[str, Any]:
    result = driver.apply("stat", text)
    assert not result.changed
    found = result.values["stat"]
    assert isinstance(found, dict)
    return found


def test_absence_is_no_failure(driver: Driver, tmp_path: Path) -> None:
    assert stat(driver, f"path: {tmp_path}/nope") == {"exists": False}


def test_a_file_with_its_checksum(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "a b"
    path.write_bytes(b"text")
    path.chmod(0o4750)
    found = stat(driver, f"path: {path}")
    own = path.stat()
    assert found["checksum"] == hashlib.sha1(b"text").hexdigest()
    assert (found["mode"], found["isreg"], found["isdir"], found["size"]) == ("4750", True, False, 4)
    assert (found["inode"], found["dev"], found["nlink"], found["uid"]) == (own.st_ino, own.st_dev, 1, own.st_uid)
    assert (found["isuid"], found["xusr"], found["wgrp"], found["roth"]) == (True, True, False, False)
    assert int(found["mtime"]) == int(own.st_mtime)
    assert stat(driver, f"path: {path}\nchecksum_algorithm: md5")["checksum"] == hashlib.md5(b"text").hexdigest()
    assert "checksum" not in stat(driver, f"path: {path}\nget_checksum: false")
    (tmp_path / "new\nline\\").write_bytes(b"text")
    named = stat(driver, f'path: "{tmp_path}/new\\nline\\\\"\nchecksum_algorithm: sha512')
    assert named["checksum"] == hashlib.sha512(b"text").hexdigest()


def test_a_file_without_content_and_one_that_only_seems_so(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert stat(driver, f"path: {tmp_path}/empty")["checksum"] == hashlib.sha1(b"").hexdigest()
    version = Path("/proc/version")
    assert version.stat().st_size == 0
    assert stat(driver, f"path: {version}")["checksum"] == hashlib.sha1(version.read_bytes()).hexdigest()


def test_a_link_itself_or_what_it_leads_to(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("d")
    itself = stat(driver, f"path: {tmp_path}/l")
    assert (itself["islnk"], itself["lnk_target"], itself["lnk_source"]) == (True, "d", f"{tmp_path}/d")
    assert stat(driver, f"path: {tmp_path}/l\nfollow: true")["isdir"]
    os.mkfifo(tmp_path / "pipe")
    assert stat(driver, f"path: {tmp_path}/pipe")["isfifo"]


def test_a_link_to_nothing(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to("gone/away/x")
    (tmp_path / "loop").symlink_to("loop")
    itself = stat(driver, f"path: {tmp_path}/l")
    assert (itself["lnk_target"], itself["lnk_source"]) == ("gone/away/x", f"{tmp_path}/gone/away/x")
    assert stat(driver, f"path: {tmp_path}/l\nfollow: true") == {"exists": False}
    assert stat(driver, f"path: {tmp_path}/loop")["islnk"]


def test_stat_is_asked_in_one_question_with_files_of_other_tasks(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    (tmp_path / "l").symlink_to("x")
    of_stat = [Stat(path=f"{tmp_path}/{name}", follow=True).observe() for name in ("x", "l", "absent")]
    of_stat.append(Stat(path=f"{tmp_path}/x", checksum_algorithm="sha256").observe())
    of_files = [look_up(f"{tmp_path}/{name}", content=content_of(b"text")) for name in ("x", "l", "absent")]
    assert {each.script for each in (*of_stat, *of_files)} == {of_stat[0].script}
    subjects = [each.subject for each in (*of_stat, *of_files)]
    answer = driver.run(f"{sh('set', '--', *subjects)}\n{of_stat[0].script}")
    x, led, absent, other = (of_stat[0].parse(answer)[each.subject] for each in of_stat)
    assert x
    assert led
    assert absent
    assert other
    assert (x.size, led.size, led.target, absent.exists) == (4, 4, "x", False)
    assert other.checksum == hashlib.sha256(b"text").hexdigest()
    assert x.checksum == led.checksum == hashlib.sha1(b"text").hexdigest()
    file, link, nothing = (of_files[0].parse(answer)[each.subject] for each in of_files)
    assert file
    assert link
    assert (file.kind, file.content, link.kind, link.target, nothing) == (
        "file",
        content_of(b"text"),
        "link",
        "x",
        None,
    )


def test_a_further_question_starts_stat_and_a_program_for_each_kind_of_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes on the hosts are what a re-run of many tasks waits for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("stat", "sha256sum", "sha1sum", "readlink", "head", "cat"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} >>"$LOG"\nexec {shutil.which(name)} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    wanted = content_of(b"text")
    asked = [
        Asked(Account(), question)
        for name in ("file", "link", "absent")
        for question in (look_up(f"{tmp_path}/{name}", content=wanted), look_up(f"{tmp_path}/{name}"))
    ]
    asked += [Asked(Account(), Stat(path=f"{tmp_path}/{name}").observe()) for name in ("file", "bin/stat", "bin")]

    async def ask_thrice() -> list[list[str]]:
        log = tmp_path / "log"
        dialogue = Dialogue(lambda: connect(Settings(host="here", address="here", transport="local")))
        started = []
        for _ in range(3):
            assert (await dialogue.answer(asked[0], early=lambda: asked)).content == wanted
            started.append(log.read_text().split())
            log.unlink()
            dialogue.forget()
        await dialogue.close()
        return started

    first, *further = asyncio.run(ask_thrice())
    assert first == ["sha1sum", "sha256sum", "stat", "stat"]  # once: does stat tell links unquoted?
    assert further == [["sha1sum", "sha256sum", "stat"]] * 2
