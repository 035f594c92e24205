"""Lookups by name, and the global functions of templates. What a lookup finds is data: it is never rendered.

Lookups run on the controller. Files are looked for where the task looks for them (`ansible_search_path`).
"""

from __future__ import annotations

import datetime
import glob
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from fleetenv.errors import InputError, nearest
from fleetenv.playbook.jinja.filters.data import flatten, subelements
from fleetenv.playbook.reading import OMIT, Reading, plain
from fleetenv.playbook.undefined import UndefinedVariable
from fleetenv.playbook.words import split_words, unquote

Lookup = Callable[..., Iterable[Any]]
"""Takes the terms, the reading that asks, and options; gives the values found."""


def find(name: str) -> Lookup:
    """Return the lookup of a name.

    Raises:
        InputError: there is none.
    """
    short = name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
    if short in REFUSED:
        raise InputError(f"the lookup '{name}' is not supported", hint=REFUSED[short])
    if short not in LOOKUPS:
        raise InputError(f"there is no lookup '{name}'", hint=nearest(short, LOOKUPS))
    return LOOKUPS[short]


def look_up(name: str, terms: list[Any], reading: Reading, **options: Any) -> list[Any]:
    """Run a lookup, and return all that it finds."""
    return list(find(name)(terms, reading, **options))


@pass_context
def lookup(
    context: Context, name: str, /, *terms: Any, wantlist: bool = False, errors: str = "strict", **options: Any
) -> Any:
    """`lookup(...)`: one value as it is, several texts joined by commas, or with `wantlist` a list."""
    undefined = next((each for each in (*terms, *options.values()) if isinstance(each, Undefined)), None)
    if undefined is not None and name.rpartition(".")[2] != "first_found":
        return undefined
    try:
        found = look_up(name, list(terms), _reading(context), **options)
    except (InputError, OSError):
        if errors == "strict":
            raise
        return [] if wantlist else None
    if wantlist or not found:
        return found
    if len(found) == 1:
        return found[0]
    return ",".join(found) if all(isinstance(each, str) for each in found) else found


@pass_context
def query(context: Context, name: str, /, *terms: Any, **options: Any) -> Any:
    """`query(...)`: a lookup that always gives a list."""
    return lookup(context, name, *terms, **{**options, "wantlist": True})


def now(utc: bool = False, fmt: str | None = None) -> Any:
    """Return the controller's time, or write it in a form."""
    moment = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) if utc else datetime.datetime.now()
    return moment.strftime(fmt) if fmt else moment


@pass_context
def undef(context: Context, hint: str | None = None) -> Any:
    """Return something undefined: a default that must be overridden."""
    return context.environment.undefined(hint=hint or "a mandatory variable has not been overridden")


def _reading(context: Context) -> Reading:
    reading = getattr(context.parent, "reading", None)
    if isinstance(reading, Reading):
        return reading
    raise InputError("lookups need variables: import this template 'with context'")


# Files


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
        raise InputError(
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
            found = [path for path in glob.glob(str(folder / pattern.name)) if Path(path).is_file()]  # noqa: PTH207
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


# The controller


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


# Variables and lists


def variables(terms: list[Any], reading: Reading, default: Any = OMIT) -> Iterator[Any]:
    """Read variables by name."""
    for term in terms:
        try:
            yield reading.variable(str(term))
        except KeyError:
            if default is OMIT:
                raise UndefinedVariable(f"'{term}' is undefined", name=str(term)) from None
            yield default


def varnames(terms: list[Any], reading: Reading) -> Iterator[str]:
    """List variables whose names match regular expressions."""
    for term in terms:
        yield from (name for name in reading.scope if re.search(str(term), name))


def items(terms: list[Any], reading: Reading) -> list[Any]:
    """Make one list, inner lists opened one level deep."""
    return flatten(terms, levels=1)


def values(terms: list[Any], reading: Reading) -> list[Any]:
    """Give the terms as they are."""
    return terms


def dictionary(terms: list[Any], reading: Reading) -> Iterator[dict[str, Any]]:
    """Make a list of mappings, to loop over."""
    for term in flatten(terms):
        if not isinstance(term, Mapping):
            raise InputError(f"the lookup 'dict' needs a mapping, not {type(term).__name__}")
        yield from ({"key": key, "value": value} for key, value in term.items())


def indexed_items(terms: list[Any], reading: Reading) -> list[Any]:
    """Pair items with their position."""
    return [[index, item] for index, item in enumerate(flatten(terms, levels=1))]


def together(terms: list[Any], reading: Reading) -> list[Any]:
    """Walk several lists side by side; the shorter ones are filled with None."""
    from itertools import zip_longest

    if not terms:
        raise InputError("the lookup 'together' needs at least one list")
    return [flatten(list(group), skip_nulls=False) for group in zip_longest(*terms)]


def nested(terms: list[Any], reading: Reading) -> list[Any]:
    """Combine each item of a list with each of the next."""
    from itertools import product

    if not terms:
        raise InputError("the lookup 'nested' needs at least one list")
    return [
        flatten(list(group), skip_nulls=False)
        for group in product(*(each if isinstance(each, list) else [each] for each in terms))
    ]


def inner(terms: list[Any], reading: Reading) -> list[Any]:
    """Pair each mapping with each item of a list inside it."""
    if len(terms) < 2:
        raise InputError("the lookup 'subelements' needs a list of mappings, and the key of a list in them")
    flags = terms[2] if len(terms) > 2 and isinstance(terms[2], Mapping) else {}
    pairs = subelements(terms[0], terms[1], skip_missing=bool(flags.get("skip_missing", False)))
    keys = str(terms[1]).split(".")
    return [[_without(parent, keys), item] for parent, item in pairs]


def _without(mapping: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    """Copy a mapping without the list inside it that is looped over, as Ansible gives it."""
    rest = {key: value for key, value in mapping.items() if key != keys[0]}
    return rest | {keys[0]: _without(mapping[keys[0]], keys[1:])} if len(keys) > 1 else rest


def random_choice(terms: list[Any], reading: Reading) -> list[Any]:
    """Choose one by chance."""
    return [random.SystemRandom().choice(terms)] if terms else []


_SHORT = re.compile(r"(?:(0?x?[0-9a-f]+)-)?(0?x?[0-9a-f]+)(?:/(0?x?[0-9a-f]+))?(?::(.+))?", re.IGNORECASE)


def sequence(terms: list[Any], reading: Reading, **options: Any) -> Iterator[str]:
    """Count: `start=1 end=5 stride=2 format=host%02d`, `count=4`, or `1-5/2:host%02d`. Gives text."""
    for term in terms or [""]:
        short = _SHORT.fullmatch(str(term).strip())
        if short:
            written = dict(zip(("start", "end", "stride", "format"), short.groups(), strict=True))
        else:
            words = [word.text.partition("=") for word in split_words(str(term))]
            written = {key: unquote(value) for key, _, value in words} | options
        yield from _count({key: value for key, value in written.items() if value is not None})


def _count(options: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(set(options) - {"start", "end", "count", "stride", "format"})
    if unknown:
        raise InputError(f"sequence: there is no '{unknown[0]}'", hint="it takes start, end, count, stride and format")
    if ("end" in options) == ("count" in options):
        raise InputError("sequence needs either end or count")
    start, form = _number(options.get("start", 1)), str(options.get("format", "%d"))
    if form.count("%") != 1:
        raise InputError(f"sequence: the format '{form}' must have one %d in it")
    if "count" in options:
        stride = _number(options.get("stride", 1))
        numbers = [start + index * stride for index in range(_number(options["count"]))]
    else:
        end = _number(options["end"])
        stride = _number(options.get("stride", 1 if end >= start else -1))
        if stride and (end - start) * stride < 0:
            raise InputError(f"sequence: a stride of {stride} does not lead from {start} to {end}")
        numbers = list(range(start, end + (1 if stride > 0 else -1), stride)) if stride else []
    for number in numbers:
        yield form % number


def _number(value: Any) -> int:
    text = str(value)
    try:
        return int(text, 0) if not re.fullmatch(r"-?0\d+", text) else int(text, 8)
    except ValueError as error:
        raise InputError(f"sequence: '{value}' is not a whole number") from error


LOOKUPS: dict[str, Lookup] = {
    "dict": dictionary,
    "env": env,
    "file": file,
    "fileglob": fileglob,
    "first_found": first_found,
    "flattened": lambda terms, reading: flatten(terms),
    "indexed_items": indexed_items,
    "items": items,
    "lines": lines,
    "list": values,
    "nested": nested,
    "cartesian": nested,
    "pipe": pipe,
    "random_choice": random_choice,
    "sequence": sequence,
    "subelements": inner,
    "template": template,
    "together": together,
    "vars": variables,
    "varnames": varnames,
}

REFUSED = {
    "config": "there is no ansible.cfg here",
    "csvfile": "it is not supported yet; keep the table as YAML",
    "ini": "it is not supported yet; keep the values as YAML",
    "inventory_hostnames": "it is not supported yet; use groups['name']",
    "password": "keep the password in a variable, or read it with the lookup 'env' or 'file'",
    "unvault": "vaulted files are not supported yet",
    "url": "it is not supported yet; use the lookup 'pipe' with curl",
}
"""Lookups that are known and not there, with what helps."""

GLOBALS: dict[str, Any] = {"lookup": lookup, "query": query, "q": query, "now": now, "undef": undef, "omit": OMIT}
