"""Lookups that look at the controller: its files, its environment, what its commands print.

Files are looked for where the task looks for them (`ansible_search_path`).
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Undefined

from fleetenv.errors import InputError, MissingFile
from fleetenv.playbook.jinja.filters.data import flatten
from fleetenv.playbook.reading import Reading, plain
from fleetenv.playbook.undefined import UndefinedVariable


def search(reading: Reading, path: str, folder: str) -> Path | None:
    """Find a file where the task looks for it: in the `folder` of its role and playbook, then beside that."""
    wanted = Path(path).expanduser()
    if wanted.is_absolute():
        return wanted if wanted.exists() else None
    places = _search_path(reading)
    candidates = (place / part for place in places for part in (Path(folder) / wanted, wanted))
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _search_path(reading: Reading) -> list[Path]:
    for name in ("ansible_search_path", "playbook_dir"):
        try:
            found: Any = plain(reading.variable(name))
        except KeyError:
            continue
        return [Path(place) for place in (found if isinstance(found, list) else [found])]
    return [Path.cwd()]


def _file(reading: Reading, path: str, folder: str, name: str) -> Path:
    found = search(reading, str(path), folder)
    if found is None:
        places = ", ".join(str(place) for place in _search_path(reading))
        raise MissingFile(
            f"the lookup '{name}' does not find '{path}'", hint=f"it looks in {places}, and in {folder}/ there"
        )
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read {path}: {reason}") from error


def file(terms: list[Any], reading: Reading, rstrip: bool = True, lstrip: bool = False) -> Iterator[str]:
    """Read files of the controller."""
    for term in terms:
        text = _text(_file(reading, term, "files", "file"))
        text = text.lstrip() if lstrip else text
        yield text.rstrip() if rstrip else text


def template(terms: list[Any], reading: Reading, template_vars: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Render template files."""
    for term in terms:
        yield reading.renderer.file(_file(reading, term, "templates", "template"), reading, template_vars or {})


def fileglob(terms: list[Any], reading: Reading) -> Iterator[str]:
    """List files of the controller that match a pattern."""
    for term in flatten(terms):
        pattern = Path(str(term)).expanduser()
        places = [place / part for place in _search_path(reading) for part in ("files", "")]
        for folder in [pattern.parent] if pattern.is_absolute() else [place / pattern.parent for place in places]:
            matches = glob.glob(str(folder / pattern.name))  # noqa: PTH207  # as Ansible's: pathlib's finds hidden files
            found = [path for path in matches if Path(path).is_file()]
            if found:
                yield from sorted(found)
                break


def first_found(
    terms: list[Any], reading: Reading, files: Any = None, paths: Any = None, skip: bool = False, folder: str = "files"
) -> Iterator[str]:
    """Return the first file that is there, of several."""
    wanted: list[str] = []
    for term in terms or [files or []]:
        wanted += _alternatives(term, paths)
        if isinstance(term, Mapping):
            skip = skip or bool(term.get("skip"))
    for path in wanted:
        found = search(reading, path, folder)
        if found is not None:
            yield str(found)
            return
    if not skip:
        raise InputError(
            f"first_found finds none of {', '.join(wanted) or 'no files'}", hint="skip: true lets it find none"
        )


def _alternatives(term: Any, paths: Any) -> list[str]:
    if isinstance(term, Undefined):
        return []
    if isinstance(term, Mapping):
        return _alternatives(term.get("files") or [], term.get("paths") or paths)
    if isinstance(term, list | tuple):
        return [path for each in term for path in _alternatives(each, paths)]
    files = [part.strip() for part in re.split("[,;]", str(term)) if part.strip()]
    folders = [
        part for each in ([paths] if isinstance(paths, str) else paths or []) for part in re.split("[,:;]", each)
    ]
    return [os.path.join(folder, path) for folder in folders for path in files] or files  # noqa: PTH118  # text in, text out


def env(terms: list[Any], reading: Reading, default: Any = "") -> Iterator[Any]:
    """Read environment variables of the controller."""
    for term in terms:
        value = os.environ.get(str(term))
        if value is None and isinstance(default, Undefined):
            raise UndefinedVariable(f"the environment variable '{term}' is not set")
        yield default if value is None else value


def pipe(terms: list[Any], reading: Reading) -> Iterator[str]:
    """Run commands on the controller, in its shell, and give what they print."""
    for term in terms:
        yield _output(str(term), reading).rstrip()


def lines(terms: list[Any], reading: Reading) -> Iterator[str]:
    """Run commands on the controller, and give the lines that they print."""
    for term in terms:
        yield from _output(str(term), reading).splitlines()


def _output(command: str, reading: Reading) -> str:
    folder = next((place for place in reversed(_search_path(reading)) if place.is_dir()), None)
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=False)  # noqa: S602  # the user's own command
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip()
        raise InputError(f"the lookup's command '{command}' ended with status {done.returncode}: {reason}")
    return done.stdout.decode("utf-8", "replace")


LOOKUPS: dict[str, Callable[..., Iterable[Any]]] = {
    "env": env,
    "file": file,
    "fileglob": fileglob,
    "first_found": first_found,
    "lines": lines,
    "pipe": pipe,
    "template": template,
}
