"""`user`: accounts of a host."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import msgspec

from fleetenv.errors import TaskFailed
from fleetenv.modules.accounts import check_name
from fleetenv.modules.base import StateModule
from fleetenv.remote import Completed, Lookup, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, State, UnsetType

_LOOK = r"""printf '%s\0' "$@"; printf '\0'
getent passwd -- "$@"
printf '\0'
for u do if m=$(id -nG -- "$u" 2>/dev/null); then printf '%s:%s:%s\n' "$u" "$(id -ng -- "$u")" "$m"; fi; done
printf '\0'
getent shadow -- "$@" 2>/dev/null
:"""


class UserState(State, frozen=True, kw_only=True):
    """An account. `password` is a short hash of the encrypted password: enough to see whether it is the wanted one."""

    uid: int | UnsetType = UNSET
    group: str | UnsetType = UNSET
    groups: tuple[str, ...] | UnsetType = UNSET  # sorted, without the primary one
    comment: str | UnsetType = UNSET
    home: str | UnsetType = UNSET
    shell: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    locked: bool | UnsetType = UNSET


class User(StateModule[UserState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep an account on the host.

    ```yaml
    - user: {name: ana, uid: 2001, groups: [research, docker], append: true, shell: /bin/bash}
    - user: {name: left, state: absent, remove: true}
    ```
    """

    name: ClassVar[str] = "user"
    synonyms: ClassVar[Mapping[str, str]] = {"user": "name", "createhome": "create_home"}

    login: str = msgspec.field(name="name")
    """The user."""
    uid: int | None = None
    """Its number."""
    group: str | UnsetType = UNSET
    """Its primary group, by name; it must be there."""
    groups: tuple[str, ...] | UnsetType = UNSET
    """Other groups: exactly these, or with `append` at least these. An empty list: none."""
    append: bool = False
    """Leave the user in groups that the task does not name."""
    comment: str | UnsetType = UNSET
    """The full name (GECOS)."""
    home: str | UnsetType = UNSET
    """The home folder."""
    create_home: bool = True
    """Make the home folder of a new user."""
    move_home: bool = False
    """Move the home folder's content when `home` changes."""
    shell: str | UnsetType = UNSET
    """The login shell."""
    password: str | UnsetType = UNSET
    """The encrypted password, as in /etc/shadow (`openssl passwd -6`); `!` or `*` for none."""
    update_password: Literal["always", "on_create"] = "always"  # noqa: S105  # when, not what
    """Whether the password of a user who is there is changed, too."""
    password_lock: bool | UnsetType = UNSET
    """Lock or unlock the password."""
    state: Literal["present", "absent"] = "present"
    """Whether it should be there."""
    system: bool = False
    """Make it with a number from those for system users."""
    non_unique: bool = False
    """Let `uid` be one that another user has, too."""
    remove: bool = False
    """With `absent`: remove the home folder and mail, too."""
    force: bool = False
    """With `absent`: even while the user is logged in."""

    def __post_init__(self) -> None:
        check_name(self.login)
        for text in (self.comment, self.home, self.shell, self.password):
            if isinstance(text, str) and any(mark in text for mark in ":\n\0"):
                raise ValueError("comment, home, shell and password cannot hold ':' or a newline")
        if (
            isinstance(self.password, str)
            and self.password
            and self.password[0] not in "$!*"
            and len(self.password) < 13
        ):
            raise ValueError("'password' must be encrypted, as from 'openssl passwd -6' or the filter password_hash")

    def observe(self) -> Lookup[UserState | None]:
        """Ask getent and id."""
        return Lookup(_LOOK, _parse, self.login)

    def desired(self, found: UserState | None) -> UserState | None:
        """Return the account as the task says; what it does not say is not compared."""
        if self.state == "absent":
            return None
        groups = self.groups
        if not isinstance(groups, UnsetType):
            kept = found.groups if self.append and found is not None and isinstance(found.groups, tuple) else ()
            primary = found.group if found is not None and isinstance(self.group, UnsetType) else self.group
            groups = tuple(sorted({*groups, *kept} - {primary} if isinstance(primary, str) else {*groups, *kept}))
        password: str | UnsetType = UNSET
        if isinstance(self.password, str) and (found is None or self.update_password == "always"):  # noqa: S105  # when, not what
            if found is not None and isinstance(found.password, UnsetType):
                raise TaskFailed("no permission to look at /etc/shadow: does the task need 'become: true'?")
            password = _fingerprint(self.password)
        return UserState(
            uid=UNSET if self.uid is None else self.uid,
            group=self.group,
            groups=groups,
            comment=self.comment,
            home=self.home,
            shell=self.shell,
            password=password,
            locked=self.password_lock,
        )

    def converge(self, diff: Diff[UserState]) -> Iterator[Step]:
        """Add, change or remove the account; its password travels on standard input."""
        if diff.wanted is None:
            options = [option for option, wanted in (("-r", self.remove), ("-f", self.force)) if wanted]
            yield Run(sh("userdel", *options, self.login))
            return
        options = self._options(diff)
        if diff.found is None:
            new = ["-r"] if self.system else []
            yield Run(sh("useradd", *new, "-m" if self.create_home else "-M", *options, self.login))
        elif options:
            yield Run(sh("usermod", *options, self.login))
        if diff.touches("password"):
            yield Run("chpasswd -e", stdin=f"{self.login}:{self.password}\n".encode())
        if diff.touches("locked") and not (diff.found is None and self.password_lock is False):
            yield Run(sh("usermod", "-L" if self.password_lock else "-U", self.login))

    def returns(self, found: UserState | None) -> Mapping[str, Value]:
        """Return Ansible's keys, without the password."""
        keys: dict[str, Value] = {"name": self.login, "state": self.state}
        for name in ("uid", "group", "comment", "home", "shell"):
            value = getattr(found, name, UNSET)
            if value is not UNSET:
                keys[name] = value
        if found is not None and isinstance(found.groups, tuple):
            keys["groups"] = ",".join(found.groups)
        return keys

    def _options(self, diff: Diff[UserState]) -> list[str]:
        wanted = diff.wanted
        assert wanted is not None
        options: list[str] = []
        if diff.touches("uid"):
            options += ["-u", str(wanted.uid), *(["-o"] if self.non_unique else [])]
        for field, option in (("group", "-g"), ("comment", "-c"), ("home", "-d"), ("shell", "-s")):
            if diff.touches(field):
                options += [option, str(getattr(wanted, field))]
        if diff.touches("home") and self.move_home and diff.found is not None:
            options.append("-m")
        if diff.touches("groups") and isinstance(wanted.groups, tuple):
            options += ["-G", ",".join(wanted.groups)]
        return options


def _fingerprint(encrypted: str) -> str:
    """Too short to guess a password from, long enough to tell two apart."""
    return hashlib.sha256(encrypted.encode()).hexdigest()[:8]


def _parse(completed: Completed) -> Mapping[str, UserState | None]:
    names, _, rest = completed.text.partition("\0\0")
    accounts, members, shadow, *_ = [*rest.split("\0"), "", ""]
    groups = {fields[0]: (fields[1], fields[2]) for line in members.splitlines() if len(fields := line.split(":")) == 3}
    secrets = {fields[0]: fields[1] for line in shadow.splitlines() if len(fields := line.split(":")) > 1}
    found = {}
    for line in accounts.splitlines():
        fields = line.split(":")
        if len(fields) != 7:
            raise ValueError(f"no line of passwd: {line[:80]!r}")
        primary, every = groups.get(fields[0], ("", ""))
        secret = secrets.get(fields[0])
        found[fields[0]] = UserState(
            uid=int(fields[2]),
            group=primary or fields[3],
            groups=tuple(sorted(set(every.split()) - {primary})),
            comment=fields[4],
            home=fields[5],
            shell=fields[6],
            password=UNSET if secret is None else _fingerprint(secret),
            locked=UNSET if secret is None else secret.startswith("!"),
        )
    return {name: found.get(name) for name in names.split("\0")}
