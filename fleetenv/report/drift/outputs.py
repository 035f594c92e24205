"""Where the drift report goes: standard output, or files, each in its own form."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fleetenv.drift.report import DriftReport
from fleetenv.errors import InputError
from fleetenv.history.model import RunPoint
from fleetenv.report.drift.forms import Form, form_of, rendered
from fleetenv.report.text import counted
from fleetenv.report.whole import write_whole


class Outputs:
    """What `-o` and `--format` ask for."""

    def __init__(self, files: Sequence[Path], form: Form | None = None) -> None:
        """Take the files, none for standard output, and the form, None to go by each file's ending.

        Raises:
            InputError: a file has no folder, or several files are all to have one form.
        """
        for file in files:
            folder = file.resolve().parent
            if not folder.is_dir():
                raise InputError(f"there is no folder to write {file} into")
            if file.is_dir():
                raise InputError(f"cannot write {file}: it is a folder")
            if not file.exists() and not os.access(folder, os.W_OK):
                raise InputError(f"cannot write {file}: {folder} is not yours to write into")
        if form and len(files) > 1:
            raise InputError(
                f"--format {form} is for one file, and -o names {len(files)}", hint="their endings can say the forms"
            )
        self._files = [(file, form or form_of(file)) for file in files]
        self._form = form or Form.TEXT

    def write(self, report: DriftReport, earlier: Sequence[RunPoint] = ()) -> None:
        """Write the report; `earlier` are looks before this one, the oldest first.

        Raises:
            InputError: a file cannot be written.
        """
        if not self._files and self._form is Form.TEXT:
            from rich.console import Console

            from fleetenv.report.drift.terminal import print_drift

            print_drift(report, Console())
        elif not self._files:
            sys.stdout.write(rendered(report, self._form, earlier))
        for file, form in self._files:
            try:
                write_whole(file, rendered(report, form, earlier))
            except OSError as error:
                raise InputError(f"cannot write {file}: {error.strerror}") from error
            found = f"{counted(len(report.drifting), 'finding')} on {counted(len(report.hosts), 'host')}"
            sys.stdout.write(f"{file}: {found}\n")
