"""Which modules there are, by name. Only those that a playbook uses are imported."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import NamedTuple, cast

from fleetenv.errors import InputError, Location, nearest
from fleetenv.modules import arguments as _arguments
from fleetenv.modules.arguments import Argument
from fleetenv.modules.base import Module
from fleetenv.source import SourceMap, Value


class Entry(NamedTuple):
    """Where a module's class is, and which argument takes a task's plain text."""

    file: str  # below fleetenv.modules
    type: str
    free_form: str | None = None


MODULES: Mapping[str, Entry] = {
    "apt": Entry("package", "Apt"),
    "assert": Entry("assertion", "Assert"),
    "command": Entry("command", "Command", "cmd"),
    "conda_env": Entry("conda_env", "CondaEnv"),
    "condarc": Entry("condarc", "Condarc"),
    "copy": Entry("copy", "Copy"),
    "debug": Entry("debug", "Debug"),
    "fail": Entry("fail", "Fail"),
    "file": Entry("file", "File"),
    "gather_facts": Entry("setup", "Setup"),
    "gpu_driver": Entry("gpu_driver", "GpuDriver"),
    "gpu_settings": Entry("gpu_settings", "GpuSettings"),
    "group": Entry("group", "Group"),
    "include_vars": Entry("include_vars", "IncludeVars", "file"),
    "jupyter_kernel": Entry("jupyter_kernel", "JupyterKernel"),
    "meta": Entry("meta", "Meta", "action"),
    "miniconda": Entry("miniconda", "Miniconda"),
    "package": Entry("package", "Package"),
    "ping": Entry("ping", "Ping"),
    "pip_conf": Entry("pip_conf", "PipConf"),
    "set_fact": Entry("set_fact", "SetFact"),
    "setup": Entry("setup", "Setup"),
    "shell": Entry("command", "Shell", "cmd"),
    "stat": Entry("stat", "Stat"),
    "template": Entry("template", "Template"),
    "user": Entry("user", "User"),
    "virtualenv": Entry("virtualenv", "Virtualenv"),
}
"""All modules that a task can name, `ansible.builtin.NAME` being the same as `NAME`."""

_NOT_YET: Mapping[str, str] = {
    "add_host": "write the hosts into the inventory",
    "apt_key": "use 'copy' into /etc/apt/keyrings",
    "apt_repository": "use 'copy' or 'template' into /etc/apt/sources.list.d",
    "assemble": "use 'template'",
    "async_status": "long tasks are waited for: 'timeout' bounds them",
    "blockinfile": "use 'template' for the whole file",
    "cron": "use 'copy' into /etc/cron.d",
    "deb822_repository": "use 'copy' into /etc/apt/sources.list.d",
    "debconf": "use 'shell' with debconf-set-selections",
    "dnf": "use 'package'",
    "dnf5": "use 'package'",
    "dpkg_selections": "use 'command: apt-mark hold NAME'",
    "expect": "use 'command' with 'stdin'",
    "fetch": "use 'command: cat PATH' with 'register'",
    "find": "use 'command: find ...' with 'register' and 'changed_when: false'",
    "get_url": "use 'copy' from the controller, or 'command: curl ...' with 'creates'",
    "getent": "use 'command: getent ...' with 'register' and 'changed_when: false'",
    "git": "use 'command: git ...' with 'creates'",
    "group_by": "use 'when'",
    "hostname": "use 'command: hostnamectl set-hostname NAME'",
    "iptables": "use 'command'",
    "known_hosts": "use 'copy' into /etc/ssh/ssh_known_hosts",
    "lineinfile": "use 'template' for the whole file, or 'copy' into a .d folder",
    "mount_facts": "use 'setup'",
    "package_facts": "use 'command: dpkg-query -W' with 'register' and 'changed_when: false'",
    "pause": "use 'until' with 'retries' and 'delay'",
    "pip": "write the packages into the pip section of an environment for 'conda_env', or use 'virtualenv'",
    "raw": "use 'shell': it needs nothing on the host but sh",
    "reboot": "reboot by hand, then run the playbook again",
    "replace": "use 'template' for the whole file",
    "rpm_key": "use 'command: rpm --import ...'",
    "script": "use 'copy' and 'command'",
    "service": "use 'command: systemctl ...'",
    "service_facts": "use 'command: systemctl ...' with 'register' and 'changed_when: false'",
    "set_stats": "use 'set_fact'",
    "slurp": "use 'command: cat PATH' with 'register' and 'changed_when: false'",
    "subversion": "use 'command: svn ...' with 'creates'",
    "systemd": "use 'command: systemctl ...'",
    "systemd_service": "use 'command: systemctl ...'",
    "sysvinit": "use 'command: service ...'",
    "tempfile": "use 'command: mktemp' with 'register'",
    "unarchive": "use 'copy' and 'command: tar ...' with 'creates'",
    "uri": "use 'command: curl ...' with 'register'",
    "validate_argument_spec": "use 'assert'",
    "wait_for": "use 'command' with 'until'",
    "wait_for_connection": "use 'ping' with 'until'",
    "yum": "use 'package'",
    "yum_repository": "use 'copy' into /etc/yum.repos.d",
}
"""ansible.builtin's modules that are not here yet -> what serves until then."""

_PREFIXES = ("ansible.builtin.", "ansible.legacy.")


def canonical(name: str) -> str:
    """Return a module's short name: without `ansible.builtin.` before it."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def free_form(name: str) -> str | None:
    """Return the argument that takes a task's plain text, if the module has one; imports nothing."""
    entry = MODULES.get(canonical(name))
    return entry.free_form if entry else None


def unknown_module(name: str, location: Location | None = None) -> InputError:
    """Return the error for a name that is no module: what is nearest, or what to use until Ansible's is here."""
    short = canonical(name)
    if short in _NOT_YET:
        return InputError(f"the module '{short}' is not here yet", location=location, hint=_NOT_YET[short])
    hint = nearest(short, MODULES) or "'fleetenv doc' lists the modules"
    return InputError(f"there is no module '{name}'", location=location, hint=hint)


def load(name: str, location: Location | None = None) -> type[Module]:
    """Import a module's class.

    Raises:
        InputError: there is no such module; `location` is where a task names it.
    """
    entry = MODULES.get(canonical(name))
    if entry is None:
        raise unknown_module(name, location)
    return _imported(entry)


@cache
def _imported(entry: Entry) -> type[Module]:
    found = getattr(import_module(f"fleetenv.modules.{entry.file}"), entry.type)
    return cast("type[Module]", found)


def arguments_of(name: str) -> Mapping[str, Argument]:
    """Return the arguments of a module, with their types and defaults."""
    return _arguments.arguments_of(load(name))


def check_arguments(name: str, arguments: SourceMap) -> None:
    """Check a task's arguments as written, before any host is touched; values with templates in them are let pass.

    Raises:
        InputError: an argument is unknown, missing, or not of its type; it names file, line and column.
    """
    _arguments.check(load(name, arguments.location), arguments)


def build(name: str, arguments: Mapping[str, Value], location: Location | None = None) -> Module:
    """Make a module from rendered arguments; one that is to be omitted is not among them.

    Raises:
        InputError: an argument is unknown, missing, or not of its type. It names the place of the argument when
            `arguments` is a [`SourceMap`][], else `location`.
    """
    return _arguments.build(load(name, location), arguments, location)
