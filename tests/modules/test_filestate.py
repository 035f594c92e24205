"""Many files are looked at with one question; what is wrong is mended, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.errors import TaskFailed
from fleetenv.modules.filestate import SHOWN, FileState, content_of, look_up, parse_files, wished
from fleetenv.modules.filesteps import link, mend, remove
from fleetenv.modules.hostpath import quoted
from fleetenv.modules.modes import check_mode, octal, symbolic
from fleetenv.remote import Completed, Lookup, Run, sh
from fleetenv.state import UNSET, Content, compare

from .conftest import SHELLS, Driver

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def ask(driver: Driver, *lookups: Lookup[FileState | None]) -> list[FileState | None]:
    assert len({each.script for each in lookups}) == 1
    script = f"{sh('set', '--', *(each.subject for each in lookups))}\n{lookups[0].script}"
    answer = lookups[0].parse(driver.run(script))
    return [answer[each.subject] for each in lookups]


def test_files_folders_links_and_absence_are_told_apart_in_one_question(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    names = ("file", "folder", "link", "broken", "pipe", "absent", "absent/below", "file/below")
    file, folder, to_file, broken, pipe, *absent = ask(driver, *(look_up(f"{tmp_path}/{name}") for name in names))
    assert file
    assert (file.kind, file.mode, file.size) == ("file", "0640", 4)
    assert folder
    assert (folder.kind, folder.mode) == ("directory", "0700")
    assert to_file
    assert (to_file.kind, to_file.target) == ("link", "file")
    assert broken
    assert (broken.kind, broken.target) == ("link", "nowhere")
    assert pipe
    assert pipe.kind == "other"
    assert absent == [None, None, None]


def test_a_followed_link_tells_about_what_it_leads_to(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    linked, same, broken, plain = ask(
        driver,
        look_up(f"{tmp_path}/link", follow=True, content=Content("")),
        look_up(f"{tmp_path}/link"),
        look_up(f"{tmp_path}/broken", follow=True),
        look_up(f"{tmp_path}/file", follow=True),
    )
    assert linked
    assert (linked.kind, linked.target, linked.real) == ("file", "file", f"{tmp_path}/file")
    assert linked.content == content_of(b"text")
    assert same
    assert same.kind == "link"
    assert broken
    assert broken.kind == "link"
    assert plain
    assert plain.path == f"{tmp_path}/file"


OTHER_STATS = {
    "GNU's": "",
    "GNU's before 8.25": "unset QUOTING_STYLE",
    "uutils'": 'case $2 in %N) printf \'"%s" -> "x"\' "$4"; exit;; esac',
}
"""What stands in front of this machine's own, so that it quotes as others do: simulated."""


@pytest.mark.parametrize("quirk", OTHER_STATS.values(), ids=OTHER_STATS)
def test_links_of_any_name_lead_where_they_lead_whichever_stat_is_there(
    driver: Driver, tmp_path: Path, quirk: str
) -> None:
    program = tmp_path / "bin" / "stat"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n{quirk}\nexec {shutil.which("stat")} "$@"\n')
    program.chmod(0o755)
    driver.environment["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    targets = {"a -> b": "c -> d", "new\nline": "x\n\n", "'q\"": "$(id) '", "ü\t": "\\n", "-n": "-n", "l": "%s\x01\x7f"}
    for name, target in targets.items():
        (tmp_path / name).symlink_to(target)
    (tmp_path / "file -> x").touch()
    lookups = [look_up(f"{tmp_path}/{name}") for name in (*targets, "file -> x")]
    told = [each and each.target for each in ask(driver, *lookups)]
    assert told == [*targets.values(), UNSET]


def test_content_comes_only_where_it_differs_and_only_when_it_can_be_shown(driver: Driver, tmp_path: Path) -> None:
    wanted = content_of(b"wanted\n")
    for name, data in {"same": b"wanted\n", "other": b"\0\xff other", "long": b"x" * (SHOWN + 1)}.items():
        (tmp_path / name).write_bytes(data)
    same, other, long, hash_only = ask(
        driver,
        *(look_up(f"{tmp_path}/{name}", content=wanted) for name in ("same", "other", "long")),
        look_up(f"{tmp_path}/other", content=Content("")),
    )
    assert same
    assert same.content == wanted
    assert isinstance(same.content, Content)
    assert same.content.data is None
    assert other
    assert isinstance(other.content, Content)
    assert other.content.data == b"\0\xff other"
    assert long
    assert isinstance(long.content, Content)
    assert long.content.data is None
    assert long.content.sha256 == hashlib.sha256(b"x" * (SHOWN + 1)).hexdigest()
    assert hash_only
    assert hash_only.content == content_of(b"\0\xff other")


def test_the_content_of_many_files_is_bounded(driver: Driver, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / str(number)).write_text(f"{number}")
    found = ask(driver, *(look_up(f"{tmp_path}/{number}", content=content_of(b"x")) for number in range(40)))
    contents = [each.content for each in found if each is not None and isinstance(each.content, Content)]
    assert contents == [content_of(f"{number}".encode()) for number in range(40)]
    assert sum(each.data is not None for each in contents) == 32


NASTY = ["a b", "$(touch x)", "-rf", "new\nline", "back\\slash", "'quote\"", "*", "t\tab", "ünï", "\\n", "a:b", ";id"]


def test_any_name_is_only_a_name(driver: Driver, tmp_path: Path) -> None:
    for name in NASTY:
        (tmp_path / name).write_text(name)
    lookups = [look_up(f"{tmp_path}/{name}", content=content_of(b"?")) for name in NASTY]
    for name, found in zip(NASTY, ask(driver, *lookups), strict=True):
        assert found
        assert found.content == content_of(name.encode())
        assert isinstance(found.content, Content)
        assert found.content.data == name.encode()
    assert {each.name for each in tmp_path.iterdir()} == {*NASTY, "site"}


@root
def test_no_permission_is_not_absence(driver: Driver, tmp_path: Path) -> None:
    for folder in [tmp_path, *list(tmp_path.parents)[:-2]]:
        folder.chmod(0o755)
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "secret").write_text("")
    (tmp_path / "secret").chmod(0o600)
    driver.user = 65534
    lookups = [look_up(f"{tmp_path}/{name}", content=Content("")) for name in ("closed/x", "closed/x/y", "secret", "x")]
    below, deeper, secret, absent = ask(driver, *lookups)
    assert [each and each.kind for each in (below, deeper, secret)] == ["denied"] * 3
    assert absent is None
    with pytest.raises(TaskFailed, match="no permission to look at /x: does the task need 'become: true'"):
        wished(below, "/x", kind="file")


def test_home_is_that_of_the_remote_user(driver: Driver, tmp_path: Path) -> None:
    driver.environment["HOME"] = str(tmp_path)
    (tmp_path / "it's").write_text("")
    (found,) = ask(driver, look_up("~/it's"))
    assert found
    assert found.path == f"{tmp_path}/it's"
    assert driver.run(f"echo {quoted(chr(126) + '/it' + chr(39) + 's')}").text == f"{tmp_path}/it's\n"


@pytest.mark.parametrize(
    "stdout",
    [b"nonsense", b"is\0x", b"is\0-:/x\0/x\0stat\0/x\0zz 1 2 3 4 5 6 7 8 9 10 11\0a\0b\0", b"content\0/x\0!\0"],
)
def test_a_broken_answer_is_refused(stdout: bytes) -> None:
    with pytest.raises(ValueError, match=r"broken answer|unexpected|stat told nothing|base 16"):
        parse_files(Completed(0, stdout))


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_whatever_a_host_prints_is_parsed_or_refused(stdout: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_files(Completed(0, b"is\0-:/x\0/x\0" + stdout))


def converge(driver: Driver, path: Path, **wish: str) -> list[str]:
    """Make a folder or file as wished; return what differed."""

    def found() -> FileState | None:
        return ask(driver, look_up(str(path)))[0]

    diff = compare(wished(found(), str(path), **wish), found())  # type: ignore[arg-type]  # kinds come as plain text
    for step in mend(str(path), diff):
        assert driver.carry_out(step).status == 0
    assert not compare(wished(found(), str(path), **wish), found())  # type: ignore[arg-type]
    return [each.key for each in diff.differences]


@root
def test_a_folder_is_made_with_its_parents_and_mended(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "set" / "gid" / "a b"
    (tmp_path / "set").mkdir()
    (tmp_path / "set").chmod(0o2755)
    assert converge(driver, path, kind="directory", mode="0750", owner="nobody", group="12")[0] == "state"
    assert path.parent.stat().st_mode & 0o7777 == 0o750
    assert (path.owner(), path.stat().st_gid) == ("nobody", 12)
    assert converge(driver, path, kind="directory", mode="0755", owner="0") == ["mode", "uid"]
    assert converge(driver, path, kind="directory", mode="2755") == ["mode"]
    assert converge(driver, path, kind="directory", mode="755") == ["mode"]
    assert converge(driver, path, kind="directory", mode="u=rwx,go=", group="0") == ["mode", "gid"]
    assert converge(driver, path, kind="directory", mode="go=") == []


def test_links_replace_what_is_there_at_once(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target in ("folder", "nowhere", "$(id)"):
        assert driver.carry_out(link(f"{tmp_path}/l", target)).status == 0
        assert (tmp_path / "l").readlink() == Path(target)
    assert list((tmp_path / "folder").iterdir()) == []
    assert driver.carry_out(remove(f"{tmp_path}/l")).status == 0
    assert not os.path.lexists(tmp_path / "l")


@pytest.mark.parametrize("path", ["/", "//", "/.", "/..", "~", "~/"])
def test_nobody_s_whole_world_is_removed(path: str) -> None:
    with pytest.raises(TaskFailed):
        remove(path)


def test_a_file_where_a_folder_is_fails() -> None:
    with pytest.raises(TaskFailed, match="/x is there already, and is a directory, not a file"):
        wished(FileState(kind="directory"), "/x", kind="file")


MODES = [
    "u+x",
    "go-rwx",
    "a=r",
    "u=rwx,g=rx,o=",
    "+x",
    "u=rwX,g=u,o=g",
    "a+X",
    "ug+s",
    "+t",
    "u-s,g+w",
    "o=u-w",
    "0641",
]


@pytest.mark.parametrize("shell", SHELLS[:1])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", [0o644, 0o755, 0o000, 0o6750, 0o1777])
@pytest.mark.parametrize("directory", [False, True])
def test_modes_mean_what_chmod_means(tmp_path: Path, shell: str, mode: str, before: int, directory: bool) -> None:
    path = tmp_path / "x"
    path.mkdir() if directory else path.touch()
    path.chmod(before)
    expected = octal(mode, before=f"{before:04o}", directory=directory)
    Driver(None, shell=shell).run(f"chmod {symbolic(mode)} {path}")  # type: ignore[arg-type]  # needs no site
    found = path.stat().st_mode & 0o7777
    if mode[0] == "0" and directory:  # chmod alone keeps a folder's set-id bits here; the steps give it five digits
        found &= ~0o6000
    assert f"{found:04o}" == expected


@pytest.mark.parametrize("mode", [644, 755, "0999", "rw", "u+q", -1, 0o10000, "u+x,", ""])
def test_what_is_no_mode_is_refused(mode: str | int) -> None:
    with pytest.raises(ValueError, match="'mode'"):
        check_mode(mode)


@pytest.mark.parametrize("mode", [0o644, 0o1777, "644", "0644", "01777", "u=rwX,g=u,o-w"])
def test_modes_as_people_write_them(mode: str | int) -> None:
    check_mode(mode)


def test_a_step_for_a_mode_keeps_to_the_mode(tmp_path: Path) -> None:
    diff = compare(FileState(mode="0600"), FileState(mode="0644", owner="root"))
    assert list(mend(f"{tmp_path}/x", diff)) == [Run(f"chmod 00600 -- {tmp_path}/x")]
