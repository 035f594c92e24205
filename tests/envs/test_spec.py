"""What an environment.yml may say, and how it is told that it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetenv.conda.spec import Spec, read_spec
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
        ("  - python=3.11\n", "", "a pip section needs a Python to install into; add python to the dependencies"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/nlp_train.yml:")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=12),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["name", "channels", "dependencies", "pip", "variables", "x"]), inner)
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
