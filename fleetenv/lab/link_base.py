"""Install the packages unpacked below PREFIX/pkgs into PREFIX, as conda does: run by the lab's installer.

It runs on the host with the Python of the payload, so it needs nothing but the standard library. Usage:
`python link_base.py PREFIX INSTALLER PACKAGE...`, a package being the name of a folder in PREFIX/pkgs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

_SCRIPT = """\
#!{prefix}/bin/python
# -*- coding: utf-8 -*-
import re
import sys

from {module} import {function}

if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
"""


def main() -> None:
    """Link all packages; what is recorded as linked already is passed over, other versions are taken out first."""
    prefix, installer = Path(sys.argv[1]), sys.argv[2]
    packages = [prefix / "pkgs" / name for name in sys.argv[3:]]
    offered = {record["name"]: (record, folder) for folder in packages for record in [_record(folder)]}
    meta = prefix / "conda-meta"
    meta.mkdir(exist_ok=True)
    recorded = [(path, _read(path)) for path in sorted(meta.glob("*.json"))]
    names = {record["url"]: name for name, (record, _) in offered.items()}
    kept = {names.get(each["url"]) for _, each in recorded}
    gone = [_unlink(prefix, path) for path, each in recorded if each["name"] in offered.keys() - kept]
    python = "python" + ".".join(offered["python"][0]["version"].split(".")[:2])
    linked = [offered[name] for name in offered if name not in kept]
    for record, folder in linked:
        _link(prefix, folder, record, python)
    _write_history(prefix, installer, offered["conda"][0]["version"], gone, [record for record, _ in linked])
    _register(prefix)


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _record(folder: Path) -> Any:
    return _read(folder / "info" / "repodata_record.json")


def _unlink(prefix: Path, meta: Path) -> Any:
    record = _read(meta)
    for name in record["files"]:
        (prefix / name).unlink(missing_ok=True)
    meta.unlink()
    return record


def _link(prefix: Path, folder: Path, record: dict[str, Any], python: str) -> None:
    paths = []
    for entry in _read(folder / "info" / "paths.json")["paths"]:
        name = entry["_path"]
        target = f"lib/{python}/{name}" if name.startswith("site-packages/") else name
        paths.append({**entry, "_path": target, **_place(folder / name, prefix / target, entry, str(prefix))})
    link = folder / "info" / "link.json"
    for point in _read(link)["noarch"].get("entry_points", []) if link.is_file() else []:
        name, _, where = (part.strip() for part in point.partition("="))
        module, _, function = where.partition(":")
        script = prefix / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.unlink(missing_ok=True)
        script.write_text(_SCRIPT.format(prefix=prefix, module=module, function=function))
        script.chmod(0o755)
        paths.append({"_path": f"bin/{name}", "path_type": "unix_python_entry_point"})
    described = {
        **record,
        "extracted_package_dir": str(folder),
        "files": [path["_path"] for path in paths],
        "link": {"source": str(folder), "type": 1},
        "package_tarball_full_path": str(prefix / "pkgs" / record["fn"]),
        "paths_data": {"paths": paths, "paths_version": 1},
        "requested_spec": record["name"],
    }
    meta = prefix / "conda-meta" / f"{record['name']}-{record['version']}-{record['build']}.json"
    meta.write_text(json.dumps(described, indent=2, sort_keys=True))


def _place(source: Path, target: Path, entry: dict[str, Any], prefix: str) -> dict[str, Any]:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if entry["path_type"] == "softlink":
        target.symlink_to(source.readlink())
        return {}
    if placeholder := entry.get("prefix_placeholder"):
        data = source.read_bytes().replace(placeholder.encode(), prefix.encode())
        target.write_bytes(data)
        target.chmod(source.stat().st_mode)
        return {"sha256_in_prefix": hashlib.sha256(data).hexdigest()}
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
    return {"sha256_in_prefix": entry["sha256"]}


def _write_history(prefix: Path, installer: str, conda: str, gone: list[Any], linked: list[Any]) -> None:
    def names(sign: str, records: list[Any]) -> list[str]:
        return [f"{sign}lab/{each['subdir']}::{each['name']}-{each['version']}-{each['build']}" for each in records]

    lines = [time.strftime("==> %Y-%m-%d %H:%M:%S <=="), f"# cmd: {installer}", f"# conda version: {conda}"]
    lines += [*names("-", gone), *names("+", linked), f"# update specs: {[record['name'] for record in linked]}", ""]
    with (prefix / "conda-meta" / "history").open("a") as history:  # last: it marks an environment
        history.write("\n".join(lines))


def _register(prefix: Path) -> None:
    """Note the prefix in ~/.conda/environments.txt, as conda does; a home that cannot be written to is no error."""
    known = Path.home() / ".conda" / "environments.txt"
    try:
        known.parent.mkdir(exist_ok=True)
        lines = known.read_text().splitlines() if known.is_file() else []
        if str(prefix) not in lines:
            known.write_text("\n".join([*lines, str(prefix), ""]))
    except OSError:
        pass


if __name__ == "__main__":
    main()
