"""Modules at work, without an engine: their scripts run in real shells here, their files go to real folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleetenv.errors import InputError
from fleetenv.modules import registry
from fleetenv.modules.base import ActionModule, Controller, ControllerModule, Module, Outcome, StateModule
from fleetenv.remote import Completed, Lookup, Send, Step, sh
from fleetenv.source import SourceMap, Value
from fleetenv.source_yaml import parse_yaml
from fleetenv.state import Diff, compare

SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]


@dataclass
class Site:
    """A controller with one folder for files and templates, and plain variables."""

    folder: Path
    variables: dict[str, Value] = field(default_factory=dict)
    host: str = "gpu01"
    check_mode: bool = False
    relock: bool = False
    warnings: list[str] = field(default_factory=list)

    def find(self, path: str, folder: str) -> Path:
        for place in (self.folder / folder / path, self.folder / path):
            if place.exists():
                return place
        raise InputError(f"there is no file '{path}'")

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def render_file(self, path: Path, **extra: Value) -> str:
        from jinja2 import Environment

        return Environment(keep_trailing_newline=True).from_string(path.read_text()).render(**self.variables, **extra)

    def evaluate(self, expression: Value) -> Value:
        from jinja2 import Environment

        result: Value = Environment().compile_expression(str(expression))(**self.variables)
        return result

    def remember(self, key: object, make: Callable[[], Any]) -> Any:
        return make()


@dataclass(frozen=True)
class Result:
    """What a task came to."""

    changed: bool
    diff: Diff[Any]
    steps: tuple[Step, ...]
    values: Mapping[str, Value]

    @property
    def keys(self) -> list[str]:
        return [each.key for each in self.diff.differences]


@dataclass
class Driver:
    """Observes, compares and converges one module with a real sh, as the engine does over a connection."""

    site: Site
    shell: str = "sh"
    user: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def build(self, name: str, text: str) -> Module:
        arguments = parse_yaml(text, "site.yml")
        assert isinstance(arguments, SourceMap)
        registry.check_arguments(name, arguments)
        controller: Controller = self.site
        return registry.build(name, arguments).resolve(controller)

    def run(self, script: str, stdin: bytes = b"", **environment: str) -> Completed:
        done = subprocess.run(
            [self.shell, "-c", script],
            input=stdin,
            capture_output=True,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            env={**os.environ, **self.environment, **environment},
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def observe(self, module: StateModule[Any]) -> Any:
        question = module.observe()
        if isinstance(question, Lookup):
            answer = self.run(f"{sh('set', '--', question.subject)}\n{question.script}")
            return question.parse(answer)[question.subject]
        return question.parse(self.run(question.script))

    def carry_out(self, step: Step) -> Completed:
        if isinstance(step, Send):
            return self._send(step)
        return self.run(step.script, step.stdin, **step.environment)

    def _send(self, step: Send) -> Completed:
        path = Path(step.path.replace("~", self.environment.get("HOME", "~"), 1) if step.path[0] == "~" else step.path)
        data = step.content if isinstance(step.content, bytes) else step.content.read_bytes()
        before = path.stat() if path.exists() else None
        beside = path.with_name(f"{path.name}.sent")
        beside.write_bytes(data)
        if step.owner or step.group:
            shutil.chown(beside, _id(step.owner), _id(step.group))
        beside.chmod(step.mode if step.mode is not None else before.st_mode & 0o7777 if before else 0o644)
        beside.replace(path)
        return Completed(0)

    def apply(self, name: str, text: str, *, check: bool = False) -> Result:
        """Bring about what a task says; the second look must find it so."""
        module = self.build(name, text)
        assert isinstance(module, StateModule)
        found = self.observe(module)
        diff = compare(module.desired(found), found)
        steps = tuple(module.converge(diff)) if diff else ()
        if diff and not check:
            for step in steps:
                done = self.carry_out(step)
                assert done.status == 0, (step, done.error_text)
            found = self.observe(module)
            assert not (left := compare(module.desired(found), found)), left.differences
        return Result(bool(diff), diff, steps, module.returns(found))

    def act(self, name: str, text: str, *, check: bool = False) -> Outcome:
        """Carry out an action, or what happens on the controller alone."""
        module = self.build(name, text)
        if isinstance(module, ControllerModule):
            return module.perform(self.site)
        assert isinstance(module, ActionModule)
        acting = module.act(check=check)
        try:
            step = next(acting)
            while True:
                step = acting.send(self.carry_out(step))
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


def _id(name: str | None) -> str | int | None:
    return int(name) if name and name.isdigit() else name


@pytest.fixture(params=SHELLS)
def driver(tmp_path: Path, request: pytest.FixtureRequest) -> Driver:
    """A driver with an empty site at tmp_path/site; once with each shell that sh may be."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Driver(Site(folder), shell=request.param)
