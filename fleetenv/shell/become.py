"""Becoming another user: the command that starts the other user's shell, and what goes wrong with it. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

from fleetenv.errors import InputError
from fleetenv.remote import sh
from fleetenv.shell.message import start

METHODS = ("sudo", "su", "doas")

READY = "fleetenv-ready"
"""Printed before the shell reads, when a password may be asked for: until then nothing but the password is sent."""


class Become(Struct, frozen=True):
    """Whom to become on the host, and how."""

    user: str = "root"
    method: str = "sudo"
    password: str | None = None
    program: str | None = None  # where sudo, su or doas is; None: found on PATH

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"the become method '{self.method}' is not supported", hint=f"one of {', '.join(METHODS)}")
        if not self.user or self.user.startswith("-") or "\0" in self.user:
            raise InputError(f"'{self.user}' cannot be the name of a user to become")
        if self.method == "doas" and self.password is not None:
            raise InputError("doas asks for a password only on a terminal", hint="use 'nopass' in doas.conf, or sudo")

    def __repr__(self) -> str:
        return f"Become({self.user!r}, {self.method!r})"  # without the password

    @property
    def asks(self) -> bool:
        """Whether the program may ask for a password, so that nothing is sent before it has or has not."""
        return self.password is not None

    def command(self, prompt: str, shell: str = "sh", *, feeds: bool = True) -> str:
        """Return the command that starts the shell, as [`start`][] has it; `prompt` is what sudo will ask with."""
        program = self.program or self.method
        inner = start(shell, feeds=feeds, said=READY if self.asks else None)
        if self.method == "su":
            return f"exec {sh(program, self.user, '-s', '/bin/sh', '-c', f'exec {sh(*inner)}')}"
        if self.method == "doas":
            return f"exec {sh(program, '-n', '-u', self.user, '--', *inner)}"
        how = ["-S", "-p", prompt] if self.asks else ["-n"]
        return f"exec {sh(program, '-H', *how, '-u', self.user, '--', *inner)}"

    def asked(self, stderr: bytes, prompt: str) -> int:
        """Return how many times the program has asked for the password in this text."""
        if self.method == "su":
            return len(_SU_PROMPT.findall(stderr))
        return stderr.count(prompt.encode())

    def why_not(self, said: str, *, answered: bool) -> str:
        """Return one line about why the user could not be become; `said` is what the program printed."""
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        whom = f"cannot become {self.user} with {self.method}"
        for sign, reason in _REASONS:
            if re.search(sign, said, re.IGNORECASE):
                return f"{whom}: {reason}"
        if answered:
            return f"{whom}: the become password is wrong"
        return f"{whom}: {lines[-1][:300]}" if lines else f"{whom}: it ended without a word"


_SU_PROMPT = re.compile(rb"^[^\n]{1,40}(?::|\xef\xbc\x9a) ?\Z", re.MULTILINE)  # in any language, not ended by a newline

_REASONS = (
    (r"incorrect password|authentication failure|sorry, try again", "the become password is wrong"),
    (
        r"a password is required|no password was provided",
        "a password is needed; give -K or set ansible_become_password",
    ),
    (
        r"not in the sudoers file|is not allowed to (run|execute)|may not run sudo|operation not permitted",
        "the host does not permit it to this user",
    ),
    (r"must have a tty", "sudo wants a terminal; remove 'requiretty' from sudoers for this user"),
    (r"unknown user|does not exist|no passwd entry", "there is no such user on the host"),
    (r"not found|no such file", "it is not installed on the host"),
)
