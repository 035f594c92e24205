"""From the sources that `-i` names to an inventory: files, programs, folders of them, comma lists."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from fleetenv.errors import InputError, Location
from fleetenv.inventory import ini_file, script, yaml_file
from fleetenv.inventory.address import expand, split_port
from fleetenv.inventory.draft import Draft
from fleetenv.inventory.inventory import Inventory
from fleetenv.inventory.vars_folder import VarsFolder
from fleetenv.source import SourceMap, shown
from fleetenv.source_yaml import parse_yaml

_YAML_EXTENSIONS = (".yml", ".yaml", ".json")
# What a folder of sources may hold beside them: Ansible's defaults for what it passes over.
_PASSED_OVER = re.compile(
    r"\.|(?:host_vars|group_vars|vars_plugins)$|.*(?:\.(?:pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry)|~)$"
)


def load(sources: Sequence[str], *, playbook_folder: Path | None = None) -> Inventory:
    """Load an inventory from paths and comma lists (`host1,host2,`); later sources override earlier ones.

    Args:
        sources: What `-i` was given, in its order. `group_vars` and `host_vars` lie beside a file, or in a folder.
        playbook_folder: Where `group_vars` and `host_vars` of the playbook lie, if there is one.

    Raises:
        InputError: a source is missing or malformed; the message tells file, line and column.
    """
    draft = Draft()
    folders: dict[Path, VarsFolder] = {}
    beside: list[VarsFolder] = []
    for source in sources:
        path = Path(os.path.abspath(os.path.expandvars(Path(source).expanduser())))  # noqa: PTH100  # links stay as named
        if "," in source and not path.exists():
            _read_list(source, draft)
        else:
            _read_path(path, source, draft)
            folder = (path if path.is_dir() else path.parent).resolve()
            beside.append(folders.setdefault(folder, VarsFolder(folder)))
    inventory = Inventory(*draft.finish(), beside_inventory=beside)
    return inventory.beside(playbook_folder) if playbook_folder else inventory


def _read_list(source: str, draft: Draft) -> None:
    draft.source = source
    for text in source.split(","):
        if not text.strip():
            continue
        name, port = split_port(text.strip())
        try:
            names = expand(name)
        except ValueError as error:
            raise InputError(f"in the list of hosts '{source}': {error}") from error
        for host in names:
            if host not in draft.hosts:
                draft.add_host(host, "ungrouped", port=port)


def _read_path(path: Path, source: str, draft: Draft) -> None:
    if path.is_dir():
        entries = [entry for entry in sorted(path.iterdir()) if not _PASSED_OVER.match(entry.name)]
        if not entries:
            raise InputError(f"the inventory folder {source} holds no inventory file")
        for entry in entries:
            _read_path(entry, str(entry), draft)
        return
    if not path.exists():
        raise InputError(f"there is no inventory {source}", hint=f"a list of hosts has a comma in it: -i {source},")
    draft.source = str(path)
    if os.access(path, os.X_OK) and script.read(path, draft):
        return
    _read_file(path, draft)


def _read_file(path: Path, draft: Draft) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the inventory {path}: {reason}") from error
    name = shown(path)
    start = Location(name, 1, 1)
    if path.suffix == ".toml":
        raise InputError("TOML inventories are not supported", location=start, hint="use YAML or INI")
    if path.suffix in _YAML_EXTENSIONS or (not path.suffix and _looks_like_yaml(text)):
        data = parse_yaml(text, name)
        if isinstance(data, SourceMap):
            yaml_file.read(data, draft)
            return
        if data is not None and path.suffix:
            raise InputError("a YAML inventory must be a mapping of groups", location=start)
    ini_file.read(text, name, draft)


def _looks_like_yaml(text: str) -> bool:
    """Whether a file without an extension is YAML: its first line opens a document, or a mapping."""
    first = next((line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"), "")
    return first.startswith(("---", "{")) or re.fullmatch(r"[^\s\[]\S*:(\s+#.*)?", first) is not None
