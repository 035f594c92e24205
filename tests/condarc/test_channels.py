"""Channels are found as conda finds them, and canonical URLs map to mirrors and back."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.conda.channels import MIRRORS, ChannelConfig, check_channel, find_mirror, without_credentials
from fleetenv.conda.condarc import mirror_settings, render
from fleetenv.errors import InputError

TUNA = "https://mirrors.tuna.tsinghua.edu.cn/anaconda"
OFFICIAL = ChannelConfig()


def of(text: str) -> ChannelConfig:
    return ChannelConfig.from_condarc(yaml.safe_load(text))


def test_names_without_any_configuration_are_those_of_anaconda_org() -> None:
    assert OFFICIAL.canonical("conda-forge") == "https://conda.anaconda.org/conda-forge"
    assert OFFICIAL.canonical("conda-forge/label/dev") == "https://conda.anaconda.org/conda-forge/label/dev"
    assert OFFICIAL.canonical("pkgs/main") == "https://repo.anaconda.com/pkgs/main"
    assert OFFICIAL.expand("defaults") == ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
    assert OFFICIAL.canonical("/srv/conda/lab") == "file:///srv/conda/lab"


@pytest.mark.parametrize("name", sorted(MIRRORS))
def test_a_preset_maps_there_and_back(name: str) -> None:
    config = ChannelConfig.from_condarc(mirror_settings(name))
    for url in (
        "https://conda.anaconda.org/conda-forge/linux-64/numpy-1.26.4-py311h64a7726_0.conda",
        "https://conda.anaconda.org/pytorch/noarch/repodata.json",
        "https://repo.anaconda.com/pkgs/main/linux-64/python-3.11.9-h955ad1f_0.conda",
    ):
        mirrored = config.mirrored(url)
        assert mirrored.startswith((MIRRORS[name].cloud, MIRRORS[name].pkgs))
        assert config.canonical(mirrored) == url
    assert config.expand("defaults") == OFFICIAL.expand("defaults")
    assert config.canonical("conda-forge") == "https://conda.anaconda.org/conda-forge"


def test_what_a_mirror_does_not_carry_comes_from_anaconda_org() -> None:
    config = ChannelConfig.from_condarc(mirror_settings("tuna"))
    assert config.mirrored("https://conda.anaconda.org/some-lab/noarch") == "https://conda.anaconda.org/some-lab/noarch"


def test_a_known_mirror_s_url_is_canonical_even_without_a_condarc() -> None:
    assert OFFICIAL.canonical(f"{TUNA}/cloud/conda-forge") == "https://conda.anaconda.org/conda-forge"
    assert OFFICIAL.canonical(f"{TUNA}/pkgs/main/") == "https://repo.anaconda.com/pkgs/main"


def test_an_alias_stands_for_all_of_anaconda_org() -> None:
    config = of("channel_alias: https://nexus.lab/repository/conda/")
    assert config.mirrored("https://conda.anaconda.org/nvidia") == "https://nexus.lab/repository/conda/nvidia"
    assert config.canonical("https://nexus.lab/repository/conda/nvidia/noarch") == (
        "https://conda.anaconda.org/nvidia/noarch"
    )
    assert config.canonical("nvidia") == "https://conda.anaconda.org/nvidia"


def test_a_private_channel_has_no_other_url_than_its_own() -> None:
    config = of("custom_channels: {vision-team: 'https://conda.lab/channels'}")
    assert config.canonical("vision-team") == "https://conda.lab/channels/vision-team"
    assert config.mirrored("https://conda.lab/channels/vision-team") == "https://conda.lab/channels/vision-team"


def test_credentials_are_not_in_canonical_urls_but_are_in_mirrored_ones() -> None:
    config = of("custom_channels: {conda-forge: 'https://reader:s3cret@nexus.lab/conda'}")
    assert config.canonical("https://someone:else@nexus.lab/conda/conda-forge/noarch") == (
        "https://conda.anaconda.org/conda-forge/noarch"
    )
    assert config.mirrored("https://conda.anaconda.org/conda-forge/noarch") == (
        "https://reader:s3cret@nexus.lab/conda/conda-forge/noarch"
    )
    assert OFFICIAL.canonical("https://conda.anaconda.org/t/ab-12345/mine") == "https://conda.anaconda.org/mine"


def test_a_multichannel_is_several_channels() -> None:
    config = of("custom_multichannels: {ours: [conda-forge, 'https://conda.lab/x']}")
    assert config.expand("ours") == ("https://conda.anaconda.org/conda-forge", "https://conda.lab/x")
    with pytest.raises(InputError, match="several channels"):
        config.canonical("ours")


def test_a_name_is_not_taken_for_another_that_it_begins_with() -> None:
    config = of(f"custom_channels: {{pytorch: '{TUNA}/cloud'}}")
    assert config.mirrored("https://conda.anaconda.org/pytorch-nightly") == "https://conda.anaconda.org/pytorch-nightly"


def test_nonsense_in_a_condarc_counts_as_not_there() -> None:
    assert of("{custom_channels: [1], channel_alias: 3, default_channels: x}") == OFFICIAL


@given(st.sampled_from(sorted(MIRRORS)), st.sampled_from(["conda-forge", "pytorch", "bioconda"]), st.text(max_size=30))
def test_canonical_is_stable_and_the_inverse_of_mirrored(mirror: str, channel: str, rest: str) -> None:
    config = ChannelConfig.from_condarc(mirror_settings(mirror))
    path = "/".join(part for part in rest.split("/") if part.isalnum())
    url = f"https://conda.anaconda.org/{channel}/{path}".rstrip("/")
    assert config.canonical(config.mirrored(url)) == url
    assert config.canonical(config.canonical(url)) == config.canonical(url)


@given(st.text())
def test_whatever_passes_as_a_channel_has_a_url(text: str) -> None:
    with contextlib.suppress(ValueError):
        check_channel(text)
        assert OFFICIAL.expand(text)


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ("conda forge", "without spaces"),
        ("https://repo.anaconda.com/pkgs/free", "dead"),
        (f"{TUNA}/pkgs/free/", "dead"),
        (f"{TUNA}/cloud/conda-forge/linux-64", f"write {TUNA}/cloud/conda-forge"),
        ("htps://conda.lab/x", "must begin with https://"),
        ("http:/conda.lab/x", "must be a name"),
        ("./channel", "must be a name"),
        ("", "must be a name"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(channel: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        check_channel(channel)


NAMES = ["defaults", "nodefaults", "conda-forge", "pytorch/label/dev", "/srv/conda"]
URLS = ["file:///srv/conda", "https://u:p@nexus.lab/conda/x", "https://conda.lab/t/${TOKEN}/x"]


@pytest.mark.parametrize("channel", [*NAMES, *URLS])
def test_a_channel_that_can_be_is_accepted(channel: str) -> None:
    check_channel(channel)


def test_a_site_s_own_mirror_is_named_by_its_url() -> None:
    assert find_mirror("http://mirror.lab/anaconda/").miniconda == "http://mirror.lab/anaconda/miniconda"
    with pytest.raises(InputError, match="did you mean 'tuna'"):
        find_mirror("tunna")


def test_rendering_depends_on_nothing_but_the_settings() -> None:
    settings = mirror_settings("tuna")
    assert render(settings) == render(dict(reversed(settings.items())))
    assert yaml.safe_load(render(settings)) == settings
    assert render({}).decode().startswith("# Written by fleetenv")


def test_without_credentials() -> None:
    assert without_credentials("https://u:p@host:8443/t/tk-1/chan/") == "https://host:8443/chan"
