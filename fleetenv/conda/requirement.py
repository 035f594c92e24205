"""Wished packages as the `dependencies` of an environment.yml write them: conda's, and those of the pip section.

What cannot be locked soundly is refused with the reason.
"""

from __future__ import annotations

import re

from msgspec import Struct

from fleetenv.errors import InputError, Location, nearest
from fleetenv.source import Value

_CONDA_NAME = re.compile(r"(?:(?P<channel>\S+?)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?=[\s=<>!~\[]|\Z)")
_PIP_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?=[\[\s(;@=<>!~]|\Z)")
_VCS = re.compile(r"\b(?:git|hg|svn|bzr)\+|\Agit://")
_COMMIT = re.compile(
    r"[^@]+@\s*git\+(?:https|http|ssh|file)://\S+@(?:[0-9a-f]{64}|[0-9a-f]{40})(?:#subdirectory=[^\s&]+)?"
)
_PIP_OPTIONS = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}


class Requirement(Struct, frozen=True):
    """One wished package, of conda (`numpy=1.26`, perhaps of one `channel`) or of pip (`wandb[media]>=0.17`)."""

    text: str  # without the channel
    name: str  # as its kind of package compares names
    location: Location
    channel: str | None = None

    def __str__(self) -> str:
        return f"{self.channel}::{self.text}" if self.channel else self.text

    @property
    def direct_url(self) -> bool:
        """Whether this names a file (`name @ https://...`) and not a package of an index."""
        return "@" in self.text.partition(";")[0]


class PipOption(Struct, frozen=True):
    """An option in the pip section that says where packages come from: `--extra-index-url URL` and its like."""

    option: str
    value: str
    location: Location


def conda_requirement(item: Value, location: Location) -> Requirement:
    """Read one item of `dependencies`.

    Raises:
        InputError: it does not begin with a package's name.
    """
    text = " ".join(item.split()) if isinstance(item, str) else ""
    match = _CONDA_NAME.match(text)
    if not match:
        raise InputError(
            f"'{item}' is not a conda package", location=location, hint="write 'name', 'name=1.2' or 'channel::name'"
        )
    return Requirement(text[match.start("name") :], match["name"].lower(), location, match["channel"])


def pip_requirement(text: str, location: Location, *, allow_vcs: bool) -> Requirement:
    """Read one requirement of the pip section.

    Args:
        text: What is written.
        location: Where.
        allow_vcs: Whether a commit of a git repository may stand for a package.

    Raises:
        InputError: it is none that can be locked.
    """
    text = " ".join(text.split())
    if _VCS.search(text):
        _check_vcs(text, location, allow_vcs=allow_vcs)
    match = _PIP_NAME.match(text)
    if not match or text.startswith((".", "/", "file:")) or "/" in text.partition("@")[0]:
        raise InputError(
            f"'{text}' is not a requirement that can be locked",
            location=location,
            hint="write 'name', 'name==1.2' or 'name @ https://.../name-1.2-py3-none-any.whl'",
        )
    return Requirement(text, normalized(match[1]), location)


def _check_vcs(text: str, location: Location, *, allow_vcs: bool) -> None:
    if not allow_vcs:
        raise InputError(
            f"'{text}' is a version control URL: it has no hash, so two hosts might not get the same",
            location=location,
            hint="name a released version, or the URL of a wheel as 'name @ https://...'; "
            "'fleetenv: {allow_vcs: true}' allows a git URL with a full commit hash",
        )
    if not _COMMIT.fullmatch(text.partition(";")[0].strip()):
        raise InputError(
            f"'{text}' does not name one commit: a branch or a tag may move, so two hosts might not get the same",
            location=location,
            hint="write 'name @ git+https://.../project.git@COMMIT' with all 40 digits of the commit's hash",
        )


def pip_option(text: str, location: Location) -> PipOption:
    """Read one option of the pip section.

    Raises:
        InputError: it is none that says where packages come from.
    """
    option, _, value = text.replace("=", " ", 1).partition(" ") if text.startswith("--") else text.partition(" ")
    known = _PIP_OPTIONS.get(option)
    if known is None or not value.strip():
        hint = "list the packages themselves" if option in ("-r", "-e", "-c", "--requirement", "--editable") else None
        raise InputError(
            f"the pip option '{text}' cannot be locked",
            location=location,
            hint=hint or nearest(option, _PIP_OPTIONS) or f"these can: {', '.join(_PIP_OPTIONS)}",
        )
    return PipOption(known, value.strip(), location)


def normalized(name: str) -> str:
    """Return a Python distribution's name as PEP 503 compares names: `Foo.Bar_baz` becomes `foo-bar-baz`."""
    return re.sub(r"[-_.]+", "-", name).lower()
