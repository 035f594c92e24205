"""`stat` registers what Ansible's does."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

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
