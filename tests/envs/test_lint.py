"""fleetenv lint: what it finds, where, and how it is told to be quiet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleetenv.conda.lint import Finding, lint
from fleetenv.conda.policy import policy
from fleetenv.conda.relock import Wishes, relock
from fleetenv.conda.spec import read_spec
from fleetenv.errors import InputError
from fleetenv.example import example_folder

from .machine import Project

CLEAN = """\
name: nlp_summaries_train
channels: [conda-forge]
dependencies:
  - python=3.11
  - numpy
  - pip
  - pip:
      - wandb>=0.17
"""


def found(tmp_path: Path, text: str, conda: frozenset[str] = frozenset(), name: str = "spec.yml") -> list[Finding]:
    path = tmp_path / name
    path.write_text(text)
    return lint(read_spec(path), None, conda)


def said(findings: list[Finding]) -> list[str]:
    return [str(each).removeprefix(f"{Path(each.location.file).parent}/") for each in findings]


def test_a_careful_spec_is_clean(tmp_path: Path) -> None:
    assert found(tmp_path, CLEAN, frozenset({"numpy", "python", "pip"})) == []


def test_the_example_is_clean() -> None:
    for path in sorted((example_folder() / "envs").glob("*.yml")):
        assert lint(read_spec(path), None, frozenset({"transformers", "datasets", "accelerate", "wandb"})) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("python=3.11", "python", "spec.yml:4:5: FE001 python is not pinned: "),
        ("python=3.11", "python >=3.9", "spec.yml:4:5: FE001 python is not pinned: "),
        ("python=3.11", "python=3", "spec.yml:4:5: FE001 python is not pinned: "),
        ("  - pip\n", "", "spec.yml:7:9: FE002 a pip section, but no pip in the dependencies: "),
        (
            "wandb>=0.17",
            "scipy",
            "spec.yml:8:9: FE003 pip is asked for scipy, though the channels have scipy; conda first",
        ),
        ("wandb>=0.17", "torch", "spec.yml:8:9: FE003 pip is asked for torch, though the channels have pytorch; "),
        ("wandb>=0.17", "NumPy>2", "spec.yml:8:9: FE003 numpy is asked of conda and of pip; leave it to conda, "),
        ("nlp_summaries_train", "test", "spec.yml:1:7: FE004 the name 'test' tells too little "),
        ("nlp_summaries_train", "NLP_Sum_train", "; names are <team>_<project>_<purpose>, in lower case"),
        ("[conda-forge]", "[conda-forge, defaults]", "spec.yml:2:25: FE006 'defaults' together with conda-forge: "),
        ("- numpy", "- pkgs/main::numpy", "spec.yml:5:5: FE006 'pkgs/main' together with conda-forge: "),
        ("[conda-forge]", "['https://me:secret@conda.example.com/lab']", "spec.yml:2:12: FE007 a password or a token "),
        ("[conda-forge]", "[https://conda.example.com/t/se-cret/lab]", "spec.yml:2:12: FE007 a password or a token "),
        ("wandb>=0.17", "--index-url https://me:secret@pypi.example.com/simple", "spec.yml:8:9: FE007 a password "),
        ("name:", "prefix: /home/me/env\nname:", "spec.yml:1:1: FE008 the prefix is ignored: "),
    ],
)
def test_what_is_found(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CLEAN
    (finding,) = said(found(tmp_path, CLEAN.replace(old, new, 1), frozenset({"numpy", "scipy", "pytorch"})))
    assert message in finding
    assert "secret" not in finding


@pytest.mark.parametrize(
    "wish",
    ["python=3.11", "python ==3.11.9", "python >=3.11,<3.12", "python 3.11.*", "python=3.11.9=h955ad1f_0_cpython"],
)
def test_these_pin_python(tmp_path: Path, wish: str) -> None:
    assert found(tmp_path, CLEAN.replace("python=3.11", wish)) == []


def test_variables_are_no_secrets(tmp_path: Path) -> None:
    channel = "https://${USER}:${PASSWORD}@conda.example.com/t/${TOKEN}/lab"
    assert found(tmp_path, CLEAN.replace("[conda-forge]", f"['{channel}']")) == []


def test_a_comment_silences_one_rule_on_one_line(tmp_path: Path) -> None:
    text = CLEAN.replace("python=3.11", "python  # fleetenv: ignore=FE002, FE001").replace("name: nlp_", "name: ")
    assert [each.code for each in found(tmp_path, text)] == ["FE004"]


def test_the_project_s_policy(tmp_path: Path) -> None:
    folder = tmp_path / "envs"
    folder.mkdir()
    (tmp_path / "fleetenv.toml").write_text(
        "[lint]\nnames = '[a-z]+'\nchannels = ['conda-forge', 'nvidia']\nignore = ['FE001']\n"
    )
    text = CLEAN.replace("python=3.11", "python").replace("nlp_summaries_train", "nlp_a_b")
    text = text.replace("[conda-forge]", "[nvidia, bioconda, conda-forge/label/dev]")
    assert [line.partition(";")[0] for line in said(found(folder, text))] == [
        "spec.yml:1:7: FE004 the name 'nlp_a_b' tells too little of whose environment this is, and what for",
        "spec.yml:2:20: FE005 the channel 'bioconda' is not allowed here",
        "spec.yml:2:30: FE005 the channel 'conda-forge/label/dev' is not allowed here",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[lint]\nnames = 1", "fleetenv.toml:2:1: 'names' is not a regular expression: it is not text; as in "),
        ("[lint]\nnames = '('", "fleetenv.toml:2:1: 'names' is not a regular expression: missing )"),
        ("[lint]\nname = 'x'", "fleetenv.toml:2:1: unknown key 'name' in [lint]; did you mean 'names'?"),
        ("[lint]\nignore = ['FE01']", "fleetenv.toml:2:1: there is no rule FE01; did you mean 'FE001'?"),
        ("[lint]\nchannels = 'x'", "fleetenv.toml:2:1: 'channels' must be a list of texts"),
        ("\n[lnit]\n", "fleetenv.toml:2:2: fleetenv.toml has one table, [lint]"),
        ("[lint]\nnames = x", "fleetenv.toml:2:9: not valid TOML: Invalid value"),
    ],
)
def test_a_mistake_in_the_policy_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "fleetenv.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        policy(tmp_path, ("FE001", "FE002"))
    assert message in str(caught.value)


def test_a_lock_tells_what_conda_brings_anyway(project: Project) -> None:
    path = project.spec("fleet-text", "pip", name="nlp_text_tests", pip=("fleet-tensor", "fleet-metrics"))
    path.write_text(path.read_text().replace("  - python\n", ""))  # fleet-text brings it
    path.write_text(path.read_text().replace("  - pip:\n", "  - python\n  - pip:\n"))
    lock = relock(read_spec(path), Wishes(pip_index=project.channel.simple))
    assert [line.partition("; ")[0] for line in said(lint(read_spec(path), lock))] == [
        "nlp_text_tests.yml:7:5: FE001 python is not pinned: the next lock may bring another one, "
        "and every compiled package with it",
        "nlp_text_tests.yml:9:9: FE003 pip is asked for fleet-tensor, which other packages have conda install already",
    ]


def test_the_command(tmp_path: Path, project: Project, fleetenv_cli: Any) -> None:
    clean, unpinned, vague = (tmp_path / f"{name}.yml" for name in ("clean", "unpinned", "vague"))
    clean.write_text(CLEAN)
    unpinned.write_text(CLEAN.replace("=3.11", ""))
    vague.write_text(CLEAN.replace("nlp_summaries_train", "myenv"))
    assert (fleetenv_cli("lint", clean).status, fleetenv_cli("lint", clean).stdout) == (0, "")
    done = fleetenv_cli("lint", clean, unpinned, vague)
    assert done.status == 1
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["error", "warning", "1 error, 1 warning"]
    assert fleetenv_cli("lint", vague).status == 0
    assert fleetenv_cli("lint", vague, "--strict").status == 1
    done = fleetenv_cli("lint", tmp_path / "none.yml", vague)
    assert (done.status, done.stderr.partition(": ")[2].partition(" ")[0]) == (1, "cannot")
    assert "FE004" in done.stdout


def test_channels_are_known_from_the_cache(project: Project, fleetenv_cli: Any) -> None:
    path = project.spec("pip", name="nlp_text_tests", pip=("fleet-data", "fleet-metrics"))
    assert (
        f"{path}:8:9: FE003 pip is asked for fleet-data, though the channels have fleet-data"
        in fleetenv_cli("lint", path).stdout
    )


def test_apply_warns_once_and_goes_on(project: Project, fleetenv_cli: Any) -> None:
    path = project.spec("fleet-tensor")
    relock(read_spec(path))
    playbook = project.folder / "site.yml"
    playbook.write_text("- {hosts: all, tasks: [conda_env: {spec: nlp_train.yml, prefix: /nowhere/miniconda3}]}\n")
    hosts = "one,two,"
    words = ("apply", playbook, "-i", hosts, "-c", "local", "--check", "--json", project.folder / "run.json")
    done = fleetenv_cli(*words)
    assert done.status == 0, done.stdout + done.stderr
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert [line.split()[2] for line in warnings] == ["FE004", "FE001"]
    assert len(json.loads((project.folder / "run.json").read_text())["warnings"]) == 2
