"""Requirements files: one meaning for every host, and what they pin."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.conda.requirements_file import read_requirements, same_version
from fleetenv.errors import InputError


def read(tmp_path: Path, text: str, **others: str):
    for name, content in others.items():
        (tmp_path / f"{name}.txt").write_text(content)
    (tmp_path / "requirements.txt").write_text(text)
    return read_requirements(tmp_path / "requirements.txt")


def test_files_that_others_name_are_read_here(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "--extra-index-url https://x.lab/simple\n-r base.txt\nTorch.Vision == 0.17 # pinned\n-c limits.txt\n",
        base="numpy==1.26.4 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n\nrich>=13\n",
        limits="pillow<11\n",
    )
    assert found.lines == (
        "--extra-index-url https://x.lab/simple",
        "numpy==1.26.4 --hash=sha256:aa --hash=sha256:bb",
        "rich>=13",
        "Torch.Vision == 0.17",
    )
    assert found.constraints == ("pillow<11",)
    assert {name: pin.versions for name, pin in found.pins.items()} == {"numpy": ("1.26.4",), "torch-vision": ("0.17",)}
    assert found.hashed


def test_versions_for_different_markers_are_alternatives(tmp_path: Path) -> None:
    pins = read(tmp_path, "a==1.0; python_version<'3.10'\na==2.0; python_version>='3.10'\nb==1.*\nc==1,<2\nd\n").pins
    assert list(pins) == ["a"]
    assert pins["a"].conditional
    assert pins["a"].allows("2.0.0")
    assert not pins["a"].allows("3.0")


@pytest.mark.parametrize(
    ("pinned", "installed", "same"),
    [
        ("1.0", "1.0.0", True), ("2.1.0", "2.1.0+cu118", True), ("2.1.0+cu118", "2.1.0+cu121", False),
        ("1.0-rc.1", "1.0rc1", True), ("v1.0", "1.0", True), ("1.0.post1", "1.0", False),
        ("2020.01.01", "2020.1.1", True),
        ("1.10", "1.1", False), ("1!1.0", "1.0", False), ("1.0a1", "1.0alpha1", True), ("1.0.dev0", "1.0", False),
    ],
)  # fmt: skip
def test_versions_are_compared_as_pip_does(pinned: str, installed: str, same: bool) -> None:
    assert same_version(pinned, installed) is same


@given(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.integers(0, 3))
def test_zeros_at_the_end_mean_nothing(release: list[int], zeros: int) -> None:
    version = ".".join(map(str, release))
    assert same_version(version, version + ".0" * zeros)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-e .\n", "requirements.txt:1:1: '-e .' is a folder of this machine: hosts lack it"),
        ("rich\n./wheels/x.whl\n", "requirements.txt:2:1: './wheels/x.whl' is a file of this machine"),
        ("x @ file:///tmp/x.whl\n", "is a file of this machine"),
        ("x @ git+https://github.com/x/x@main\n", "a version control URL means another commit each day"),
        ("--index-urll https://x\n", "no option of requirements files; did you mean '--index-url'?"),
        ("--index-url\n", "'--index-url' needs a value"),
        ("rich ==\n!\n", "'!' is not a requirement"),
        ("-r nowhere.txt\n", "nowhere.txt: No such file"),
        ("-r requirements.txt\n", "names itself"),
    ],
)
def test_what_would_not_mean_the_same_everywhere_is_refused_where_it_is_written(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"))


@given(st.lists(texts | st.sampled_from(["a==1", "-r x\0", "--hash", "b ==", "\\"])))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        found = read(folder, "\n".join(lines))
    except InputError:
        return
    assert found.digest == read(folder, "# the same\n\n" + "\n".join(lines)).digest


def test_a_commit_is_the_same_everywhere(tmp_path: Path) -> None:
    line = f"x @ git+https://github.com/x/x@{'0' * 40}#subdirectory=y"
    assert read(tmp_path, f"{line}\nhttps://x.lab/y-1.0-py3-none-any.whl\n").lines[0] == line
