"""The example project that users copy: the same files that the demo and the tests run.

In a checkout these are the top-level `playbooks/`, `roles/`, `inventories/` and `envs/`; a wheel has them as
`fleetenv/_example/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fleetenv.errors import InputError

PARTS = ("playbooks", "roles", "inventories/lab", "envs")
DEMO_PARTS = ("playbooks", "roles", "inventories/demo")


def example_folder() -> Path:
    """Return the folder that has the [`PARTS`][].

    Raises:
        InputError: this installation came without them.
    """
    package = Path(__file__).parent
    for folder in (package / "_example", package.parent):
        if (folder / "playbooks" / "site.yml").is_file():
            return folder
    raise InputError("this installation has no example project", hint="install fleetenv from its wheel, or a checkout")


def write_example(target: Path, parts: Sequence[str] = PARTS) -> tuple[list[Path], list[Path]]:
    """Copy parts of the example project; return the files that were written, and those that were there and stayed.

    Raises:
        InputError: the target cannot be written to.
    """
    source = example_folder()
    written: list[Path] = []
    kept: list[Path] = []
    try:
        for path in sorted(each for part in parts for each in (source / part).rglob("*") if each.is_file()):
            copy = target / path.relative_to(source)
            if copy.exists():
                kept.append(copy)
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            written.append(copy)
    except OSError as error:
        raise InputError(f"cannot write {error.filename}: {error.strerror}") from error
    return written, kept
