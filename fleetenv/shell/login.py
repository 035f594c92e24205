"""Logging in over asyncssh: is this the host, and how does the user prove who it is."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import asyncssh

from fleetenv.errors import HostError, Unreachable
from fleetenv.shell.first_key import signs_at_once
from fleetenv.shell.ssh_config import host_key_checking

if TYPE_CHECKING:
    from fleetenv.shell.keys import PrivateKey
    from fleetenv.shell.known_hosts import KnownHosts
    from fleetenv.shell.settings import Settings


class Login(asyncssh.SSHClient):
    """Answers asyncssh's questions while it logs in: is this the host, and how does the user prove who it is."""

    def __init__(
        self,
        settings: Settings,
        options: asyncssh.SSHClientConnectionOptions,
        known: KnownHosts,
        keys: list[PrivateKey],
        agent: str | None,
    ) -> None:
        self.settings = settings
        self.checking = host_key_checking(settings)
        self.options = options
        self.known = known
        self._keys = keys
        self._agent_path = agent
        self._agent: asyncssh.SSHAgentClient | None = None
        self._asked_password = self._asked_kbdint = False
        self._tried: list[str] = []
        self._refused: HostError | None = None  # why we broke the login off ourselves

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Be found by what logs in."""
        conn.set_extra_info(key_holder=self)

    def first_key(self) -> asyncssh.SSHKey | None:
        """Give the key to begin with, once; None: ask the host what it accepts."""
        if not self._keys or not signs_at_once(self._keys[0]):
            return None
        self._tried.append("private key")
        return cast(asyncssh.SSHKey, self._keys.pop(0))

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Accept a key that `known_hosts` does not have, or say why not."""
        line = " ".join(key.export_public_key().decode().split()[:2])
        if self.checking == "accept-new" and not self.known.has_key_of(host, addr, port):
            try:
                self.known.add(host, port, line)
            except HostError as error:
                self._refused = error
                return False
            return True
        self._refused = Unreachable(self.known.untrusted(host, addr, port, line, key.get_fingerprint()))
        return False

    async def public_key_auth_requested(self) -> Sequence[asyncssh.SSHKeyPair] | None:
        """Give the keys, then the agent's, then nothing more."""
        if self._keys:
            keys, self._keys = self._keys, []
            self._tried = ["private key"]
            return cast(Sequence[asyncssh.SSHKeyPair], keys)  # keys as such are taken, too
        if self._agent_path:
            path, self._agent_path = self._agent_path, None
            try:
                self._agent = await asyncssh.connect_agent(path)
                found = list(await self._agent.get_keys())
            except (OSError, ValueError):
                return None
            if found:
                self._tried.append("ssh-agent")
                return found
        return None

    def password_auth_requested(self) -> str | None:
        """Give the password, once."""
        if self.settings.password is None or self._asked_password:
            return None
        self._asked_password = True
        self._tried.append("password")
        return self.settings.password

    def kbdint_auth_requested(self) -> str | None:
        """Let the host ask, once: some take a password only in this way."""
        if self.settings.password is None or self._asked_kbdint:
            return None
        self._asked_kbdint = True
        return ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer one question with the password; more than one is no question for a password."""
        if len(prompts) > 1 or self.settings.password is None:
            return None
        if prompts:
            if self._asked_password:
                return None
            self._asked_password = True
            self._tried.append("password")
        return [self.settings.password] * len(prompts)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the agent."""
        if self._agent:
            self._agent.close()

    def why_not(self, error: Exception) -> HostError:
        """Return why this did not become a connection."""
        if self._refused:
            return type(self._refused)(f"{self.settings.place}: {self._refused}")
        return Unreachable(f"{self.settings.place}: {self._reason(error)}")

    def _reason(self, error: Exception) -> str:
        if isinstance(error, asyncssh.PermissionDenied):
            tried = ", ".join(self._tried) or "nothing: there is no key, no agent and no password"
            return f"login as {self.options.username} was refused (tried {tried})"
        if isinstance(error, socket.gaierror):
            return f"the name cannot be resolved ({error.strerror})"
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return f"its host key cannot be verified ({error.reason})"
        return reason(error)


def reason(error: Exception) -> str:
    """Return what went wrong with a connection, in a few words."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return str(getattr(error, "reason", "") or error or type(error).__name__)
