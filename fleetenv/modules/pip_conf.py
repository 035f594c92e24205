"""pip_conf: keep settings of a `pip.conf`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from fleetenv.conda.pip_conf import find_index, holds_credentials, masked, merged, parse, plain, setting_name
from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules.base import StateModule
from fleetenv.modules.filestate import FileState, look_up, parse_files, refuse_denied, wished
from fleetenv.modules.filesteps import mend, remove, send
from fleetenv.modules.hostpath import check_path, quoted
from fleetenv.modules.modes import check_mode
from fleetenv.remote import Completed, Lookup, Run, Step
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, Diff, UnsetType

_PLACES = {"global": "/etc/pip.conf", "user": "~/.config/pip/pip.conf"}
_UNKNOWN = Content("0" * 64, b"")  # no file has this hash: whatever is there is fetched, to be merged into


class PipConfState(FileState, frozen=True, kw_only=True):
    """A pip.conf: what may be shown of its settings, and the file."""

    settings: Mapping[str, str] | UnsetType = UNSET
    """Settings by full name (`global.index-url`), without credentials."""


class PipConf(StateModule[PipConfState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep settings of a `pip.conf`: the package index, further ones, hosts that are trusted.

    ```yaml
    - pip_conf: {scope: global, mirror: tuna}
    - pip_conf:
        scope: user
        index_url: "https://ops:{{ vault_index_password }}@pypi.lab/simple"
        extra_index_urls: [https://download.pytorch.org/whl/cu124]
        trusted_hosts: [pypi.lab]
        extra: {install.no-compile: true, global.retries: null}
    ```

    Other settings and comments of the file stay. User names, passwords and tokens in URLs are never shown: not in
    messages, `--diff` or JSON. A file that holds any gets the mode 0600, unless `mode` says otherwise: a global one
    that all users are to read needs `mode: "0644"`. pip reads, weakest first, the global file, the user's, and the
    one of the environment that it runs in (`site`). pip uses an `http://` index only when its host is trusted.
    """

    name: ClassVar[str] = "pip_conf"

    path: str | None = None
    """The file on the host, where `scope` does not say it."""
    scope: Literal["global", "user", "site"] | None = None
    """`/etc/pip.conf`, `~/.config/pip/pip.conf`, or `PREFIX/pip.conf`."""
    prefix: str | None = None
    """For `site`: where Miniconda is. Not a managed environment: a file in there would be a change by hand."""
    state: Literal["present", "absent"] = "present"
    """Whether the settings should be there; `absent` removes the file."""
    mirror: str | None = None
    """The index of a preset: tuna, bfsu, ustc, sjtu, nju, aliyun; without one pip goes to the official index."""
    index_url: str | None = None
    """The URL of the package index, instead of a preset's."""
    extra_index_urls: tuple[str, ...] | None = None
    """Indexes that are asked, too. A name that another index has as well may come from either of them."""
    trusted_hosts: tuple[str, ...] | None = None
    """Hosts (`pypi.lab`, `pypi.lab:8080`) that need no valid certificate, or no TLS at all."""
    timeout: Annotated[float, Meta(gt=0)] | None = None
    """Seconds that pip waits for a server."""
    extra: dict[str, bool | int | float | str | list[str] | None] | None = None
    """Other settings: `retries`, `install.no-binary`, ...; null takes one out."""
    owner: str | None = None
    """Who owns the file: a name, or a number."""
    group: str | None = None
    """The file's group: a name, or a number."""
    mode: str | int | None = None
    """The file's mode, in quotes; left out, it stays, or is 0644, or 0600 with credentials."""

    def __post_init__(self) -> None:
        """Refuse what pip could not use."""
        self._check_place()
        if self.mode is not None:
            check_mode(self.mode)
        if self.mirror is not None:
            if self.index_url is not None:
                raise ValueError("'mirror' and 'index_url' both name the index: write one of them")
            try:
                find_index(self.mirror)
            except InputError as error:
                raise ValueError(f"'mirror': {error}") from error
        for argument, urls in (("index_url", (self.index_url,)), ("extra_index_urls", self.extra_index_urls or ())):
            for url in urls:
                if url is not None and not re.fullmatch(r"(?:https?://[^/\s]|file:///)\S*", url):
                    raise ValueError(f"'{argument}' must be a URL, not '{masked(url)}'")
        for host in self.trusted_hosts or ():
            if not re.fullmatch(r"[A-Za-z0-9_.-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?", host):
                raise ValueError(f"'trusted_hosts' are names, such as pypi.lab or pypi.lab:8080, not '{masked(host)}'")
        wishes = self._wishes()
        if self.state == "present" and not wishes:
            raise ValueError("there is nothing to set: say 'mirror', 'index_url', or another setting")

    def observe(self) -> Lookup[PipConfState | None]:
        """Ask for the file and its content."""
        files = look_up(self._place, follow=True, content=_UNKNOWN)
        return Lookup(f"{files.script}# pip.conf\n", _parse, files.subject)  # an answer of another type is another one

    def desired(self, found: PipConfState | None) -> PipConfState | None:
        """Return the settings that are there, with those that the task says.

        Raises:
            TaskFailed: what is there is no file, or none that pip can read.
        """
        refuse_denied(found, self._place)
        if self.state == "absent":
            return None
        before = parse(self._text(found))
        wishes = self._wishes()
        after = {name: value for name, value in (before | wishes).items() if value is not None}
        mode: str | int | UnsetType = UNSET
        if self.mode is not None:
            mode = self.mode
        elif any(holds_credentials(value) for value in after.values()):
            mode = "0600"
        file = wished(
            found,
            self._place,
            kind="file",
            mode=mode,
            owner=UNSET if self.owner is None else self.owner,
            group=UNSET if self.group is None else self.group,
        )
        shown = {name: _shown(before.get(name), value) for name, value in after.items()}
        return PipConfState(**msgspec.structs.asdict(file), settings=shown)

    def converge(self, diff: Diff[PipConfState]) -> Iterator[Step]:
        """Write the file, or mend its mode and owner."""
        found, wanted = diff.found, diff.wanted
        if wanted is None:
            yield remove(self._place)
            return
        place = found.real if found is not None and isinstance(found.real, str) else self._place
        if not diff.touches("state", "kind", "settings"):
            yield from mend(place, Diff[FileState](wanted, found, diff.differences))
            return
        if found is None and self._place.startswith(("/etc/", "~/")):  # never a prefix that is not installed
            yield Run(f"mkdir -p -- {quoted(self._place.rpartition('/')[0])}")
        yield send(place, merged(self._text(found), self._wishes()).encode(), wanted, found)

    def returns(self, found: PipConfState | None) -> Mapping[str, Value]:
        """Return where the file is, and its settings without credentials."""
        settings = found.settings if found is not None and isinstance(found.settings, Mapping) else {}
        return {"path": self._place, "settings": dict(settings)}

    @property
    def _place(self) -> str:
        if self.scope == "site":
            return f"{self.prefix}/pip.conf"
        return self.path if self.path is not None else _PLACES[str(self.scope)]

    def _check_place(self) -> None:
        if (self.path is None) == (self.scope is None):
            raise ValueError("one of 'path' and 'scope' is needed, and only one: which pip.conf is it?")
        if (self.prefix is None) == (self.scope == "site"):
            raise ValueError("'prefix' goes with 'scope: site', and is needed there: where Miniconda is")
        check_path(self._place)

    def _wishes(self) -> dict[str, str | None]:
        """Return what the task says of settings, by full name; None: it is to be taken out."""
        said: dict[str, bool | int | float | str | list[str] | tuple[str, ...] | None] = {
            "index-url": find_index(self.mirror) if self.mirror is not None else self.index_url,
            "extra-index-url": self.extra_index_urls,
            "trusted-host": self.trusted_hosts,
            "timeout": self.timeout,
        }
        wishes = {f"global.{option}": _as_text(option, value) for option, value in said.items() if value is not None}
        result: dict[str, str | None] = {**wishes}
        for written, value in (self.extra or {}).items():
            name = setting_name(written)
            if name in result:
                raise ValueError(f"'extra' holds '{written}', which another argument says already")
            result[name] = None if value is None else _as_text(name, value)
        return result

    def _text(self, found: PipConfState | None) -> str:
        """Return the file as it is.

        Raises:
            TaskFailed: pip could not read it, or it is too long to be one.
        """
        if found is None or found.kind != "file":
            return ""
        data = found.content.data if isinstance(found.content, Content) else None
        try:
            if data is None:
                raise ValueError("it is too long")
            text = data.decode("utf-8")
            parse(text)
        except ValueError as error:
            reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise TaskFailed(f"{self._place} is no file that pip can read: {reason}; mend or remove it") from error
        return text


def _parse(completed: Completed) -> dict[str, PipConfState | None]:
    """Read the answer; a file that pip cannot read has no settings."""
    result: dict[str, PipConfState | None] = {}
    for subject, file in parse_files(completed).items():
        settings: Mapping[str, str] = {}
        if file is not None and isinstance(file.content, Content) and file.content.data is not None:
            with suppress(ValueError):  # desired says so
                settings = {name: masked(value) for name, value in parse(file.content.data.decode("utf-8")).items()}
        result[subject] = None if file is None else PipConfState(**msgspec.structs.asdict(file), settings=settings)
    return result


def _shown(before: str | None, value: str) -> str:
    """Return a wanted value without credentials; where they are all that differs, it says so."""
    differs = before is not None and before != value and masked(before) == masked(value)
    return f"{masked(value)} (with other credentials)" if differs else masked(value)


def _as_text(name: str, value: bool | int | float | str | list[str] | tuple[str, ...]) -> str:
    """Write a value as pip reads it.

    Raises:
        ValueError: a file could not hold it.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        if any(not item or re.search(r"\s|\A[#;]", item) for item in value):
            raise ValueError(f"'{name}': an item must be one word")
        return " ".join(value)
    text = plain(name, f"{value:g}" if isinstance(value, float) else str(value))
    if "\n" in text or text.startswith(("#", ";")):
        raise ValueError(f"'{name}' must be one line of text")
    return text
