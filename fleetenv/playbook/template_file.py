"""Template files as they lie on the controller: their text, their `#jinja2:` line, what they may say of themselves."""

from __future__ import annotations

import ast
import datetime
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from fleetenv.errors import InputError, Location
from fleetenv.source import Value

if TYPE_CHECKING:
    from fleetenv.playbook.jinja.environment import PlaybookTemplate

_HEADER = "#jinja2:"
_SETTINGS = frozenset(
    {
        "block_end_string",
        "block_start_string",
        "comment_end_string",
        "comment_start_string",
        "keep_trailing_newline",
        "line_comment_prefix",
        "line_statement_prefix",
        "lstrip_blocks",
        "newline_sequence",
        "trim_blocks",
        "variable_end_string",
        "variable_start_string",
    }
)


class TemplateSource(Struct, frozen=True):
    """The text of a template file, without its `#jinja2:` line, and the settings which that line makes."""

    body: str
    settings: Mapping[str, Value]
    skipped: int  # lines before the body


def read_template(path: Path) -> TemplateSource:
    """Read a template file.

    Raises:
        InputError: it cannot be read, or its `#jinja2:` line is wrong.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the template {path}: {reason}") from error
    if not text.startswith(_HEADER):
        return TemplateSource(text, {}, 0)
    line, _, body = text.partition("\n")
    settings: dict[str, Value] = {}
    for pair in line[len(_HEADER) :].split(","):
        name, colon, value = pair.partition(":")
        try:
            settings[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            colon = ""
        if not colon or name.strip() not in _SETTINGS:
            raise InputError(
                f"'{pair.strip()}' is not a setting of Jinja's",
                location=Location(str(path), 1, 1),
                hint=f"write name: value, of {', '.join(sorted(_SETTINGS))}",
            )
    return TemplateSource(body, settings, 1)


def stamp(path: Path) -> tuple[int, int]:
    """Return what changes when the file does."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"cannot read the template {path}: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size


def about(path: Path) -> dict[str, Value]:
    """Return the variables in which a template file finds what it is, as Ansible's does, but for the present time."""
    status = path.stat()
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    return {
        "ansible_managed": "Ansible managed",
        "template_host": socket.gethostname(),
        "template_path": str(path),
        "template_fullpath": str(path.resolve()),
        "template_mtime": datetime.datetime.fromtimestamp(status.st_mtime),  # local, as Ansible's
        "template_uid": owner,
    }


def line_of(error: BaseException, of_file: tuple[PlaybookTemplate, int] | None) -> Location | None:
    """The line of a template file that an error came from; the number is of lines that are not part of the template."""
    if of_file is None or of_file[0].filename is None:
        return None
    template, skipped = of_file
    line: int | None = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == template.filename:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return Location(str(template.filename), line + skipped, 1) if line else None
