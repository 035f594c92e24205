"""pip's configuration file (`pip.conf`): read as pip reads it, and changed line by line, so that the rest stays.

pip's rules: https://pip.pypa.io/en/stable/topics/configuration/ . A setting is `section.name` (`global.index-url`).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fleetenv.errors import InputError, nearest

INDEXES: Mapping[str, str] = {
    "tuna": "https://pypi.tuna.tsinghua.edu.cn/simple",
    "bfsu": "https://mirrors.bfsu.edu.cn/pypi/web/simple",
    "ustc": "https://mirrors.ustc.edu.cn/pypi/simple",
    "sjtu": "https://mirror.sjtu.edu.cn/pypi/web/simple",
    "nju": "https://mirror.nju.edu.cn/pypi/web/simple",
    "aliyun": "https://mirrors.aliyun.com/pypi/simple",
}
"""The package indexes of the sites that also mirror conda's channels, under the same names."""

_LISTS = frozenset({"extra-index-url", "find-links", "no-binary", "only-binary", "trusted-host"})  # of many words
_SECTION = re.compile(r"\[(?P<name>.+)\]")
_CREDENTIALS = re.compile(r"(?<=://)\S*@")


def find_index(mirror: str) -> str:
    """Return the package index of a preset.

    Raises:
        InputError: there is no such preset.
    """
    if mirror not in INDEXES:
        hint = nearest(mirror, INDEXES) or f"one of {', '.join(INDEXES)}; another index is named by 'index_url'"
        raise InputError(f"there is no mirror '{mirror}'", hint=hint)
    return INDEXES[mirror]


def setting_name(name: str) -> str:
    """Return a setting's full name: `index_url` and `--index-url` are `global.index-url`.

    Raises:
        ValueError: pip could not have such a setting.
    """
    section, dot, option = name.rpartition(".")
    full = f"{section if dot else 'global'}.{_option(option)}"
    if not re.fullmatch(r"(?:[a-z][a-z-]*|:env:)\.[a-z][a-z0-9-]*", full):
        raise ValueError(f"'{name}' is no setting of pip's: write 'index-url', or 'install.no-binary'")
    return full


def parse(text: str) -> dict[str, str]:
    """Return a file's settings. Values of many words are told with one space between them.

    Raises:
        ValueError: pip cannot read the file.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(masked(" ".join(str(error).split()))) from error
    settings = {}
    for section in parser.sections():
        for option, value in parser.items(section):
            name = f"{section}.{_option(option)}"
            settings[name] = plain(name, value or "")
    return settings


def plain(name: str, value: str) -> str:
    """Return a value in the form in which [`parse`][] tells it."""
    words = name.rpartition(".")[2] in _LISTS
    return " ".join(value.split()) if words else "\n".join(line.strip() for line in value.strip().splitlines())


def merged(text: str, wishes: Mapping[str, str | None]) -> str:
    """Return a file's text with settings changed (None: taken out); every other line stays as it is.

    Args:
        text: What pip can read.
        wishes: Values by full name, in [`plain`][] form.
    """
    wanted = {name: value for name, value in (parse(text) | dict(wishes)).items() if value is not None}
    result = _line_by_line(text, dict(wishes))
    return result if parse(result) == wanted else _plainly(wanted)  # a layout that is too odd is written anew


def _line_by_line(text: str, wishes: dict[str, str | None]) -> str:
    changed = set(wishes)
    sections: dict[str, list[str]] = {}
    for entry in _entries(text):
        body = sections.setdefault(entry.section, [])
        name = f"{entry.section}.{entry.option}"
        if entry.option is None or name not in changed:
            body += entry.lines
            continue
        body += _written(entry.option, wishes.pop(name, None))
        body += [line for line in entry.lines if line.startswith(("#", ";"))]
    for name, value in wishes.items():
        section, _, option = name.rpartition(".")
        if value is None:
            continue
        if section not in sections:
            sections[section] = [*([""] if any(sections.values()) else []), f"[{section}]"]
        body = sections[section]
        end = next(at for at in range(len(body), 0, -1) if body[at - 1].strip())
        body[end:end] = _written(option, value)
    return "".join(f"{line}\n" for body in sections.values() for line in body)


def _plainly(settings: Mapping[str, str]) -> str:
    sections: dict[str, list[str]] = {}
    for name, value in settings.items():
        section, _, option = name.rpartition(".")
        sections.setdefault(section, [f"[{section}]"]).extend(_written(option, value))
    return "\n".join("".join(f"{line}\n" for line in body) for body in sections.values())


def masked(text: str) -> str:
    """Return text without user names, passwords and tokens in its URLs: what may be shown."""
    return _CREDENTIALS.sub("***@", text)


def holds_credentials(text: str) -> bool:
    """Whether a URL in the text has a user name, a password or a token in it."""
    return _CREDENTIALS.search(text) is not None


def _option(name: str) -> str:
    """Return an option's plain name: pip takes `index_url`, `--index-url` and `Index-URL` for the same."""
    return name.strip().lower().replace("_", "-").removeprefix("--")


class _Entry(NamedTuple):
    """Lines that belong together: a setting with its value, or (option None) a heading, comment or empty line."""

    section: str
    option: str | None
    lines: list[str]


def _entries(text: str) -> Iterator[_Entry]:
    """Split a file as Python's configparser does, which is what pip reads it with.

    Lines that are indented more than a setting belong to its value, whatever comments and empty lines come between.
    """
    section, option, indent = "", "", -1
    lines: list[str] = []  # of the setting that is being read
    loose: list[str] = []  # after it: they belong to it if its value goes on
    for line in text.removesuffix("\n").split("\n") if text else ():
        content = line.strip()
        if not content or content.startswith(("#", ";")):
            loose.append(line)
            continue
        here = len(line) - len(line.lstrip())
        if lines and here > indent:
            lines += [*loose, line]
            loose = []
            continue
        yield from _flushed(section, option, lines, loose)
        lines, loose, indent = [], [], here
        heading = _SECTION.match(content)
        if heading:
            section = heading["name"]
            yield _Entry(section, None, [line])
        else:
            option, lines = _option(re.split("[=:]", content)[0]), [line]
    yield from _flushed(section, option, lines, loose)


def _flushed(section: str, option: str, lines: list[str], loose: list[str]) -> Iterator[_Entry]:
    if lines:
        yield _Entry(section, option, lines)
    yield from (_Entry(section, None, [line]) for line in loose)


def _written(option: str, value: str | None) -> list[str]:
    if value is None:
        return []
    words = value.split() if option in _LISTS else value.splitlines()
    return [f"{option} = {value}"] if len(words) <= 1 else [f"{option} =", *(f"    {word}" for word in words)]
