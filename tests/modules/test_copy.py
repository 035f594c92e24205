"""`copy` and `template`: files on the host are those of the controller, byte for byte."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from fleetenv.errors import InputError, TaskFailed
from fleetenv.state import Content

from .conftest import Driver

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def mode(path: Path) -> str:
    return f"{path.lstat().st_mode & 0o7777:04o}"


def twice(driver: Driver, text: str, module: str = "copy") -> list[str]:
    first = driver.apply(module, text)
    assert driver.apply(module, text).keys == []
    return first.keys


def test_content_is_written_once_and_the_difference_can_be_shown(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "motd"
    assert twice(driver, f"{{dest: {path}, content: \"one\\n\", mode: '0600'}}")[0] == "state"
    result = driver.apply("copy", f'{{dest: {path}, content: "two\\n"}}', check=True)
    (difference,) = result.diff.differences
    assert isinstance(difference.found, Content)
    assert isinstance(difference.wanted, Content)
    assert (difference.found.data, difference.wanted.data) == (b"one\n", b"two\n")
    assert path.read_text() == "one\n"
    assert twice(driver, f'{{dest: {path}, content: "two\\n"}}') == ["content"]
    assert (path.read_text(), mode(path)) == ("two\n", "0600")


def test_mode_alone_sends_nothing(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("same")
    inode = (tmp_path / "f").stat().st_ino
    assert twice(driver, f"{{dest: {tmp_path}/f, content: same, mode: '0640'}}") == ["mode"]
    assert (tmp_path / "f").stat().st_ino == inode


def test_a_file_goes_into_a_folder(driver: Driver, tmp_path: Path) -> None:
    (driver.site.folder / "files").mkdir()
    (driver.site.folder / "files" / "a.conf").write_text("a")
    (tmp_path / "etc").mkdir()
    twice(driver, f"{{src: a.conf, dest: {tmp_path}/etc}}")
    twice(driver, f"{{src: a.conf, dest: {tmp_path}/etc/}}")
    twice(driver, f"{{src: a.conf, dest: {tmp_path}/b.conf}}")
    assert (tmp_path / "etc" / "a.conf").read_text() == (tmp_path / "b.conf").read_text() == "a"
    assert driver.apply("copy", f"{{src: a.conf, dest: {tmp_path}/etc}}").values["dest"] == f"{tmp_path}/etc/a.conf"


def test_preserve_takes_the_mode_along(driver: Driver, tmp_path: Path) -> None:
    (driver.site.folder / "run.sh").write_text("#!/bin/sh\n")
    (driver.site.folder / "run.sh").chmod(0o751)
    twice(driver, f"{{src: run.sh, dest: {tmp_path}/run.sh, mode: preserve}}")
    assert mode(tmp_path / "run.sh") == "0751"


def test_a_large_file_is_streamed_and_not_kept_for_diffs(driver: Driver, tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    (driver.site.folder / "big").write_bytes(data)
    result = driver.apply("copy", f"{{src: big, dest: {tmp_path}/big}}")
    assert [type(step.content).__name__ for step in result.steps] == ["PosixPath"]  # type: ignore[union-attr]  # a Send
    assert (tmp_path / "big").read_bytes() == data
    assert not driver.apply("copy", f"{{src: big, dest: {tmp_path}/big}}").changed


def test_a_link_is_replaced_unless_it_is_to_be_followed(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    assert twice(driver, f"{{dest: {tmp_path}/link, content: new, follow: true}}") == ["content"]
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    assert twice(driver, f"{{dest: {tmp_path}/link, content: newer}}") == ["content"]
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_home_is_that_of_whoever_the_task_runs_as(driver: Driver, tmp_path: Path) -> None:
    driver.environment["HOME"] = str(tmp_path)
    twice(driver, "{dest: ~/it's, content: one, mode: '0600'}")
    assert ((tmp_path / "it's").read_text(), mode(tmp_path / "it's")) == ("one", "0600")
    assert twice(driver, "{dest: ~/it's, content: two}") == ["content"]
    assert mode(tmp_path / "it's") == "0600"


def test_force_no_leaves_a_file_that_is_there(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("theirs")
    assert twice(driver, f"{{dest: {tmp_path}/f, content: ours, force: false}}") == []
    twice(driver, f"{{dest: {tmp_path}/g, content: ours, force: false}}")
    assert (tmp_path / "f").read_text() + (tmp_path / "g").read_text() == "theirsours"


def test_a_backup_keeps_what_was_there(driver: Driver, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "f").write_text("old")
    (folder / "f").chmod(0o640)
    twice(driver, f"{{dest: {folder}/f, content: new, backup: true}}")
    (backup,) = (each for each in folder.iterdir() if each.name != "f")
    assert backup.name.startswith("f.")
    assert backup.name.endswith("~")
    assert (backup.read_text(), mode(backup)) == ("old", "0640")


def test_a_file_that_does_not_pass_its_check_is_never_seen(driver: Driver, tmp_path: Path) -> None:
    folder = tmp_path / "it's"
    folder.mkdir()
    (folder / "f").write_text("good")
    (folder / "f").chmod(0o440)
    module = driver.build("copy", f'{{dest: "{folder}/f", content: bad, validate: "grep -q good %s"}}')
    from fleetenv.modules.base import StateModule
    from fleetenv.state import compare

    assert isinstance(module, StateModule)
    found = driver.observe(module)
    *_, last = [driver.carry_out(step) for step in module.converge(compare(module.desired(found), found))]
    assert last.status == 1
    assert f"the new {folder}/f is refused by: grep -q good %s" in last.error_text
    assert [each.name for each in folder.iterdir()] == ["f"]
    twice(driver, f'{{dest: "{folder}/f", content: also good, validate: "grep -q good %s"}}')
    assert ((folder / "f").read_text(), mode(folder / "f")) == ("also good", "0440")


def test_a_folder_is_copied_with_all_that_is_in_it(driver: Driver, tmp_path: Path) -> None:
    source = driver.site.folder / "files" / "tree"
    (source / "sub" / "empty").mkdir(parents=True)
    for name in ("a.txt", "sub/b.txt", "sub/c d.txt"):
        (source / name).write_text(name)
    task = f"{{src: tree, dest: {tmp_path}/to, mode: '0640', directory_mode: '0750'}}"
    assert driver.apply("copy", task, check=True).changed
    twice(driver, task)
    assert (tmp_path / "to" / "tree" / "sub" / "c d.txt").read_text() == "sub/c d.txt"
    assert (tmp_path / "to" / "tree" / "sub" / "empty").is_dir()
    assert mode(tmp_path / "to" / "tree" / "sub") == "0750"
    (tmp_path / "to" / "tree" / "sub" / "b.txt").write_text("changed by hand")
    (tmp_path / "to" / "tree" / "sub" / "theirs").write_text("stays")
    (tmp_path / "to" / "tree" / "a.txt").chmod(0o600)
    assert twice(driver, task) == ["entries.a.txt.mode", "entries.sub/b.txt.content"]
    twice(driver, f"{{src: tree/, dest: {tmp_path}/flat}}")
    assert (tmp_path / "flat" / "sub" / "b.txt").read_text() == "sub/b.txt"


def test_remote_src_copies_on_the_host(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "src").write_text("text")
    (tmp_path / "src").chmod(0o700)
    task = f"{{src: {tmp_path}/src, dest: {tmp_path}/copy, remote_src: true, mode: preserve}}"
    twice(driver, task)
    assert ((tmp_path / "copy").read_text(), mode(tmp_path / "copy")) == ("text", "0700")
    (tmp_path / "src").write_text("other")
    assert twice(driver, task) == ["content"]
    (tmp_path / "folder").mkdir()
    twice(driver, f"{{src: {tmp_path}/src, dest: {tmp_path}/folder, remote_src: true}}")
    assert (tmp_path / "folder" / "src").read_text() == "other"
    with pytest.raises(TaskFailed, match="nope on the host does not exist"):
        driver.apply("copy", f"{{src: {tmp_path}/nope, dest: {tmp_path}/copy, remote_src: true}}")


@root
def test_owner_goes_with_the_file(driver: Driver, tmp_path: Path) -> None:
    twice(driver, f"{{dest: {tmp_path}/f, content: x, owner: nobody, group: '12', mode: '4755'}}")
    assert ((tmp_path / "f").owner(), (tmp_path / "f").stat().st_gid, mode(tmp_path / "f")) == ("nobody", 12, "4755")
    assert twice(driver, f"{{dest: {tmp_path}/f, content: x, owner: root, mode: '4755'}}") == ["owner"]
    assert twice(driver, f"{{dest: {tmp_path}/f, content: y}}") == ["content"]
    assert ((tmp_path / "f").stat().st_gid, mode(tmp_path / "f")) == (12, "4755")


def test_a_template_is_rendered_with_the_hosts_variables(driver: Driver, tmp_path: Path) -> None:
    (driver.site.folder / "templates").mkdir()
    (driver.site.folder / "templates" / "x.conf.j2").write_text("# {{ ansible_managed }}\ngpus={{ gpus }}\n")
    driver.site.variables["gpus"] = 8
    twice(driver, f"{{src: x.conf.j2, dest: {tmp_path}/x.conf, mode: '0644'}}", "template")
    assert (tmp_path / "x.conf").read_text() == "# Ansible managed\ngpus=8\n"
    driver.site.variables["gpus"] = 4
    result = driver.apply("template", f"{{src: x.conf.j2, dest: {tmp_path}/x.conf}}")
    assert result.keys == ["content"]
    assert result.values["checksum"] == hashlib.sha1(b"# Ansible managed\ngpus=4\n").hexdigest()
    twice(driver, f'{{src: x.conf.j2, dest: {tmp_path}/dos.conf, newline_sequence: "\\r\\n"}}', "template")
    assert (tmp_path / "dos.conf").read_bytes() == b"# Ansible managed\r\ngpus=4\r\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dest: /x", "site.yml:1:1: 'copy': one of 'src' and 'content' is needed, and only one"),
        ("dest: /x/\ncontent: y", "site.yml:1:7: 'copy': 'dest' is a folder: a 'content' needs the name of a file"),
        ("dest: /x\ncontent: y\nvalidate: visudo", "site.yml:3:11: 'copy': 'validate' must have a %s in it"),
        ("dest: /x\nsrc: nope", "there is no file 'nope'"),
    ],
)
def test_mistakes_are_told_with_their_place(driver: Driver, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        driver.build("copy", text)
    assert str(caught.value).startswith(message)
