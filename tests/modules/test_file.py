"""`file`: files, folders and links come to be as the task says, and a second run changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetenv.errors import InputError, TaskFailed

from .conftest import Driver

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def mode(path: Path) -> str:
    return f"{path.lstat().st_mode & 0o7777:04o}"


def twice(driver: Driver, text: str) -> list[str]:
    """Apply a task; return what differed. The second time nothing does."""
    first = driver.apply("file", text)
    assert driver.apply("file", text).keys == []
    return first.keys


def test_a_folder_with_its_parents(driver: Driver, tmp_path: Path) -> None:
    task = f"{{path: {tmp_path}/a/b c/d, state: directory, mode: '0750'}}"
    assert driver.apply("file", task, check=True).changed
    assert not (tmp_path / "a").exists()
    twice(driver, task)
    assert [mode(tmp_path / each) for each in ("a", "a/b c", "a/b c/d")] == ["0750"] * 3


def test_mode_alone_of_whatever_is_there(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "f").chmod(0o644)
    assert twice(driver, f"path: {tmp_path}/f\nmode: u+x,go=") == ["mode"]
    assert mode(tmp_path / "f") == "0700"
    assert twice(driver, f"dest: {tmp_path}\nmode: 0711") == ["mode"]


def test_what_is_not_there_has_no_mode(driver: Driver, tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match="f does not exist: 'copy' and 'template' make files"):
        driver.apply("file", f"path: {tmp_path}/f\nmode: '0644'")
    with pytest.raises(TaskFailed, match="is a directory"):
        driver.apply("file", f"path: {tmp_path}\nstate: file")


def test_absent_removes_anything_but_never_what_a_link_leads_to(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "l").symlink_to("d")
    assert twice(driver, f"path: {tmp_path}/l\nstate: absent") == ["state"]
    assert (tmp_path / "d" / "e").is_dir()
    assert twice(driver, f"path: {tmp_path}/d/\nstate: absent") == ["state"]
    assert not (tmp_path / "d").exists()


def test_a_link_is_made_changed_and_not_put_over_a_file_unless_forced(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "l"
    assert twice(driver, f"path: {path}\nstate: link\nsrc: a") == ["state", "kind", "target"]
    assert twice(driver, f"path: {path}\nstate: link\nsrc: b c") == ["target"]
    assert path.readlink() == Path("b c")
    path.unlink()
    path.write_text("precious")
    with pytest.raises(TaskFailed, match="is a file; 'force: true' replaces it"):
        driver.apply("file", f"path: {path}\nstate: link\nsrc: a")
    assert twice(driver, f"path: {path}\nstate: link\nsrc: a\nforce: true") == ["kind", "target"]


def test_a_linked_folder_is_a_folder(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "l").symlink_to("d")
    assert twice(driver, f"path: {tmp_path}/l\nstate: directory\nmode: '0755'") == ["mode"]
    assert (tmp_path / "l").is_symlink()
    assert mode(tmp_path / "d") == "0755"


def test_a_hard_link(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    twice(driver, f"path: {tmp_path}/b\nstate: hard\nsrc: {tmp_path}/a")
    assert (tmp_path / "a").samefile(tmp_path / "b")
    with pytest.raises(TaskFailed, match="nope does not exist"):
        driver.apply("file", f"path: {tmp_path}/b\nstate: hard\nsrc: {tmp_path}/nope")


def test_recurse_reaches_everything_below_and_leaves_links_alone(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    for name in ("d/f", "d/e/g"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "d" / "e" / "run").touch(mode=0o700)
    (tmp_path / "outside").touch(mode=0o600)
    (tmp_path / "d" / "l").symlink_to("../outside")
    task = f"path: {tmp_path}/d\nstate: directory\nrecurse: true\nmode: u=rwX,go=rX"
    result = driver.apply("file", task)
    assert result.changed
    assert not driver.apply("file", task).changed
    found = [mode(tmp_path / each) for each in ("d", "d/e", "d/f", "d/e/g", "d/e/run", "outside")]
    assert found == ["0755", "0755", "0644", "0644", "0755", "0600"]
    twice(driver, f"path: {tmp_path}/new\nstate: directory\nrecurse: true\nmode: '0700'")


@root
def test_recurse_with_owner(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    twice(driver, f"path: {tmp_path}/d\nstate: directory\nrecurse: true\nowner: nobody\ngroup: '12'")
    assert (tmp_path / "d" / "e").owner() == "nobody"
    assert (tmp_path / "d" / "e").stat().st_gid == 12


def test_touch_changes_each_time_unless_times_are_preserved(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "t"
    assert driver.act("file", f"path: {path}\nstate: touch", check=True).changed
    assert not path.exists()
    assert driver.act("file", f"path: {path}\nstate: touch\nmode: '0600'").changed
    assert mode(path) == "0600"
    os.utime(path, (1, 1))
    assert driver.act("file", f"path: {path}\nstate: touch").changed
    assert path.stat().st_mtime > 1
    kept = f"path: {path}\nstate: touch\naccess_time: preserve\nmodification_time: preserve"
    assert not driver.act("file", kept).changed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path: relative", "site.yml:1:7: 'file': the path 'relative' must be absolute"),
        (
            "path: /x\nmode: 644",
            "site.yml:2:7: 'file': 'mode' 644 is read as a decimal number: write '0644', in quotes",
        ),
        ("path: /x\nmode: rw", "site.yml:2:7: 'file': 'mode' 'rw' is no file mode"),
        ("path: /x\nstate: link", "site.yml:2:8: 'file': 'src' is needed for 'state' link"),
        ("path: /x\nrecurse: true", "site.yml:2:10: 'file': 'recurse' is for 'state' directory"),
        (
            "path: /x\nstate: dir",
            "site.yml:2:8: 'state' must be one of file, directory, link, hard, touch, absent, not 'dir'",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(driver: Driver, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        driver.build("file", text)
    assert str(caught.value).startswith(message)
