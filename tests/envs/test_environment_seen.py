"""What the question about environments tells of files, with GNU's find and with one that lacks what only GNU's has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fleetenv.conda.environment import SCRIPT, EnvironmentState, Subject, parse
from fleetenv.remote import Completed

FINISHED = 1_700_000_000
PLAIN_FIND = '#!/bin/sh\nfor word; do case $word in -printf | -quit) exit 1 ;; esac; done\nexec /usr/bin/find "$@"\n'


@pytest.fixture(params=["GNU", "other"])
def find(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the PATH with such a find."""
    if request.param == "GNU":
        return os.environ["PATH"]
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/find"
    program.write_text(PLAIN_FIND)
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Return a prefix with one finished environment, under a name that a shell or find could misread."""
    prefix = tmp_path / "mini [conda]*"
    generation = prefix / "envs/.fleetenv/nlp/0001-abc"
    for name, text in {
        "conda-meta/fleetenv": "abc\n",
        "conda-meta/numpy-2.1-0.json": '{\n  "sha256": "12ab",\n  "url": "https://x/lab/noarch/numpy-2.1-0.conda"\n}\n',
        "lib/python3.11/site-packages/numpy.py": "",
        "lib/python3.11/site-packages/Foo_Bar-1.02.dist-info/INSTALLER": "conda\n",
        "lib/python3.11/site-packages/__pycache__/numpy.cpython-311.pyc": "",
    }.items():
        (generation / name).parent.mkdir(parents=True, exist_ok=True)
        (generation / name).write_text(text)
    (prefix / "envs/nlp").symlink_to(generation)
    for path in (*generation.rglob("*"), generation):
        os.utime(path, (FINISHED, FINISHED))
    os.utime(generation / "lib/python3.11/site-packages/__pycache__/numpy.cpython-311.pyc")  # compiled since
    os.utime(generation / "conda-meta")  # got its mark last
    return prefix


def seen(prefix: Path, path: str) -> EnvironmentState:
    subject = str(Subject(str(prefix), "nlp", (), needs_cuda=False, needs_access=False))
    done = subprocess.run(
        ["sh", "-c", SCRIPT, "sh", subject], env={"PATH": path}, capture_output=True, check=True, timeout=60
    )
    return parse(Completed(done.returncode, done.stdout, done.stderr))[subject]


def test_what_was_finished_and_left_alone_is_seen_so(prefix: Path, find: str) -> None:
    state = seen(prefix, find)
    assert (state.managed, state.generation, state.files, state.pip) == (True, "0001-abc", {}, {})
    assert state.packages == {"numpy": "2.1 0 (lab) sha256:12ab"}
    assert (state.kernel, state.machine) == (os.uname().release, os.uname().machine)


@pytest.mark.parametrize(
    ("damage", "files"),
    [
        ("echo x >>site-packages/numpy.py", {"lib/python3.11/site-packages/numpy.py": "changed by hand"}),
        (
            "rm site-packages/numpy.py",
            {"lib/python3.11/site-packages/": "something was added or removed in it by hand"},
        ),
        ("touch 'a b'", {"lib/python3.11/a b": "changed by hand"}),
        ("ln -sf /x site-packages/numpy.py", {"lib/python3.11/site-packages/numpy.py": "changed by hand"}),
        ("touch ../../.hidden", {".hidden": "changed by hand"}),
    ],
)  # fmt: skip
def test_a_file_changed_added_or_removed_is_seen(prefix: Path, find: str, damage: str, files: dict[str, str]) -> None:
    subprocess.run(damage, shell=True, cwd=prefix / "envs/nlp/lib/python3.11", check=True)
    assert seen(prefix, find).files == files


def test_what_pip_installed_is_told_by_its_mark(prefix: Path, find: str) -> None:
    info = prefix / "envs/nlp/lib/python3.11/site-packages/Foo_Bar-1.02.dist-info"
    (info / "INSTALLER").write_bytes(b"\xff\npip\n")
    assert seen(prefix, find).pip == {"foo-bar": "1.2"}


def test_a_link_to_no_generation_is_not_managed(prefix: Path, find: str) -> None:
    link = prefix / "envs/nlp"
    (prefix / "envs/other").symlink_to(link.readlink())
    link.unlink()
    link.symlink_to("other")
    state = seen(prefix, find)
    assert (state.present, state.managed, state.generation) == (True, False, "other")
