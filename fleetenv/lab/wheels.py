"""A 'simple' package index in a folder (PEP 503), as pip and uv read it from `file://` or any web server."""

from __future__ import annotations

import hashlib
import html
from pathlib import Path

from fleetenv.lab.project import Project


def add_wheel(index: Path, project: Project) -> Path:
    """Put a project's wheel into the index folder and return the wheel's path."""
    name, data = project.wheel()
    folder = index / project.module.replace("_", "-")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / name
    wheel.write_bytes(data)
    _write_page(
        folder, [_link(path.name, f"{path.name}#sha256={_sha256(path)}") for path in sorted(folder.glob("*.whl"))]
    )
    _write_page(index, [_link(path.name, f"{path.name}/") for path in sorted(index.iterdir()) if path.is_dir()])
    return wheel


def _write_page(folder: Path, links: list[str]) -> None:
    lines = ["<!DOCTYPE html>", '<meta name="pypi:repository-version" content="1.0">', *links, ""]
    (folder / "index.html").write_text("\n".join(lines))


def _link(text: str, target: str) -> str:
    return f'<a href="{html.escape(target)}">{html.escape(text)}</a><br>'


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
