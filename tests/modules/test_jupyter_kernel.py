"""jupyter_kernel: kernel.json says what the task says; kernels that lead nowhere are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules.jupyter_kernel import KernelState, _parse
from fleetenv.remote import Completed

from .conftest import Driver, Site


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A Miniconda's folder with an environment: its interpreter only has to be there."""
    environment = tmp_path / "miniconda3" / "envs" / "nlp_train"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").write_text("#!/bin/sh\n")
    (environment / "bin" / "python").chmod(0o755)
    (environment / "lib" / "python3.11" / "site-packages" / "ipykernel").mkdir(parents=True)
    return tmp_path / "miniconda3"


@pytest.fixture
def home(driver: Driver, tmp_path: Path) -> Path:
    (tmp_path / "ana").mkdir()
    driver.environment["HOME"] = str(tmp_path / "ana")
    return tmp_path / "ana" / ".local" / "share" / "jupyter" / "kernels"


def test_an_environment_becomes_a_kernel(driver: Driver, prefix: Path, home: Path) -> None:
    task = (
        f"{{name: nlp_train, display_name: NLP training, environment: nlp_train, prefix: {prefix},"
        " env: {TOKENIZERS_PARALLELISM: 'false'}}"
    )
    assert driver.apply("jupyter_kernel", task).changed
    written = json.loads((home / "nlp_train" / "kernel.json").read_text())
    assert written == {
        "argv": [f"{prefix}/envs/nlp_train/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "NLP training",
        "language": "python",
        "metadata": {"debugger": True},
        "env": {"TOKENIZERS_PARALLELISM": "false"},
    }
    (home / "nlp_train" / "logo-64x64.png").write_bytes(b"the user's own")
    (home / "nlp_train" / "kernel.json").write_text(json.dumps(written, sort_keys=True))
    assert not driver.apply("jupyter_kernel", task).changed  # written otherwise, but says the same
    result = driver.apply("jupyter_kernel", task.replace("NLP training", "Training").replace("'false'", "'true'"))
    assert result.keys == ["kernel.display_name", "kernel.env.TOKENIZERS_PARALLELISM"]
    assert (home / "nlp_train" / "logo-64x64.png").exists()
    gone = driver.apply("jupyter_kernel", "{name: nlp_train, state: absent}")
    assert gone.changed
    assert not (home / "nlp_train").exists()
    assert not driver.apply("jupyter_kernel", "{name: nlp_train, state: absent}").changed


def test_kernels_whose_interpreter_is_gone_are_told_and_removed_when_asked(
    driver: Driver, prefix: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kernels"
    elsewhere = tmp_path / "link"
    elsewhere.symlink_to(tmp_path / "nowhere")
    closed = tmp_path / "closed"
    kernels = {
        "old": ["/no/such/env/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "dangling": [f"{elsewhere}/bin/python", "-f", "{connection_file}"],
        "on-path": ["python3", "-f", "{connection_file}"],
        "alive": [f"{prefix}/envs/nlp_train/bin/python", "-f", "{connection_file}"],
        "broken": "not a list",
    }
    for name, argv in kernels.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name}, indent=1))
    closed.mkdir()
    task = f"{{name: nlp_train, environment: nlp_train, prefix: {prefix}, folder: {folder}}}"
    result = driver.apply("jupyter_kernel", task)
    assert result.values["stale"] == ["dangling", "old"]
    assert result.keys[0] == "present"
    result = driver.apply("jupyter_kernel", task.replace("}", ", stale: remove}"))
    assert result.keys == ["stale.dangling", "stale.old"]
    assert sorted(path.name for path in folder.iterdir()) == ["alive", "broken", "nlp_train", "on-path"]
    assert not driver.apply("jupyter_kernel", task.replace("}", ", stale: remove}")).changed


def test_a_kernel_that_could_not_start_is_refused(driver: Driver, prefix: Path, home: Path) -> None:
    with pytest.raises(TaskFailed, match=r"there is no .*/envs/cv/bin/python: a task before this one must make it"):
        driver.apply("jupyter_kernel", f"{{name: cv, environment: cv, prefix: {prefix}}}")
    (prefix / "envs/nlp_train/lib/python3.11/site-packages/ipykernel").rmdir()
    task = f"{{name: nlp_train, environment: nlp_train, prefix: {prefix}}}"
    with pytest.raises(TaskFailed, match="nlp_train has no ipykernel: add it to the environment's spec"):
        driver.apply("jupyter_kernel", task)
    driver.site.check_mode = True  # the environment may be made by a task before this one
    assert driver.apply("jupyter_kernel", task, check=True).changed


def test_other_languages_say_their_own_command(driver: Driver, home: Path) -> None:
    argv = "[R, --slave, -e, 'IRkernel::main()', --args, '{connection_file}']"
    driver.apply("jupyter_kernel", f"{{name: ir, language: R, argv: {argv}}}")
    written = json.loads((home / "ir" / "kernel.json").read_text())
    assert (written["language"], written["display_name"], written["argv"][0]) == ("R", "R (ir)", "R")


pairs = st.tuples(
    st.sampled_from(["subject", "kernel", "text", "gone", "present", "x"]), st.text() | st.just("/a|b|c|d")
)


@given(st.lists(pairs), st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_whatever_a_host_says_is_read_or_refused(said: list[tuple[str, str]], rest: str) -> None:
    words = [("subject", "~/x|nlp|/p|all"), ("kernel", "nlp"), ("text", '{"argv": [[]], "env": {"A": null}}'), *said]
    answer = Completed(0, ("".join(f"{key}\0{value}\0" for key, value in words) + rest).encode())
    try:
        found = _parse(answer)
    except ValueError:
        return
    assert all(isinstance(each, KernelState) for each in found.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("name: NLP Train\npython: /usr/bin/python3", "'name' is of lower-case letters"),
        ("name: x", "one of 'environment', 'python' and 'argv' is needed"),
        ("name: x\nenvironment: y", "'environment' and 'prefix' go together"),
        ("name: x\nargv: [R]", "'argv' must have {connection_file} in it"),
        ("name: x\npython: bin/python", "the path 'bin/python' must be absolute"),
    ],
)
def test_what_jupyter_could_not_use_is_refused_before_any_host(arguments: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Driver(Site(tmp_path)).build("jupyter_kernel", arguments)
    assert message in str(caught.value)
