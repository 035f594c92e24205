"""A folder with a playbook in it, for tests to fill."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetenv.errors import InputError
from fleetenv.playbook import Playbook
from fleetenv.playbook.model import Block, Entry, Play, Task

MODULES = {
    "apt": None,
    "command": "cmd",
    "copy": None,
    "debug": None,
    "fail": None,
    "file": None,
    "set_fact": None,
    "shell": "cmd",
    "template": None,
}


class Project:
    """A folder with a playbook in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, text: str, **options: object) -> Playbook:
        return Playbook(self.write("site.yml", text), modules=MODULES, **options)  # type: ignore[arg-type]

    def play(self, text: str) -> Play:
        return self.read(text).plays[0]

    def tasks(self, text: str) -> list[Task]:
        """Tasks of a playbook that is given by its tasks alone."""
        indented = "".join(f"    {line}\n" for line in text.strip("\n").splitlines())
        return every_task(self.play(f"- hosts: all\n  tasks:\n{indented}").entries)

    def complaint(self, text: str) -> str:
        with pytest.raises(InputError) as caught:
            self.read(text)
        return str(caught.value).replace(f"{self.folder}/", "")

    def complaint_about_task(self, text: str) -> str:
        indented = "".join(f"    {line}\n" for line in text.strip("\n").splitlines())
        return self.complaint(f"- hosts: all\n  tasks:\n{indented}")


def every_task(entries: tuple[Entry, ...]) -> list[Task]:
    tasks: list[Task] = []
    for entry in entries:
        match entry:
            case Task():
                tasks.append(entry)
            case Block():
                tasks += every_task((*entry.block, *entry.rescue, *entry.always))
    return tasks


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
