"""Files that are written whole or not at all: whoever reads one meanwhile sees the old one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside `path` and rename it there.

    What is no plain file (a pipe, /dev/stdout) is written to, and so is a file in a folder where nothing can be made.

    Raises:
        OSError: it cannot be written; then what was there before is still there.
    """
    data = text.encode("utf-8", "backslashreplace")
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        file = draft.open("xb")
    except PermissionError:
        if not path.exists():
            raise
        path.write_bytes(data)
        return
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            draft.chmod(path.stat().st_mode & 0o7777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
