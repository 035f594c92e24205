"""jupyter_kernel: environments as kernels of Jupyter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, cast

import msgspec
from msgspec import Meta

from fleetenv.errors import TaskFailed
from fleetenv.modules.answers import by_subject
from fleetenv.modules.base import Controller, StateModule
from fleetenv.modules.hostpath import check_path, quoted
from fleetenv.remote import Completed, Lookup, Run, Send, Step
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, Leaf, Place, State, UnsetType

_FOLDERS = {"user": "~/.local/share/jupyter/kernels", "system": "/usr/local/share/jupyter/kernels"}
_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]*")  # jupyter_client's rule; it looks names up in lower case
_IPYKERNEL = ("-m", "ipykernel_launcher", "-f", "{connection_file}")
_NOT_JSON = "(not a kernel.json)"

# A subject is FOLDER|NAME|PYTHON|ALL: the kernel, the interpreter that it is to have, and whether other kernels count,
# too. An interpreter is 'gone' only if that can be seen: the nearest folder above it that is there may be searched.
_SCRIPT = r"""
fe_gone() {
  [ -e "$1" ] && return 1
  up=${1%/*}
  while [ -n "$up" ] && ! [ -e "$up" ]; do up=${up%/*}; done
  [ -x "${up:-/}" ]
}
for subject do
  folder=${subject%%|*}; rest=${subject#*|}
  name=${rest%%|*}; rest=${rest#*|}
  python=${rest%%|*}
  case $folder in '~/'*) folder=$HOME/${folder#??};; esac
  printf 'subject\0%s\0' "$subject"
  if [ -d "$folder" ] && ! [ -x "$folder" ]; then printf 'denied\0%s\0' "$folder"; fi
  if [ -e "$folder/$name" ]; then printf 'present\0%s\0' "$name"; fi
  if [ -n "$python" ] && [ -x "$python" ]; then
    printf 'python\0%s\0' "$python"
    for found in "${python%/*}"/../lib/python3*/site-packages/ipykernel; do
      if [ -d "$found" ]; then printf 'ipykernel\0%s\0' "$found"; fi
    done
  fi
  case $rest in *'|all') set -- "$folder"/*/kernel.json;; *) set -- "$folder/$name/kernel.json";; esac
  for kernel do
    [ -f "$kernel" ] || continue
    text=$(head -c 65536 -- "$kernel")
    kernel=${kernel%/kernel.json}
    printf 'kernel\0%s\0' "${kernel##*/}"
    printf 'text\0%s\0' "$text"
    case $text in *'"argv"'*'['*'"'*'"'*) ;; *) continue;; esac
    first=${text#*'"argv"'}; first=${first#*'['}; first=${first#*'"'}; first=${first%%'"'*}
    case $first in /*) if fe_gone "$first"; then printf 'gone\0%s\0' "$first"; fi;; esac
  done
done
"""


class KernelState(State, frozen=True, kw_only=True):
    """A kernel, and (never compared) the interpreter that it is to have."""

    present: bool
    kernel: Mapping[str, Leaf] | UnsetType = UNSET
    """What kernel.json says: `argv`, `display_name`, `language`, `env.NAME`, ..."""
    stale: Mapping[str, str] | UnsetType = UNSET
    """Other kernels of the folder whose interpreter does not exist any more -> that interpreter."""

    denied: bool | UnsetType = UNSET
    python: bool | UnsetType = UNSET
    ipykernel: bool | UnsetType = UNSET


class JupyterKernel(StateModule[KernelState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Register an environment as a kernel of Jupyter, for one user or for all of a host.

    ```yaml
    - jupyter_kernel:
        name: nlp_train
        display_name: NLP training
        environment: nlp_train
        prefix: /opt/miniconda3
        scope: system
        stale: remove
    - jupyter_kernel: {name: summarize, python: /data/venvs/summarize/bin/python, scope: user}
    - jupyter_kernel: {name: nlp_old, scope: system, state: absent}
    ```

    A kernel starts the environment's `bin/python`: a new kernel gets the current generation, one that runs keeps its
    own. The environment needs `ipykernel` among its packages. Other kernels whose interpreter does not exist any more
    are told in what `register` gets (`stale`), or removed with `stale: remove`.
    """

    name: ClassVar[str] = "jupyter_kernel"

    kernel: Annotated[str, Meta(min_length=1)] = msgspec.field(name="name")
    """The kernel's name: lower-case letters, digits, '_', '-' and '.'."""
    scope: Literal["user", "system"] = "user"
    """For the user that the task runs as (`~/.local/share/jupyter`), or for all (`/usr/local/share/jupyter`)."""
    folder: str | None = None
    """Another folder of kernels instead, such as `/opt/jupyterhub/share/jupyter/kernels`."""
    display_name: str | None = None
    """What Jupyter shows; left out: `Python (NAME)`."""
    environment: str | None = None
    """An environment of Miniconda's, by name."""
    prefix: str | None = None
    """Where Miniconda is; needed with `environment`."""
    python: str | None = None
    """Another interpreter on the host, a virtualenv's for example."""
    argv: tuple[str, ...] | None = None
    """The whole command, for kernels that are not ipykernel; `{connection_file}` in it is Jupyter's."""
    language: str = "python"
    """The language of its notebooks."""
    env: dict[str, str] | None = None
    """Variables that the kernel gets. Whoever can use it can read them."""
    state: Literal["present", "absent"] = "present"
    """Whether the kernel should be there."""
    stale: Literal["report", "remove", "ignore"] = "report"
    """What to do about other kernels of the folder whose interpreter does not exist any more."""

    def __post_init__(self) -> None:
        """Refuse what Jupyter could not use."""
        if not _NAME.fullmatch(self.kernel):
            raise ValueError(
                f"'name' is of lower-case letters, digits, '_', '-' and '.' in Jupyter, not '{self.kernel}'"
            )
        if (self.environment is None) != (self.prefix is None):
            raise ValueError("'environment' and 'prefix' go together: prefix/envs/environment/bin/python")
        ways = [each for each in (self.environment, self.python, self.argv) if each is not None]
        if self.state == "present" and len(ways) != 1:
            raise ValueError("one of 'environment', 'python' and 'argv' is needed, and only one: what the kernel runs")
        if self.argv is not None and not any("{connection_file}" in word for word in self.argv):
            raise ValueError("'argv' must have {connection_file} in it, which Jupyter fills in")
        for argument, path in (("folder", self.folder), ("prefix", self.prefix), ("python", self.python)):
            if path is not None:
                check_path(path)
                if re.search(r"[|\n]", path) or (path.startswith("~") and argument != "folder"):
                    raise ValueError(f"'{argument}' must be an absolute path, not '{path}'")
        if self.environment is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.environment):
            raise ValueError(f"'environment' is a name of letters, digits, '_', '.' and '-', not '{self.environment}'")

    def resolve(self, controller: Controller) -> PreparedKernel:
        """Return the module, which in check mode expects no interpreter to be there yet."""
        return PreparedKernel(
            **{each: getattr(self, each) for each in JupyterKernel.__struct_fields__}, check_mode=controller.check_mode
        )


class PreparedKernel(JupyterKernel, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A jupyter_kernel task, and whether it only looks."""

    check_mode: bool

    def places(self) -> tuple[Place, ...]:
        """Return the kernel."""
        return (Place("kernel", f"{self._folder}/{self.kernel}"),)

    def observe(self) -> Lookup[KernelState | None]:
        """Ask for the kernel and, unless they do not matter, for all others of its folder."""
        others = "-" if self.stale == "ignore" else "all"
        return Lookup(_SCRIPT, _parse, f"{self._folder}|{self.kernel}|{self._python or ''}|{others}")

    def desired(self, found: KernelState | None) -> KernelState:
        """Return the kernel that should be there.

        Raises:
            TaskFailed: it could not start: no interpreter, or no ipykernel for it; or the folder may not be looked at.
        """
        assert found is not None  # parse always gives a state
        if found.denied is True:
            raise TaskFailed(f"no permission to look into {self._folder}: does the task need 'become: true'?")
        stale: Mapping[str, str] | UnsetType = {} if self.stale == "remove" else UNSET
        if self.state == "absent":
            return KernelState(present=False, stale=stale)
        if self._python is not None and not self.check_mode:
            if found.python is not True:
                raise TaskFailed(f"there is no {self._python}: a task before this one must make it")
            if found.ipykernel is not True and self.environment is not None:
                raise TaskFailed(f"{self.environment} has no ipykernel: add it to the environment's spec")
        return KernelState(present=True, kernel=_flat(self._document()), stale=stale)

    def converge(self, diff: Diff[KernelState]) -> Iterator[Step]:
        """Write or remove kernel.json; remove stale kernels."""
        place = f"{self._folder}/{self.kernel}"
        if self.state == "absent":
            if diff.touches("present"):
                yield Run(f"rm -rf -- {quoted(place)}")
        elif diff.touches("present", "kernel"):
            data = json.dumps(self._document(), indent=1, ensure_ascii=False).encode() + b"\n"
            yield Run(f"umask 022; mkdir -p -- {quoted(place)}")
            yield Send(data, f"{place}/kernel.json", mode=0o644)
        for each in diff.differences:
            if each.key.startswith("stale."):
                name = each.key.removeprefix("stale.")
                yield Run(f"rm -rf -- {quoted(f'{self._folder}/{name}')}")

    def returns(self, found: KernelState | None) -> Mapping[str, Value]:
        """Return where the kernel is, and the names of stale ones."""
        stale = found.stale if found is not None and isinstance(found.stale, Mapping) else {}
        return {"path": f"{self._folder}/{self.kernel}", "stale": list(stale)}

    @property
    def _folder(self) -> str:
        return (self.folder or _FOLDERS[self.scope]).rstrip("/")

    @property
    def _python(self) -> str | None:
        return f"{self.prefix}/envs/{self.environment}/bin/python" if self.environment is not None else self.python

    def _document(self) -> dict[str, Value]:
        """Return what kernel.json says; https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs ."""
        argv = self.argv or (str(self._python), *_IPYKERNEL)
        document: dict[str, Value] = {
            "argv": list(argv),
            "display_name": self.display_name or f"{self.language.capitalize()} ({self.environment or self.kernel})",
            "language": self.language,
        }
        if self.argv is None:
            document["metadata"] = {"debugger": True}  # as 'ipykernel install' writes it
        if self.env:
            document["env"] = {name: str(value) for name, value in self.env.items()}
        return document


def _parse(completed: Completed) -> dict[str, KernelState]:
    """Read the script's answer: subject -> state.

    Raises:
        ValueError: it is no such answer.
    """
    answers = by_subject(completed, "kernels", bars=3)
    return {subject: _state(subject.split("|")[1], answer) for subject, answer in answers.items()}


def _state(wanted: str, answer: list[tuple[str, str]]) -> KernelState:
    kernel: Mapping[str, Leaf] = {}
    stale: dict[str, str] = {}
    name, argv = "", ""
    for key, value in answer:
        if key == "kernel":
            name = value
        elif key == "text":
            read = _read(value)
            words = read.get("argv")
            argv = str(words[0]) if isinstance(words, tuple) and words else ""
            if name == wanted:
                kernel = read
        elif key == "gone" and name != wanted and value == argv and re.fullmatch(_NAME, name.lower()):
            stale[name] = value
    told = {key for key, _ in answer}
    return KernelState(
        present="present" in told,
        kernel=kernel,
        stale=stale,
        denied="denied" in told,
        python="python" in told,
        ipykernel="ipykernel" in told,
    )


def _read(text: str) -> dict[str, Leaf]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {_NOT_JSON: True}
    return _flat(cast("dict[str, Value]", document)) if isinstance(document, dict) else {_NOT_JSON: True}


def _flat(document: Mapping[str, Value]) -> dict[str, Leaf]:
    """Return a kernel.json key by key: lists as tuples, variables each by name, other mappings as sorted JSON."""
    result: dict[str, Leaf] = {}
    for key, value in document.items():
        if key == "env" and isinstance(value, dict):
            result |= {f"env.{name}": str(each) for name, each in value.items()}
        elif isinstance(value, list):
            result[key] = tuple(str(each) for each in value)
        elif isinstance(value, bool | int | float | str):
            result[key] = value
        else:
            result[key] = json.dumps(value, sort_keys=True)
    return result
