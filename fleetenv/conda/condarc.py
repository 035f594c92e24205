"""The text of a `.condarc`: the settings that were asked for, in a fixed order, and only such as conda knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec
import yaml

from fleetenv.conda.channels import MIRRORS, find_mirror
from fleetenv.errors import nearest

Setting: TypeAlias = "bool | int | float | str | list[Setting] | dict[str, Setting] | None"

MIRRORED = ("bioconda", "conda-forge", "pytorch")
"""The channels of anaconda.org that every preset carries."""

HEADING = "# Written by fleetenv: what is changed here by hand is undone by the next apply.\n"

_FIRST = [
    "channels",
    "default_channels",
    "custom_channels",
    "custom_multichannels",
    "channel_alias",
    "channel_priority",
]

_BOOLS = """add_anaconda_token add_pip_as_python_dependency allow_conda_downgrades allow_cycles allow_non_channel_urls
    allow_softlinks always_copy always_softlink always_yes anaconda_anon_usage anaconda_upload auto_activate
    auto_activate_base auto_update_conda changeps1 clobber debug dev download_only extra_safety_checks force_reinstall
    force_remove ignore_pinned json no_lock no_plugins non_admin_enabled notify_outdated_conda offline
    override_channels_enabled pip_interop_enabled prefix_data_interoperability protect_frozen_envs quiet register_envs
    repodata_use_zst report_errors restore_free_channel rollback_enabled separate_format_cache shortcuts
    show_channel_urls solver_ignore_timestamps trace unsatisfiable_hints use_index_cache use_local use_only_tar_bz2"""
_NUMBERS = """auto_stack default_threads execute_threads fetch_threads number_channel_notices remote_backoff_factor
    remote_connect_timeout_secs remote_max_retries remote_read_timeout_secs repodata_threads
    unsatisfiable_hints_check_depth verbosity verify_threads"""
_TEXTS = """bld_path channel_alias client_ssl_cert client_ssl_cert_key console croot default_activation_env
    default_python env_prompt environment_specifier error_upload_url experimental root_prefix
    signing_metadata_url_base solver subdir"""
_LISTS = """aggressive_update_packages allowlist_channels channels create_default_packages default_channels
    denylist_channels disallowed_packages envs_dirs export_platforms list_fields migrated_channel_aliases
    pinned_packages pkgs_dirs repodata_fns subdirs track_features whitelist_channels"""
_MAPS = """conda_build custom_channels migrated_custom_channels override_virtual_packages plugins proxy_servers"""

_Text: TypeAlias = str | int | float  # YAML reads 3.11 as a number, conda reads it as text again
_TYPES: Mapping[str, object] = {
    **dict.fromkeys(_BOOLS.split(), bool | None),
    **dict.fromkeys(_NUMBERS.split(), int | float),
    **dict.fromkeys(_TEXTS.split(), _Text | None),
    **dict.fromkeys(_LISTS.split(), list[str]),
    **dict.fromkeys(_MAPS.split(), dict[str, object]),
    "channel_settings": list[dict[str, str]],
    "custom_multichannels": dict[str, list[str]],
    "channel_priority": bool | str,
    "local_repodata_ttl": bool | int,
    "path_conflict": str,
    "safety_checks": str,
    "ssl_verify": bool | str,
}


def check_settings(settings: Mapping[str, Setting]) -> None:
    """Check settings by name and type, as conda 26 documents them (`conda config --describe`).

    Raises:
        ValueError: conda knows no such setting (it would ignore it silently), or takes another type.
    """
    for name, value in settings.items():
        if name not in _TYPES:
            hint = nearest(name, _TYPES) or "'conda config --describe' lists them; plugins' own go under 'plugins'"
            raise ValueError(f"conda has no setting '{name}'; {hint}")
        try:
            msgspec.convert(value, _TYPES[name])
        except msgspec.ValidationError as error:
            raise ValueError(f"conda's setting '{name}': {_lower(str(error))}") from error


def mirror_settings(mirror: str) -> dict[str, Setting]:
    """Return the settings that send channels to a mirror: a preset's name, `none`, or a URL of the same layout.

    Raises:
        InputError: there is no such preset.
    """
    if mirror == "none":
        return {}
    site = find_mirror(mirror)
    defaults: list[Setting] = [f"{site.pkgs}/main", f"{site.pkgs}/r"]
    if site == MIRRORS["official"]:
        return {"default_channels": defaults, "channel_alias": site.cloud}
    return {"default_channels": defaults, "custom_channels": dict.fromkeys(MIRRORED, site.cloud)}


def render(settings: Mapping[str, Setting]) -> bytes:
    """Return the file: the same settings give the same bytes."""
    names = [*(name for name in _FIRST if name in settings), *sorted(set(settings) - set(_FIRST))]
    ordered = {name: _plain(settings[name]) for name in names}
    text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=1000) if ordered else ""
    return (HEADING + text).encode()


def _plain(value: Setting) -> Setting:
    """The value in YAML's own types: text that a user wrote knows where, and is a kind of its own."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, str) else value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
