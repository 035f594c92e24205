"""conda channels, their mirrors, and the mapping between the two, as conda resolves them. Pure: no network, no files.

A lock holds canonical URLs (`https://conda.anaconda.org/conda-forge/...`); where a host downloads from is its own
business. The rules are those of conda's documentation ("Mirroring channels") and of its `conda.models.channel`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from fleetenv.errors import InputError, nearest

OFFICIAL_ALIAS = "https://conda.anaconda.org"
OFFICIAL_PKGS = "https://repo.anaconda.com/pkgs"
SUBDIRS = frozenset({"linux-64", "linux-aarch64", "linux-ppc64le", "osx-64", "osx-arm64", "win-64", "noarch"})

PUBLIC = frozenset(
    {"bioconda", "conda-forge", "dglteam", "fastai", "huggingface", "intel", "menpo", "msys2", "numba", "nvidia"}
    | {"plotly", "pyg", "pytorch", "pytorch-lts", "pytorch-nightly", "pytorch-test", "pytorch3d", "rapidsai"}
    | {"rapidsai-nightly", "rdkit", "simpleitk", "stackless", "xformers"}
)
"""Channels of anaconda.org that mirrors carry: a custom channel of such a name is a mirror, others are private."""

_PKGS = re.compile(r"pkgs/(?:main|r|msys2|pro|free|mro|archive)")
_TOKEN = re.compile(r"/t/[A-Za-z0-9-]+(?=/|$)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A site that carries conda's channels and installers; each URL is without a slash at its end."""

    pkgs: str  # what `defaults` is made of: main, r
    cloud: str  # the channels of anaconda.org
    miniconda: str  # installers

    @classmethod
    def below(cls, base: str) -> Mirror:
        """Return the mirror in the layout that all of the presets have below their `/anaconda`."""
        base = base.rstrip("/")
        return cls(f"{base}/pkgs", f"{base}/cloud", f"{base}/miniconda")


MIRRORS: Mapping[str, Mirror] = {
    "tuna": Mirror.below("https://mirrors.tuna.tsinghua.edu.cn/anaconda"),
    "bfsu": Mirror.below("https://mirrors.bfsu.edu.cn/anaconda"),
    "ustc": Mirror.below("https://mirrors.ustc.edu.cn/anaconda"),
    "sjtu": Mirror.below("https://mirror.sjtu.edu.cn/anaconda"),
    "nju": Mirror.below("https://mirror.nju.edu.cn/anaconda"),
    "aliyun": Mirror.below("https://mirrors.aliyun.com/anaconda"),
    "official": Mirror(OFFICIAL_PKGS, OFFICIAL_ALIAS, "https://repo.anaconda.com/miniconda"),
}
"""The presets, by the names under which their users know them."""


def find_mirror(mirror: str) -> Mirror:
    """Return a preset by name, or a site's own mirror by the URL of its `/anaconda` folder.

    Raises:
        InputError: it is neither.
    """
    if is_url(mirror):
        return Mirror.below(mirror)
    if mirror not in MIRRORS:
        hint = nearest(mirror, MIRRORS) or f"one of {', '.join(MIRRORS)}, or the URL of a mirror's anaconda folder"
        raise InputError(f"there is no mirror '{mirror}'", hint=hint)
    return MIRRORS[mirror]


def is_url(text: str) -> bool:
    """Whether this is a URL that conda can read a channel from."""
    parts = urlsplit(text)
    return parts.scheme == "file" or (parts.scheme in ("http", "https", "s3", "ftp") and bool(parts.netloc))


def check_channel(channel: str) -> None:
    """Check that a channel is a name, a URL or an absolute path that conda can use.

    Raises:
        ValueError: it is not; the message says why and what would be right.
    """
    if not channel or re.search(r"\s", channel):
        raise ValueError(f"'{channel}' is no channel: it must be a name or a URL, without spaces")
    path = channel.rstrip("/")
    if path.endswith("pkgs/free"):
        raise ValueError(f"the channel '{channel}' is dead since 2019: use pkgs/main, or conda-forge")
    if path.rpartition("/")[2] in SUBDIRS:
        raise ValueError(f"the channel '{channel}' ends in a platform: write {path.rpartition('/')[0]}")
    if "://" in channel:
        if not is_url(channel):
            raise ValueError(f"'{channel}' is no URL of a channel: it must begin with https://, http:// or file://")
    elif not channel.startswith("/") and not _NAME.fullmatch(path):
        raise ValueError(f"'{channel}' is no channel: it must be a name, a URL or an absolute path")


def without_credentials(url: str) -> str:
    """Return a URL without `user:password@` and without anaconda.org's `/t/TOKEN`, nor a slash at its end."""
    scheme, netloc, path, query, _ = urlsplit(url)
    return urlunsplit((scheme, netloc.rpartition("@")[2], _TOKEN.sub("", path, count=1).rstrip("/"), query, ""))


@dataclass(frozen=True)
class ChannelConfig:
    """How a `.condarc` resolves channels."""

    channel_alias: str = OFFICIAL_ALIAS
    custom_channels: Mapping[str, str] = field(default_factory=dict)  # name -> location; the channel is location/name
    custom_multichannels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    default_channels: Sequence[str] = (f"{OFFICIAL_PKGS}/main", f"{OFFICIAL_PKGS}/r")

    @classmethod
    def from_condarc(cls, condarc: Mapping[str, object]) -> ChannelConfig:
        """Read the settings about channels from a parsed `.condarc`; what is not of its type counts as not there."""
        custom, multi = condarc.get("custom_channels"), condarc.get("custom_multichannels")
        alias, defaults = condarc.get("channel_alias"), condarc.get("default_channels")
        return cls(
            channel_alias=str(alias).rstrip("/") if isinstance(alias, str) and alias else OFFICIAL_ALIAS,
            custom_channels={str(k): str(v).rstrip("/") for k, v in custom.items()} if isinstance(custom, dict) else {},
            custom_multichannels={str(k): _texts(v) for k, v in multi.items()} if isinstance(multi, dict) else {},
            default_channels=_texts(defaults) or cls.default_channels,
        )

    def expand(self, channel: str) -> tuple[str, ...]:
        """Return the canonical URLs that a channel stands for: several for `defaults` and other multichannels."""
        if channel in self.custom_multichannels:
            return tuple(self.canonical(each) for each in self.custom_multichannels[channel])
        if channel == "defaults":
            return tuple(self.canonical(each) for each in self.default_channels)
        return (self.canonical(channel),)

    def canonical(self, channel: str) -> str:
        """Return the URL that everybody knows a channel (or a file in one) by, without credentials.

        Args:
            channel: A channel's name, an absolute path, or a URL: of a channel, of a subdir of one, or of a package.

        Raises:
            InputError: it is several channels ([`expand`][] takes those).
        """
        if channel == "defaults" or channel in self.custom_multichannels:
            raise InputError(f"'{channel}' stands for several channels, one is needed here")
        if channel.startswith("/"):
            return PurePosixPath(channel).as_uri()
        url = without_credentials(channel if "://" in channel else self._of_name(channel))
        return _translate(url, self._to_canonical)

    def mirrored(self, url: str) -> str:
        """Return where this configuration downloads a canonical URL from, with the credentials that it has for it."""
        return _translate(url, self._to_mirror)

    def _of_name(self, name: str) -> str:
        """Where conda looks for a channel of this name; the longest custom name counts (`pytorch/label/dev`)."""
        first, _, rest = name.strip("/").partition("/")
        for custom, tail in ((name.strip("/"), ""), (first, rest)):
            if custom in self.custom_channels:
                return f"{self.custom_channels[custom]}/{custom}/{tail}".rstrip("/")
        base = OFFICIAL_PKGS.removesuffix("/pkgs") if _PKGS.fullmatch(name) else self.channel_alias
        return f"{base}/{name.strip('/')}"

    @cached_property
    def _to_mirror(self) -> list[tuple[str, str]]:
        """Canonical URL -> where it is here; the longest first."""
        pairs = [(_official(name), f"{location}/{name}") for name, location in self.custom_channels.items()]
        pairs += [(_official(_pkgs_name(url) or ""), url.rstrip("/")) for url in self.default_channels]
        pairs.append((OFFICIAL_ALIAS, self.channel_alias))
        return _longest_first((source, here) for source, here in pairs if source is not None)

    @cached_property
    def _to_canonical(self) -> list[tuple[str, str]]:
        """URL here, or on a mirror that is known anyway -> canonical URL; the longest first."""
        pairs = [(without_credentials(here), source) for source, here in self._to_mirror]
        known = [
            pair for each in MIRRORS.values() for pair in ((each.pkgs, OFFICIAL_PKGS), (each.cloud, OFFICIAL_ALIAS))
        ]
        return _longest_first([*pairs, *(pair for pair in known if pair[0] not in dict(pairs))])


def _official(name: str) -> str | None:
    """The canonical URL of a channel that a mirror may carry; None for a private one."""
    if _PKGS.fullmatch(name):
        return f"{OFFICIAL_PKGS.removesuffix('/pkgs')}/{name}"
    return f"{OFFICIAL_ALIAS}/{name}" if name.partition("/")[0] in PUBLIC else None


def _pkgs_name(url: str) -> str | None:
    name = "/".join(url.rstrip("/").split("/")[-2:])
    return name if _PKGS.fullmatch(name) else None


def _longest_first(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)


def _translate(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Replace the first base that the URL lies below."""
    for old, new in pairs:
        if url == old or url.startswith(f"{old}/"):
            return new + url.removeprefix(old)
    return url


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list | tuple) else ()
