"""Where package indexes have the files of a pip part, so that these are downloaded as conda packages are.

That is many at once, and gone on with after an interruption, which pip does only within one run. pip's own settings
decide which indexes are asked. What is not found here is left to pip, and so is everything where it has settings that
are only its own (a proxy, no index at all).
"""

from __future__ import annotations

import configparser
import html
import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

if TYPE_CHECKING:
    from .wheels import Wheel

_DEFAULT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
_PATIENCE = 15.0  # seconds, as pip's own
_PIPS_OWN = ("proxy", "no_index")  # with certificates of its own a site does not answer, and is left to pip as well
_LINK = re.compile(r"<a\s[^>]*?href\s*=\s*[\"']([^\"']+)", re.IGNORECASE)


@dataclass(frozen=True)
class Indexes:
    """Package indexes (PEP 503), and pages of links."""

    urls: Sequence[str]
    links: Sequence[str] = ()
    _away: set[str] = field(default_factory=set)  # sites that do not answer
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sources(self, wheel: Wheel) -> list[str]:
        """Return the URLs of a wheel, in the order of the indexes that have it. For use by several threads."""
        pages = [f"{url.rstrip('/')}/{re.sub(r'[-_.]+', '-', wheel.name).lower()}/" for url in self.urls]
        found = [url for page in (*pages, *self.links) for url in self._found(page, wheel)]
        return list(dict.fromkeys(found))

    def _found(self, page: str, wheel: Wheel) -> list[str]:
        from .transfer import Broken, Useless, page_at  # as download.py imports it

        site = urlsplit(page).netloc
        with self._lock:
            if site in self._away:
                return []
        try:
            text, place = page_at(page, _PATIENCE)
        except Useless:
            return []
        except Broken:
            with self._lock:
                self._away.add(site)
            return []
        return [_with_account(url, page) for url in links(text, place, wheel.file_name, wheel.sha256)]


def indexes(
    options: Sequence[str], prefix: Path, environment: Mapping[str, str] = os.environ, etc: Path = Path("/etc")
) -> Indexes | None:
    """Return the indexes that pip would ask; None: only pip itself can tell, or ask them.

    Args:
        options: Lines of a requirements file.
        prefix: The environment's folder, whose own `pip.conf` counts.
        environment: The variables.
        etc: Where the host's own settings are.
    """
    settings = _settings(prefix, environment, etc)
    if settings is None or any(settings.get(name) for name in _PIPS_OWN):
        return None
    first = settings.get("index_url", "").split()[:1]
    more = settings.get("extra_index_url", "").split()
    pages = settings.get("find_links", "").split()
    for line in options:
        option, _, value = line.replace("=", " ", 1).partition(" ")
        match option:
            case "--index-url" | "-i":
                first, more = [value.strip()], []
            case "--extra-index-url":
                more = [*more, value.strip()]
            case "--find-links" | "-f":
                pages = [*pages, value.strip()]
            case _:
                return None
    urls = [*(first or _default(prefix)), *more]
    if not all(url.startswith(("http://", "https://")) for url in (*urls, *pages)):
        return None  # a folder: there is nothing to download
    return Indexes(urls, pages)


def _default(prefix: Path) -> list[str]:
    """Ask an environment's pip which index it asks if none is named; what it does not tell is left to it."""
    try:
        asked = subprocess.run(
            [str(prefix / "bin/python"), "-I", "-c", _DEFAULT], capture_output=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return asked.stdout.decode(errors="replace").split()[:1]


def links(text: str, place: str, name: str, sha256: str) -> list[str]:
    """Return the URLs of a file that a page of links has, unless they are of other bytes.

    Args:
        text: The page.
        place: Its URL.
        name: The file's name.
        sha256: What it should be.
    """
    found = []
    for each in _LINK.findall(text):
        url, _, fragment = urljoin(place, html.unescape(each)).partition("#")
        other = fragment.startswith("sha256=") and fragment != f"sha256={sha256}"
        if unquote(urlsplit(url).path).rpartition("/")[2] == name and not other:
            found.append(url)
    return found


def _with_account(url: str, page: str) -> str:
    """Add an index's user and password to the URL of a file on the same site, as pip does."""
    account, _, site = urlsplit(page).netloc.rpartition("@")
    return url.replace("://", f"://{account}@", 1) if account and urlsplit(url).netloc == site else url


def _settings(prefix: Path, environment: Mapping[str, str], etc: Path) -> dict[str, str] | None:
    """Read pip's settings as pip does, the weakest first; None: a file cannot be read."""
    found: dict[str, str] = {}
    own = environment.get("PIP_CONFIG_FILE", "")
    for path in [] if own == os.devnull else _files(prefix, environment, etc, own):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            return None
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("-", "_"): value for key, value in parser.items(section)}
    own_words = ((name.removeprefix("PIP_"), value) for name, value in environment.items() if name.startswith("PIP_"))
    return found | {name.lower(): value for name, value in own_words if value}


def _files(prefix: Path, environment: Mapping[str, str], etc: Path, own: str) -> list[Path]:
    home = Path(environment.get("HOME", "/"))
    everybody = [Path(each) / "pip" for each in environment.get("XDG_CONFIG_DIRS", f"{etc}/xdg").split(":") if each]
    mine = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    folders = [*everybody, etc, home / ".pip", mine, prefix]
    return [*(folder / "pip.conf" for folder in folders), *([Path(own)] if own else [])]
