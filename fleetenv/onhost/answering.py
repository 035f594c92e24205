"""Answers what the controller asks about environments: sent to Miniconda's Python with the question, leaves nothing."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module

from .report import Failure


def main(subject: str, arguments: Mapping[str, object]) -> int:
    """Print the answer of the module `subject` as JSON; one line on standard error when there is none.

    Returns:
        The exit status.
    """
    os.umask(0o022)
    try:
        said = import_module(f"fleetenv.onhost.{subject}").answer(**arguments)
    except Failure as failure:
        sys.stdout.write(failure.lines)
        sys.stderr.write(f"{failure}\n")
        return failure.status
    except OSError as error:
        hint = ": use become" if error.errno in (errno.EACCES, errno.EPERM) else ""
        sys.stderr.write(f"{error.filename or arguments.get('prefix')}: {error.strerror or error}{hint}\n")
        return 1
    text = f"{json.dumps(asdict(said), ensure_ascii=False)}\n"
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))  # a file's name need not be UTF-8
    return 0
