"""condarc: write a `.condarc`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from fleetenv.conda.channels import check_channel, is_url
from fleetenv.conda.condarc import Setting, check_settings, mirror_settings, render
from fleetenv.errors import InputError
from fleetenv.modules.base import StateModule
from fleetenv.modules.filestate import FileState, content_of, look_up, refuse_denied, wished
from fleetenv.modules.filesteps import mend
from fleetenv.modules.hostpath import check_path, quoted
from fleetenv.modules.modes import check_mode
from fleetenv.remote import Lookup, Run, Step
from fleetenv.state import UNSET, Diff


class Condarc(StateModule[FileState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write a `.condarc`: channels, their mirrors, and conda's other settings.

    ```yaml
    - condarc: {path: /opt/miniconda3/.condarc, mirror: tuna, channels: [conda-forge], channel_priority: strict}
    - condarc:
        path: /etc/conda/.condarc
        mirror: http://mirror.lab/anaconda
        channels: [lab, conda-forge]
        custom_channels: {lab: http://mirror.lab/own}
        extra: {auto_update_conda: false}
    ```

    The file is what the task says, and nothing else: nothing is merged into what is there. conda reads, weakest
    first, `/etc/conda/.condarc`, `PREFIX/.condarc` and `~/.condarc`. Settings that conda does not know, and channels
    that cannot be, are refused before any host is touched. Channel URLs that hold a password or a token belong into a
    task with `no_log: true` and `mode: "0600"`.
    """

    name: ClassVar[str] = "condarc"

    path: str
    """The file on the host: `/opt/miniconda3/.condarc`, `/etc/conda/.condarc`, `~/.condarc`."""
    state: Literal["present", "absent"] = "present"
    """Whether the file should be there."""
    mirror: str = "none"
    """A preset (tuna, bfsu, ustc, sjtu, nju, aliyun, official), `none`, or the URL of a site's own mirror, whose folder
    has `pkgs`, `cloud` and `miniconda` below it. It sets `default_channels` and `custom_channels`."""
    channels: tuple[str, ...] | None = None
    """The channels, the strongest first: names or URLs. Left out, conda uses `defaults`."""
    channel_priority: Literal["strict", "flexible", "disabled"] | None = None
    """How channels rank; `strict` is the one that gives the same result everywhere."""
    show_channel_urls: bool | None = None
    """Whether conda shows URLs in its lists."""
    default_channels: tuple[str, ...] | None = None
    """What `defaults` stands for; instead of the mirror's."""
    custom_channels: dict[str, str] | None = None
    """Channels by name, and the URL below which each one lies; added to the mirror's, and stronger."""
    channel_alias: str | None = None
    """The URL below which all other channels lie; instead of the mirror's."""
    ssl_verify: bool | str | None = None
    """Whether certificates are checked, or the path of a bundle of certificates on the host."""
    proxy_servers: dict[str, str] | None = None
    """Proxies by scheme."""
    auto_activate_base: bool | None = None
    """Whether a new shell is in base."""
    extra: dict[str, Any] | None = None
    """Any other settings that conda knows."""
    owner: str | None = None
    """Who owns the file: a name, or a number."""
    group: str | None = None
    """The file's group: a name, or a number."""
    mode: str | int | None = None
    """The file's mode, in quotes; a new file gets 0644."""

    def __post_init__(self) -> None:
        """Refuse what conda could not use."""
        check_path(self.path)
        if self.mode is not None:
            check_mode(self.mode)
        try:
            stated = self._stated()
        except InputError as error:
            raise ValueError(f"'mirror': {error}") from error
        extra = set(self.extra or {})
        if about_the_file := extra & {"owner", "group", "mode"}:
            raise ValueError(f"'extra' holds '{min(about_the_file)}', which is an argument of its own")
        if twice := extra & stated.keys():
            raise ValueError(f"'extra' holds '{min(twice)}', which another argument says already")
        settings = self.settings()
        check_settings(settings)
        _check_channels(settings)

    def settings(self) -> dict[str, Setting]:
        """Return all settings of the file."""
        return {**self._stated(), **(self.extra or {})}

    def _stated(self) -> dict[str, Setting]:
        """Return the settings that arguments of their own, and the mirror, say."""
        settings = mirror_settings(self.mirror)
        custom = settings.get("custom_channels")
        said: dict[str, Setting] = {
            "channels": _as_list(self.channels),
            "default_channels": _as_list(self.default_channels),
            "custom_channels": {**(custom if isinstance(custom, dict) else {}), **(self.custom_channels or {})} or None,
            "channel_alias": self.channel_alias,
            "channel_priority": self.channel_priority,
            "show_channel_urls": self.show_channel_urls,
            "ssl_verify": self.ssl_verify,
            "proxy_servers": dict(self.proxy_servers) if self.proxy_servers else None,
            "auto_activate_base": self.auto_activate_base,
        }
        return {**settings, **{name: value for name, value in said.items() if value is not None}}

    def observe(self) -> Lookup[FileState | None]:
        """Ask what the file is like."""
        return look_up(self.path, content=content_of(render(self.settings())))

    def desired(self, found: FileState | None) -> FileState | None:
        """Return the file that should be there."""
        if self.state == "absent":
            refuse_denied(found, self.path)
            return None
        return wished(
            found,
            self.path,
            kind="file",
            mode=UNSET if self.mode is None else self.mode,
            owner=UNSET if self.owner is None else self.owner,
            group=UNSET if self.group is None else self.group,
            content=content_of(render(self.settings())),
        )

    def converge(self, diff: Diff[FileState]) -> Iterator[Step]:
        """Write the file, or mend its mode and owner."""
        if diff.found is None and self.path.startswith(("/etc/", "~/")):  # never a prefix that is not installed
            yield Run(f"mkdir -p -- {quoted(self.path.rpartition('/')[0])}")
        yield from mend(self.path, diff, render(self.settings()))


def _as_list(values: tuple[str, ...] | None) -> list[Setting] | None:
    return None if values is None else list(values)


def _check_channels(settings: Mapping[str, Setting]) -> None:
    for name in ("channels", "default_channels"):
        channels = settings.get(name) or []
        assert isinstance(channels, list)  # check_settings saw to that
        for channel in channels:
            _check(name, str(channel))
            if channels.count(channel) > 1:
                raise ValueError(f"'{name}' holds {channel} twice")
    custom = settings.get("custom_channels") or {}
    assert isinstance(custom, dict)
    for channel, location in custom.items():
        place = str(location).rstrip("/")
        if not is_url(place):
            raise ValueError(f"'custom_channels': the place of '{channel}' must be a URL, not '{location}'")
        if place.endswith(f"/{channel}"):
            right = place.removesuffix(f"/{channel}")
            raise ValueError(f"'custom_channels': conda adds the name itself, write '{channel}: {right}'")
        _check("custom_channels", f"{place}/{channel}")
    alias = settings.get("channel_alias")
    if alias is not None and not is_url(str(alias)):
        raise ValueError(f"'channel_alias' must be a URL, not '{alias}'")


def _check(argument: str, channel: str) -> None:
    try:
        check_channel(channel)
    except ValueError as error:
        raise ValueError(f"'{argument}': {error}") from error
