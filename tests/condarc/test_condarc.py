"""A `.condarc` is what its task says; a setting that conda could not use is refused before any host is touched."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules import registry
from fleetenv.modules.condarc import Condarc
from fleetenv.modules.filestate import FileState
from fleetenv.remote import Completed, Run, Send
from fleetenv.source import SourceMap, Value
from fleetenv.source_yaml import parse_yaml
from fleetenv.state import Content, compare

CLASSIC = """
path: /opt/miniconda3/.condarc
mirror: tuna
channels: [conda-forge, defaults]
channel_priority: strict
show_channel_urls: yes
"""


def module(text: str) -> Condarc:
    arguments = parse_yaml(text, "site.yml")
    assert isinstance(arguments, SourceMap)
    registry.check_arguments("condarc", arguments)
    built = registry.build("condarc", arguments)
    assert isinstance(built, Condarc)
    return built


def found_on_host(condarc: Condarc) -> FileState | None:
    """Ask this machine what the module asks of a host."""
    lookup = condarc.observe()
    done = subprocess.run(["sh", "-c", lookup.script, "sh", lookup.subject], capture_output=True, check=False)
    return lookup.parse(Completed(done.returncode, done.stdout, done.stderr))[lookup.subject]


def apply(condarc: Condarc) -> int:
    """Carry out the module's steps on this machine, and return how many there were."""
    found = found_on_host(condarc)
    diff = compare(condarc.desired(found), found)
    steps = list(condarc.converge(diff)) if diff else []
    for step in steps:
        if isinstance(step, Run):
            subprocess.run(["sh", "-c", step.script], check=True)
        else:
            assert isinstance(step, Send)
            assert isinstance(step.content, bytes)
            Path(step.path).write_bytes(step.content)
            Path(step.path).chmod(step.mode if step.mode is not None else 0o644)
    return len(steps)


def read(path: Path) -> Mapping[str, Value]:
    loaded: Mapping[str, Value] = yaml.safe_load(path.read_text())
    return loaded


def test_tuna_s_form_is_the_one_that_its_page_shows(tmp_path: Path) -> None:
    path = tmp_path / ".condarc"
    apply(module(CLASSIC.replace("/opt/miniconda3/.condarc", str(path))))
    base = "https://mirrors.tuna.tsinghua.edu.cn/anaconda"
    assert read(path) == {
        "channels": ["conda-forge", "defaults"],
        "default_channels": [f"{base}/pkgs/main", f"{base}/pkgs/r"],
        "custom_channels": {"bioconda": f"{base}/cloud", "conda-forge": f"{base}/cloud", "pytorch": f"{base}/cloud"},
        "channel_priority": "strict",
        "show_channel_urls": True,
    }


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    condarc = module(CLASSIC.replace("/opt/miniconda3", str(tmp_path)))
    assert apply(condarc) == 1
    assert not compare(condarc.desired(found_on_host(condarc)), found_on_host(condarc))


def test_nothing_is_merged_with_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / ".condarc"
    path.write_text("channels: [bioconda]\noffline: true\n")
    condarc = module(f"{{path: {path}, channels: [conda-forge]}}")
    diff = compare(condarc.desired(found_on_host(condarc)), found_on_host(condarc))
    assert isinstance(diff.differences[0].found, Content)
    assert diff.differences[0].found.data == b"channels: [bioconda]\noffline: true\n"
    apply(condarc)
    assert read(path) == {"channels": ["conda-forge"]}


def test_custom_channels_are_added_to_the_mirror_s_and_other_settings_are_passed_on(tmp_path: Path) -> None:
    path = tmp_path / ".condarc"
    apply(module(f"""
path: {path}
mirror: http://mirror.lab/anaconda
custom_channels: {{vision-team: https://conda.lab/channels}}
ssl_verify: /etc/ssl/certs/ca-certificates.crt
proxy_servers: {{http: http://proxy.lab:3128}}
extra: {{envs_dirs: [/data/envs], remote_max_retries: 6, always_yes: true}}
"""))  # fmt: skip
    settings = read(path)
    assert settings["default_channels"] == ["http://mirror.lab/anaconda/pkgs/main", "http://mirror.lab/anaconda/pkgs/r"]
    assert isinstance(settings["custom_channels"], dict)
    assert settings["custom_channels"]["vision-team"] == "https://conda.lab/channels"
    assert settings["custom_channels"]["conda-forge"] == "http://mirror.lab/anaconda/cloud"
    assert settings["ssl_verify"] == "/etc/ssl/certs/ca-certificates.crt"
    assert (settings["remote_max_retries"], settings["always_yes"]) == (6, True)


def test_mode_is_mended_without_writing_the_file(tmp_path: Path) -> None:
    path = tmp_path / ".condarc"
    condarc = module(f"{{path: {path}, channels: [conda-forge], mode: '0600'}}")
    apply(condarc)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)
    before = path.stat().st_ino
    assert apply(condarc) == 1
    assert (path.stat().st_mode & 0o777, path.stat().st_ino) == (0o600, before)


def test_extra_takes_any_setting_that_no_argument_says(tmp_path: Path) -> None:
    path = tmp_path / ".condarc"
    assert apply(module(f"{{path: {path}, mirror: tuna, extra: {{ssl_verify: false}}}}")) == 1
    assert "ssl_verify: false" in path.read_text()


def test_absent_removes_the_file(tmp_path: Path) -> None:
    path = tmp_path / ".condarc"
    path.write_text("x: 1\n")
    condarc = module(f"{{path: {path}, state: absent}}")
    assert apply(condarc) == 1
    assert not path.exists()
    assert apply(condarc) == 0


def test_a_folder_in_its_place_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match="is a directory"):
        apply(module(f"{{path: {tmp_path}, channels: [conda-forge]}}"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("path: /x/.condarc\nmiror: tuna", "site.yml:2:1: 'condarc' has no argument 'miror'; did you mean 'mirror'?"),
        ("path: /x/.condarc\nmirror: tunna", "there is no mirror 'tunna'; did you mean 'tuna'?"),
        ("path: x/.condarc", "the path 'x/.condarc' must be absolute"),
        ("path: /x\nchannels: [https://repo.anaconda.com/pkgs/free]", "is dead since 2019"),
        ("path: /x\nchannels: [conda-forge, conda-forge]", "'channels' holds conda-forge twice"),
        ("path: /x\nchannels: ['conda forge']", "'channels': 'conda forge' is no channel"),
        ("path: /x\nchannel_priority: strickt", "did you mean 'strict'?"),
        ("path: /x\ncustom_channels: {conda-forge: https://m.lab/cloud/conda-forge}", "conda-forge: https://m.lab/cloud"),
        ("path: /x\ncustom_channels: {conda-forge: m.lab/cloud}", "must be a URL"),
        ("path: /x\nchannel_alias: nexus.lab", "'channel_alias' must be a URL"),
        ("path: /x\nextra: {show_chanel_urls: true}", "; did you mean 'show_channel_urls'"),
        ("path: /x\nextra: {offline: 'nope'}", "conda's setting 'offline': expected `bool"),
        ("path: /x\nchannels: [y]\nextra: {channels: [x]}", "'extra' holds 'channels', which another argument says"),
        ("path: /x\nextra: {mode: '0644'}", "'extra' holds 'mode', which is an argument of its own"),
        ("path: /x\nshow_channel_urls: maybe", "'show_channel_urls' must be yes or no"),
    ],
)  # fmt: skip
def test_what_conda_could_not_use_is_refused_before_any_host(arguments: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        module(arguments)
    assert message in str(caught.value)
    assert str(caught.value).startswith("site.yml:")
