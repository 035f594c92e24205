"""`command` and `shell`: what has no module of its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator
from datetime import datetime
from functools import lru_cache
from typing import ClassVar

from msgspec.structs import replace

from fleetenv.modules.base import ActionModule, Outcome
from fleetenv.modules.hostpath import quoted
from fleetenv.remote import Completed, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, UnsetType

_FAILED = "non-zero return code"  # Ansible's words, for playbooks that look at them
_IN_CHECK_MODE = "Command would have run if not in check mode"
_GOES_ON = "runs"  # the first line that a host says which has looked at `creates` and `removes`; or one of these two
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


class _Command(ActionModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `command` and `shell` share."""

    one_step: ClassVar[bool] = True

    cmd: str | UnsetType = UNSET
    """The command. It is what a task's plain text means, too."""
    chdir: str | UnsetType = UNSET
    """The folder on the host to run in."""
    creates: str | UnsetType = UNSET
    """A file on the host, or a pattern: if it is there already, nothing is run."""
    removes: str | UnsetType = UNSET
    """A file on the host, or a pattern: unless it is there, nothing is run."""
    stdin: str | UnsetType = UNSET
    """What the command reads: the right way for secrets, which other users of the host could see among arguments."""
    stdin_add_newline: bool = True
    """End `stdin` with a newline."""
    strip_empty_ends: bool = True
    """Remove newlines from the end of what was printed."""

    def __post_init__(self) -> None:
        """Refuse what cannot be said in sh."""
        texts = (self.cmd, self.chdir, self.creates, self.removes)
        if any("\0" in text for text in texts if isinstance(text, str)):
            raise ValueError("a command cannot hold a NUL character")

    def script(self) -> str:
        """Return the sh text that runs the command."""
        raise NotImplementedError

    def shown(self) -> Value:
        """Return `cmd` as it is registered."""
        raise NotImplementedError

    def act(self, *, check: bool) -> Generator[Step, Completed, Outcome]:
        """Run it, unless `creates` or `removes` say that it was done; never in check mode."""
        reasons = self._reasons()
        guard = "".join(f"if {test}; then echo {word}; exit; fi\n" for word, (test, _) in reasons.items())
        guard += f"echo {_GOES_ON}\n" if guard else ""
        if check and not guard:
            return Outcome(skipped=True, msg=_IN_CHECK_MODE, values=self._not_run())
        begun = datetime.now()
        done = yield Run(self._placed(guard if check else guard + self.script()), stdin=b"" if check else self._stdin())
        ended = datetime.now()
        times: dict[str, Value] = {"start": str(begun), "end": str(ended), "delta": str(ended - begun)}
        word, _, rest = done.stdout.partition(b"\n") if guard else (b"", b"", done.stdout)
        if done.status == 0 and (found := reasons.get(word.decode("ascii", "replace"))):
            told = f"skipped, since {found[1]}"
            return Outcome(msg=found[1], values=self._not_run() | {"stdout": told, "stdout_lines": [told]})
        if check:
            return Outcome(changed=True, msg=_IN_CHECK_MODE, values=self._not_run())
        return self._outcome(replace(done, stdout=rest), times)

    def _not_run(self) -> dict[str, Value]:
        """Return what is registered of a command that was not run."""
        return {"cmd": self.shown(), "rc": 0, "stdout": "", "stderr": "", "stdout_lines": [], "stderr_lines": []}

    def _reasons(self) -> dict[str, tuple[str, str]]:
        """Return why it may not be run: by the word that the host says, the test for it and the reason."""
        reasons = {}
        if isinstance(self.creates, str):
            reasons["creates"] = (_any_of(self.creates), f"{self.creates} exists")
        if isinstance(self.removes, str):
            reasons["removes"] = (f"! {_any_of(self.removes)}", f"{self.removes} does not exist")
        return reasons

    def _placed(self, script: str) -> str:
        return script if isinstance(self.chdir, UnsetType) else f"cd -- {quoted(self.chdir)} || exit\n{script}"

    def _stdin(self) -> bytes:
        if isinstance(self.stdin, UnsetType):
            return b""
        return (self.stdin + ("\n" if self.stdin_add_newline else "")).encode("utf-8", "surrogateescape")

    def _outcome(self, done: Completed, times: dict[str, Value]) -> Outcome:
        stdout, stderr = done.text, done.error_text
        if self.strip_empty_ends:
            stdout, stderr = stdout.rstrip("\r\n"), stderr.rstrip("\r\n")
        values: dict[str, Value] = {
            "cmd": self.shown(),
            "rc": done.status,
            "stdout": stdout,
            "stdout_lines": list(stdout.splitlines()),
            "stderr": stderr,
            "stderr_lines": list(stderr.splitlines()),
            **times,
        }
        if done.status == 0:
            return Outcome(changed=True, values=values | {"msg": ""})
        ran = done.status not in (126, 127)  # sh's word for a program that cannot be started
        why = (stderr or stdout).strip().splitlines()[-1:]
        msg = ": ".join([f"exit status {done.status}", *why])
        return Outcome(changed=True, failed=True, msg=msg[:1000], values=values | {"msg": _FAILED, "changed": ran})


class Command(_Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Run a program on the host, without a shell between: no pipes, no globs, no `&&`.

    ```yaml
    - command: nvidia-smi -pm 1
    - command: {argv: [tar, xf, /tmp/data.tar], chdir: /data, creates: /data/train}
    ```

    `$VARIABLE` and `~` in its words are those of the host. A secret belongs into `stdin`.
    """

    name: ClassVar[str] = "command"
    free_form: ClassVar[str | None] = "cmd"

    argv: tuple[str, ...] | UnsetType = UNSET
    """The program and its arguments, one by one, instead of `cmd`."""
    expand_argument_vars: bool = True
    """Let `$VARIABLE` stand for the host's variable."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.cmd, UnsetType) == isinstance(self.argv, UnsetType):
            raise ValueError("one of 'cmd' and 'argv' is needed, and only one")
        if not self.words():
            raise ValueError("no command is given")
        if any("\0" in word for word in self.words()):
            raise ValueError("a command cannot hold a NUL character")

    def words(self) -> tuple[str, ...]:
        """Return the program and its arguments."""
        if not isinstance(self.argv, UnsetType):
            return self.argv
        assert isinstance(self.cmd, str)
        try:
            return _split(self.cmd)
        except ValueError as error:
            raise ValueError(f"'cmd' cannot be split into words: {error}") from error

    def script(self) -> str:
        """Return the words, each quoted for sh."""
        line = " ".join(_expanding(word) if self.expand_argument_vars else sh(word) for word in self.words())
        return f"exec {line}"

    def shown(self) -> Value:
        """Return the words."""
        return list(self.words())


class Shell(_Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Run a command line on the host by its shell.

    ```yaml
    - shell: nvidia-smi --query-gpu=uuid --format=csv,noheader | sort > /var/lib/gpus
      args: {creates: /var/lib/gpus}
    ```
    """

    name: ClassVar[str] = "shell"
    free_form: ClassVar[str | None] = "cmd"

    executable: str = "/bin/sh"
    """The shell, by its full path: `/bin/bash` where its own syntax is needed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.cmd, UnsetType):
            raise ValueError("'shell' needs the argument 'cmd'")

    def script(self) -> str:
        """Return the line as the argument of a shell of its own."""
        return f"exec {sh(self.executable, '-c', str(self.cmd))}"

    def shown(self) -> Value:
        """Return the line."""
        return str(self.cmd)


@lru_cache(maxsize=1024)
def _split(line: str) -> tuple[str, ...]:
    return tuple(shlex.split(line))


def _expanding(word: str) -> str:
    """Quote a word, except that `$NAME`, `${NAME}` and a leading `~/` mean what they do on the host, if anything."""
    lead = ""
    if word == "~" or word.startswith("~/"):
        lead, word = '"$HOME"', word[1:]
    parts, at = [], 0
    for match in _VARIABLE.finditer(word):
        parts.append(sh(word[at : match.start()]) if match.start() > at else "")
        unset = match[0].replace("$", "\\$").replace("}", "\\}")
        parts.append(f'"${{{match[1] or match[2]}-{unset}}}"')
        at = match.end()
    parts.append(sh(word[at:]) if word[at:] or not (lead or at) else "")
    return lead + "".join(parts)


def _any_of(pattern: str) -> str:
    """Return a test whether any file matches; only `*`, `?` and `[...]` are special."""
    pieces = re.split(r"([*?]|\[[^]/]+\])", pattern)
    glob = "".join(
        piece if index % 2 else quoted(piece) if index == 0 else sh(piece)
        for index, piece in enumerate(pieces)
        if piece
    )
    look = f'for fe_i in {glob}; do if [ -e "$fe_i" ] || [ -L "$fe_i" ]; then fe_f=1; break; fi; done'
    return f'{{ fe_f=; {look}; [ "$fe_f" ]; }}'
