"""What an environment.yml may say, and how it is told that it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetenv.conda.spec import Settings, Spec, read_spec
from fleetenv.errors import InputError

GOOD = """\
name: nlp_train
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.11
  - conda-forge::numpy >=1.26,<2
  - pytorch=2.5[build=cuda*]
  - pip
  - pip:
      - wandb[media]>=0.17; python_version < "4"
      - --extra-index-url https://wheels.example.com/simple
      - flash_attn @ https://example.com/flash_attn-2.6-cp311-cp311-linux_x86_64.whl
variables:
  OMP_NUM_THREADS: 8
prefix: /home/me/envs/nlp_train
"""


def read(tmp_path: Path, text: str) -> Spec:
    path = tmp_path / "nlp_train.yml"
    path.write_text(text)
    return read_spec(path)


def test_a_spec_is_read_as_conda_reads_it(tmp_path: Path) -> None:
    spec = read(tmp_path, GOOD)
    assert spec.name == "nlp_train"
    assert spec.channels == ("conda-forge",)
    assert [(each.channel, each.text) for each in spec.conda] == [
        (None, "python=3.11"),
        ("conda-forge", "numpy >=1.26,<2"),
        (None, "pytorch=2.5[build=cuda*]"),
        (None, "pip"),
    ]
    assert [(each.name, each.direct_url) for each in spec.pip] == [("wandb", False), ("flash-attn", True)]
    assert [(each.option, each.value) for each in spec.pip_options] == [
        ("--extra-index-url", "https://wheels.example.com/simple")
    ]
    assert spec.variables == {"OMP_NUM_THREADS": "8"}


def test_the_digest_is_of_the_meaning(tmp_path: Path) -> None:
    digest = read(tmp_path, GOOD).digest
    assert read(tmp_path, "# hello\n" + GOOD.replace("  - pip\n", "  -   pip   # needed\n")).digest == digest
    assert read(tmp_path, GOOD.replace(": 8", ": 9").replace("/home/me", "/home/you")).digest == digest
    assert read(tmp_path, GOOD.replace("3.11", "3.12", 1)).digest != digest
    assert read(tmp_path, GOOD.replace("[conda-forge, nodefaults]", "[bioconda, conda-forge]")).digest != digest
    assert read(tmp_path, GOOD.replace("wandb[media]>=0.17", "wandb[media]>=0.18")).digest != digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dependencies:", "dependancies:", "3:1: unknown key 'dependancies'; did you mean 'dependencies'?"),
        ("  - pip:", "  - pipp:", "8:5: unknown section 'pipp' in 'dependencies'"),
        ("[conda-forge, nodefaults]", "[]", "2:1: no channels: which packages this means would depend on"),
        ("[conda-forge, nodefaults]", "conda-forge", "2:11: 'channels' must be a list"),
        ("name: nlp_train", "name: base", "1:7: 'base' cannot be the name of an environment"),
        ("name: nlp_train", "name: ../up", "1:7: '../up' cannot be the name of an environment"),
        ("python=3.11", "=3.11", "4:5: '=3.11' is not a conda package"),
        ("python=3.11", "3.11", "4:5: '3.11' is not a conda package"),
        (
            "      - wandb[media]>=0.17",
            "      - git+https://example.com/x.git",
            "9:9: 'git+https://example.com/x.git; ",
        ),
        ("wandb[media]>=0.17", "x @ git+ssh://git@example.com/x", "is a version control URL: it has no hash"),
        ("wandb[media]>=0.17", "-r requirements.txt", "9:9: the pip option '-r requirements.txt; "),
        ("wandb[media]>=0.17", "-e .", "list the packages themselves"),
        ("wandb[media]>=0.17", "./local", "is not a requirement that can be locked"),
        ("--extra-index-url", "--extra-index", "did you mean '--extra-index-url'?"),
        ("  OMP_NUM_THREADS: 8", "  OMP-THREADS: 8", "13:3: 'OMP-THREADS' cannot be the name of a variable"),
        ("  OMP_NUM_THREADS: 8", "  OMP_NUM_THREADS: [8]", "13:20: the variable 'OMP_NUM_THREADS' must be text"),
        ("prefix:", "fleetenv: {cudda: '12.4'}\nprefix:", "unknown key 'cudda' in 'fleetenv'; did you mean 'cuda'?"),
        ("prefix:", "fleetenv: {glibc: 2.30}\nprefix:", "14:19: 'glibc' must be text; write glibc: \"2.3\", in quotes"),
        ("prefix:", "fleetenv: {cuda: newest}\nprefix:", "14:18: 'newest' is not a version of cuda; as in \"12.4\""),
        ("prefix:", "fleetenv: {platforms: [linux-46]}\nprefix:", "14:24: unknown platform 'linux-46'; did you mean"),
        ("prefix:", "fleetenv: {platforms: {linux-64: {cudda: 1}}}\nprefix:", "'linux-64' may have 'cuda' and 'glibc'"),
        ("prefix:", "fleetenv: {mode: 02775}\nprefix:", "14:18: 'mode' must be octal digits; write it in quotes"),
        ("prefix:", "fleetenv: {freeze: always}\nprefix:", "14:20: 'freeze' must be true or false"),
        ("prefix:", "fleetenv: {owner: 'a:b'}\nprefix:", "14:19: 'owner' must be a name or a number"),
        ("prefix:", "fleetenv: {verify: python -c 1}\nprefix:", "14:20: 'verify' must be a list"),
        ("prefix:", "fleetenv: {extends: [base.yml]}\nprefix:", "14:22: there is no file 'base.yml' to extend"),
        ("  - python=3.11\n", "", "a pip section needs a Python to install into; add python to the dependencies"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/nlp_train.yml:")


BASE = """\
name: base_of_all
channels: [nvidia, conda-forge]
dependencies: [python=3.11, numpy=1.26, pip, {pip: [wandb==0.17, rich, --index-url https://old.example.com/simple]}]
variables: {OMP_NUM_THREADS: 8, TZ: UTC}
fleetenv: {cuda: "12.4", platforms: [linux-64], owner: root, verify: [python -V]}
"""
CHILD = """\
channels: [pytorch]
dependencies: [numpy=2.1, {pip: ["wandb>=0.18", --index-url https://new.example.com/simple]}]
variables: {OMP_NUM_THREADS: 4}
fleetenv:
  extends: [base.yml]
  cuda: "12.6"
  group: nlp
  mode: "2775"
  freeze: false
  verify: [python -c "import numpy"]
"""


def test_a_spec_extends_others_and_the_later_one_wins(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text(BASE)
    spec = read(tmp_path, CHILD)
    assert spec.name == "nlp_train"
    assert spec.channels == ("pytorch", "nvidia", "conda-forge")
    assert [each.text for each in spec.conda] == ["python=3.11", "pip", "numpy=2.1"]
    assert [each.text for each in spec.pip] == ["rich", "wandb>=0.18"]
    assert [each.value for each in spec.pip_options] == ["https://new.example.com/simple"]
    assert spec.variables == {"OMP_NUM_THREADS": "4", "TZ": "UTC"}
    assert spec.settings == Settings(
        platforms=("linux-64",),
        cuda="12.6",
        freeze=False,
        owner="root",
        group="nlp",
        mode="2775",
        verify=("python -V", 'python -c "import numpy"'),
    )
    assert Path(spec.conda[0].location.file).name == "base.yml"


def test_what_two_files_extend_is_laid_below_both(tmp_path: Path) -> None:
    for name, text in {
        "root": "dependencies: [numpy=1.26, python=3.11]\nchannels: [conda-forge]",
        "left": "dependencies: [numpy=2.1]\nfleetenv: {extends: [root.yml]}",
        "right": "dependencies: [pandas=2.2]\nfleetenv: {extends: [root.yml]}",
    }.items():
        (tmp_path / f"{name}.yml").write_text(text)
    spec = read(tmp_path, "fleetenv: {extends: [left.yml, right.yml]}")
    assert [each.text for each in spec.conda] == ["python=3.11", "numpy=2.1", "pandas=2.2"]


def test_a_change_in_an_extended_file_changes_the_digest(tmp_path: Path) -> None:
    base = tmp_path / "base.yml"
    base.write_text(BASE)
    digest = read(tmp_path, CHILD).digest
    base.write_text(BASE.replace("rich", "rich>=13"))
    assert read(tmp_path, CHILD).digest != digest
    base.write_text(BASE.replace("owner: root", "owner: ops").replace("python -V", "python -VV"))
    assert read(tmp_path, CHILD).digest == digest  # the same packages
    assert read(tmp_path, CHILD.replace("12.6", "12.8")).digest != digest


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text(BASE.replace("owner: root", "extends: [nlp_train.yml]"))
    with pytest.raises(InputError) as caught:
        read(tmp_path, CHILD)
    assert "base.yml:5:59: 'nlp_train.yml' extends itself: nlp_train.yml -> base.yml -> nlp_train.yml" in str(
        caught.value
    )


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_commit_is_allowed_where_the_spec_says_so(tmp_path: Path) -> None:
    url = "x[gpu] @ git+https://git.example.com/x.git"
    allowed = GOOD + "fleetenv: {allow_vcs: true}\n"
    wish = "wandb[media]>=0.17"
    spec = read(tmp_path, allowed.replace(wish, f"{url}@{COMMIT}#subdirectory=python"))
    assert (spec.pip[0].name, spec.pip[0].direct_url) == ("x", True)
    for moving in (url, f"{url}@main", f"{url}@{COMMIT[:12]}", f"{url}@{COMMIT}x"):
        with pytest.raises(InputError, match="does not name one commit: a branch or a tag may move"):
            read(tmp_path, allowed.replace(wish, moving))
    with pytest.raises(InputError, match="allows a git URL with a full commit hash"):
        read(tmp_path, GOOD.replace(wish, f"{url}@{COMMIT}"))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=12),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["name", "channels", "dependencies", "pip", "variables", "fleetenv", "x"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_yaml_is_read_or_refused(tmp_path: Path, document: object) -> None:
    import yaml

    try:
        spec = read(tmp_path, yaml.safe_dump(document))
    except InputError as error:
        assert error.location  # noqa: PT017  # most of them are refused, some are not
    else:
        assert spec.conda
