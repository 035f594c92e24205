"""pip_conf: settings of a pip.conf are kept, the rest of the file stays, and credentials are never shown."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.conda import pip_conf
from fleetenv.errors import InputError, TaskFailed

from .conftest import Driver, Site

WRITTEN = """\
# the lab's own
[global]
index_url = https://old.lab/simple
retries = 3
extra-index-url =
    https://one.lab/simple
    # a comment in between
    https://two.lab/simple

[install]
no-compile = true
"""


def pip_says(path: Path) -> dict[str, str]:
    """Ask pip itself what the file says, as a user's."""
    home = path.parent / "home"
    (home / ".config" / "pip").mkdir(parents=True, exist_ok=True)
    shutil.copy(path, home / ".config" / "pip" / "pip.conf")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "--user", "list"],
        capture_output=True, text=True, check=True, env={"HOME": str(home)},
    )  # fmt: skip
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: ast.literal_eval(value) for name, _, value in pairs}


def test_a_preset_s_index_is_written_and_then_left_alone(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    task = f"{{path: {path}, mirror: tuna, timeout: 60, trusted_hosts: [pypi.lab]}}"
    assert driver.apply("pip_conf", task).changed
    assert not driver.apply("pip_conf", task).changed
    assert pip_says(path) == {
        "global.index-url": "https://pypi.tuna.tsinghua.edu.cn/simple",
        "global.timeout": "60",
        "global.trusted-host": "pypi.lab",
    }
    assert path.stat().st_mode & 0o777 == 0o644


def test_other_settings_and_comments_of_the_file_stay(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text(WRITTEN)
    task = f"{{path: {path}, index_url: https://new.lab/simple, extra: {{install.no-compile: null, retries: 5}}}}"
    result = driver.apply("pip_conf", task)
    assert result.keys == ["settings.global.index-url", "settings.global.retries", "settings.install.no-compile"]
    changed = WRITTEN.replace("index_url = https://old.lab", "index-url = https://new.lab")
    assert path.read_text() == changed.replace("retries = 3", "retries = 5").replace("no-compile = true\n", "")
    assert pip_says(path)["global.extra-index-url"] == "\nhttps://one.lab/simple\nhttps://two.lab/simple"


def test_credentials_are_in_no_difference_and_the_file_is_closed(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    task = f"{{path: {path}, index_url: 'https://ops:PASSWORD@pypi.lab/simple'}}"
    results = [driver.apply("pip_conf", task)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert pip_says(path)["global.index-url"] == "https://ops:PASSWORD@pypi.lab/simple"
    results.append(driver.apply("pip_conf", task.replace("PASSWORD", "SECRET")))
    (difference,) = results[1].diff.differences
    assert difference.wanted == "https://***@pypi.lab/simple (with other credentials)"
    assert difference.found == "https://***@pypi.lab/simple"
    results.append(driver.apply("pip_conf", task.replace("PASSWORD", "SECRET")))
    assert not results[2].changed
    told = [f"{each.diff.differences} {dict(each.values)} {each.steps}" for each in results]
    assert not any(secret in text for text in told for secret in ("PASSWORD", "SECRET", "ops"))
    assert driver.apply("pip_conf", task.replace("}", ", mode: '0640'}")).changed
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_places_are_pip_s(driver: Driver, tmp_path: Path) -> None:
    driver.environment["HOME"] = str(tmp_path / "ana")
    (tmp_path / "ana").mkdir()
    (tmp_path / "miniconda3").mkdir()
    driver.apply("pip_conf", "{scope: user, mirror: ustc}")
    assert (tmp_path / "ana" / ".config" / "pip" / "pip.conf").read_text() == (
        "[global]\nindex-url = https://mirrors.ustc.edu.cn/pypi/simple\n"
    )
    driver.apply("pip_conf", f"{{scope: site, prefix: {tmp_path}/miniconda3, mirror: nju}}")
    assert (tmp_path / "miniconda3" / "pip.conf").is_file()
    assert driver.apply("pip_conf", "{scope: user, state: absent}").changed
    assert not (tmp_path / "ana" / ".config" / "pip" / "pip.conf").exists()


def test_a_link_is_followed_and_stays(driver: Driver, tmp_path: Path) -> None:
    real, link = tmp_path / "shared.conf", tmp_path / "pip.conf"
    real.write_text("[global]\nretries = 3\n")
    link.symlink_to(real)
    driver.apply("pip_conf", f"{{path: {link}, mirror: bfsu}}")
    assert link.is_symlink()
    assert "retries = 3" in real.read_text()
    assert "mirrors.bfsu.edu.cn" in real.read_text()


def test_a_file_that_pip_cannot_read_is_not_touched(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("https://ops:PASSWORD@pypi.lab/simple\n")
    with pytest.raises(TaskFailed, match="is no file that pip can read: ") as caught:
        driver.apply("pip_conf", f"{{path: {path}, mirror: tuna}}")
    assert "PASSWORD" not in str(caught.value)


def test_a_run_shows_no_credentials_anywhere(tmp_path: Path, fleetenv_cli: Any) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {gpu01: {ansible_connection: local}}}")
    task = "- pip_conf: {path: '{{ file }}', index_url: 'https://ops:{{ secret }}@pypi.lab/simple'}\n"
    (tmp_path / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        f"    {task}      register: written\n    - debug: {{var: written}}\n"
    )
    path = tmp_path / "pip.conf"
    said = ""
    for secret, words in (("PASSWORD", ("-v", "-D")), ("CHANGED", ("-C", "-D")), ("CHANGED", ("-D", "--json", "-"))):
        done = fleetenv_cli(
            "apply", tmp_path / "site.yml", "-i", tmp_path / "hosts.yml", "-e", f"file={path} secret={secret}", *words
        )  # fmt: skip
        assert done.status == 0, done.stdout + done.stderr
        said += done.stdout + done.stderr
    assert "CHANGED" in path.read_text()
    assert "with other credentials" in said
    assert not any(secret in said for secret in ("PASSWORD", "CHANGED", "ops:"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("mirror: tuna", "one of 'path' and 'scope' is needed"),
        ("scope: site\nmirror: tuna", "'prefix' goes with 'scope: site'"),
        ("scope: global\nmirror: tunna", "there is no mirror 'tunna'; did you mean 'tuna'?"),
        ("scope: global\nmirror: tuna\nindex_url: https://x.lab/simple", "both name the index"),
        ("scope: global\nindex_url: tuna", "'index_url' must be a URL, not 'tuna'"),
        ("scope: global\nindex_url: 'ssh://ana:PASSWORD@x.lab/'", "'index_url' must be a URL, not 'ssh://***@x.lab/'"),
        ("scope: global\ntrusted_hosts: ['https://x.lab']", "'trusted_hosts' are names, such as pypi.lab"),
        ("scope: global", "there is nothing to set"),
        ("scope: global\nextra: {index url: x}", "'index url' is no setting of pip's"),
        (
            "scope: global\nmirror: tuna\nextra: {index_url: x}",
            "'extra' holds 'index_url', which another argument says",
        ),
        ('scope: global\nextra: {proxy: "a\\nb"}', "'global.proxy' must be one line of text"),
    ],
)
def test_what_pip_could_not_use_is_refused_before_any_host(arguments: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Driver(Site(tmp_path)).build("pip_conf", arguments)
    assert message in str(caught.value)
    assert "PASSWORD" not in str(caught.value)


names = st.sampled_from([f"{s}.{o}" for s in ("global", "install") for o in ("index-url", "timeout", "trusted-host")])
words = st.text(st.characters(whitelist_categories=("L", "N"), whitelist_characters="=:/.-_[]%@"), min_size=1)
values = st.lists(words, min_size=1, max_size=3).map(" ".join)
lines = st.one_of(
    st.just(""),
    st.sampled_from(["# index-url = no", "; x", "  # indented", "[global]", "[install]", "[list]"]),
    st.builds("{}{}{}".format, st.sampled_from(["index_url", "index-url", "Timeout", "x"]), st.just(" = "), words),
    st.builds("   {}".format, words),
)


@given(st.lists(lines), st.dictionaries(names, st.none() | values))
def test_after_a_merge_pip_reads_what_was_there_and_what_was_wished(before: list[str], wishes: Any) -> None:
    text = "[global]\n" + "".join(f"{line}\n" for line in before)
    try:
        found = pip_conf.parse(text)
    except ValueError:
        return  # pip could not read that either
    wanted = {name: None if value is None else pip_conf.plain(name, value) for name, value in wishes.items()}
    expected = {name: value for name, value in (found | wanted).items() if value is not None}
    merged = pip_conf.merged(text, wanted)
    assert pip_conf.parse(merged) == expected
    assert pip_conf.merged(merged, wanted) == merged


@given(st.text(), st.text(st.characters(blacklist_categories=("Z", "C"), blacklist_characters="@")))
def test_whatever_a_password_is_made_of_it_is_masked(before: str, password: str) -> None:
    shown = pip_conf.masked(f"{before} https://ana:pw{password}@pypi.lab/simple")
    assert shown.endswith("://***@pypi.lab/simple")
