"""A host without a connection: the module's own scripts and steps, carried out by `sh` in a folder of this machine."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fleetenv.conda.environment import EnvironmentState
from fleetenv.conda.inquiry import CLEANING, LISTING, ROLLBACK, VERIFICATION, Inquiry
from fleetenv.errors import TaskFailed
from fleetenv.lab.channel import LabChannel
from fleetenv.modules.conda_env import CondaEnv, LockedEnv
from fleetenv.onhost.cleaning import Cleaning
from fleetenv.onhost.listing import Environment, Virtualenv
from fleetenv.onhost.rollback import Rollback
from fleetenv.onhost.verification import Verification
from fleetenv.remote import Completed, Lookup, Run, Send
from fleetenv.state import Diff, compare

T = TypeVar("T")


@dataclass
class Desk:
    """The controller's side of one task."""

    folder: Path  # the playbook's
    check_mode: bool = False
    relock: bool = False
    host: str = "gpu01"
    variables: Mapping[str, Any] = field(default_factory=dict)
    made: dict[object, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def find(self, path: str, folder: str) -> Path:
        return self.folder / folder / path

    def remember(self, key: object, make: Any) -> Any:
        return self.made.setdefault(key, make()) if key not in self.made else self.made[key]

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def render_file(self, path: Path, **extra: Any) -> str:
        raise NotImplementedError

    def evaluate(self, expression: Any) -> Any:
        raise NotImplementedError


@dataclass
class Machine:
    """One host: its Miniconda, and the ways to put a task to it."""

    prefix: Path
    home: Path
    environment: dict[str, str]
    said: list[str] = field(default_factory=list)  # progress lines of the last apply
    notes: list[str] = field(default_factory=list)  # what it found worth telling

    def sh(self, script: str, *arguments: str, stdin: bytes = b"") -> Completed:
        done = subprocess.run(
            ["sh", "-c", script, "sh", *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment,
            cwd=self.home,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def observe(self, module: LockedEnv) -> EnvironmentState:
        question = module.observe()
        assert isinstance(question, Lookup)
        state = question.parse(self.sh(question.script, question.subject))[question.subject]
        assert state is not None
        return state

    def diff(self, module: LockedEnv) -> Diff[EnvironmentState]:
        found = self.observe(module)
        return compare(module.desired(found), found)

    def apply(self, module: LockedEnv) -> Diff[EnvironmentState]:
        """Do as the engine does: observe, compare, converge, observe again."""
        diff = self.diff(module)
        if diff:
            for step in module.converge(diff):
                self.take(step)
            rest = self.diff(module)
            assert not rest, rest.differences
        return diff

    def ask(self, inquiry: Inquiry[T], **arguments: object) -> T:
        """Do as `rollback`, `envs`, `clean` and `verify` do."""
        step = inquiry.ask(str(self.prefix), **arguments)
        return inquiry.read(self.sh(step.script, stdin=step.stdin))

    def roll_back(self, name: str = "nlp_train", *, to: str = "", check: bool = False, run: str = "") -> Rollback:
        run = run or secrets.token_hex(4)
        return self.ask(ROLLBACK, name=name, to=to, check=check, run=run, who="alice@ctl01", wait=10.0)

    def clean(self, *names: str, keep: int = 2, check: bool = False) -> Cleaning:
        return self.ask(CLEANING, names=names, keep=keep, check=check, who="alice@ctl01", wait=10.0)

    def verify(self, *names: str, deep: bool = False) -> dict[str, Verification]:
        found = self.ask(VERIFICATION, names=names, deep=deep)
        return {each.name: each for each in found.environments}

    def environments(self) -> dict[str, Environment]:
        return {each.name: each for each in self.ask(LISTING).environments}

    def virtualenvs(self) -> dict[str, Virtualenv]:
        return {each.path: each for each in self.ask(LISTING).virtualenvs}

    def take(self, step: Run | Send) -> None:
        if isinstance(step, Send):
            draft = Path(f"{step.path}.part")
            draft.write_bytes(step.content.read_bytes() if isinstance(step.content, Path) else step.content)
            draft.replace(step.path)
            return
        done = self.sh(step.script, stdin=step.stdin)
        lines = done.error_text.splitlines()
        told = [line for line in done.text.splitlines() if line.startswith("fleetenv-note ")]
        self.notes = [line.removeprefix("fleetenv-note ") for line in told]
        self.said = [line for line in lines if line.startswith("fleetenv-progress ")]
        if done.status:
            raise TaskFailed("\n".join(line for line in lines if line not in self.said))

    def python(self, code: str, name: str = "nlp_train") -> str:
        """Run code with an environment's Python, started as its users start it."""
        command = [str(self.prefix / "envs" / name / "bin" / "python"), "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, cwd=self.home)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def generations(self, name: str = "nlp_train") -> list[str]:
        folder = self.prefix / "envs" / ".fleetenv" / name
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def current(self, name: str = "nlp_train") -> Path:
        return (self.prefix / "envs" / name).resolve()


@dataclass
class Project:
    """A playbook's folder with specs, and the lab's channel that they are solved from."""

    folder: Path
    channel: LabChannel

    def spec(self, *packages: str, name: str = "nlp_train", pip: tuple[str, ...] = (), **variables: str) -> Path:
        lines = [f"name: {name}", "channels:", f"  - {self.channel.url}", "dependencies:"]
        lines += [f"  - {package}" for package in ("python", *packages)]
        lines += (["  - pip:"] + [f"      - {each}" for each in pip]) if pip else []
        lines += (["variables:"] + [f"  {key}: '{value}'" for key, value in variables.items()]) if variables else []
        path = self.folder / "envs" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    def lock(self, *packages: str, name: str = "nlp_train", pip: tuple[str, ...] = (), **variables: str) -> Path:
        from fleetenv.conda.relock import Wishes, relock
        from fleetenv.conda.spec import read_spec

        path = self.spec(*packages, name=name, pip=pip, **variables)
        relock(read_spec(path), Wishes(pip_index=self.channel.simple, cuda="12.8"))
        return path

    def task(self, machine: Machine, *, check: bool = False, relock: bool = False, **arguments: Any) -> LockedEnv:
        named = {"spec": "nlp_train.yml", "prefix": str(machine.prefix), "pip_index": self.channel.simple} | arguments
        module = CondaEnv.from_arguments(named)
        assert isinstance(module, CondaEnv)
        return module.resolve(Desk(self.folder, check_mode=check, relock=relock))


def install(installer: Path, folder: Path) -> Machine:
    prefix, home = folder / "opt" / "miniconda3", folder / "home"
    home.mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    subprocess.run(["sh", str(installer), "-b", "-p", str(prefix)], check=True, capture_output=True, env=environment)
    return Machine(prefix, home, environment)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something outside this process has happened."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
