"""Executable inventories: programs that print JSON when called with `--list`, and perhaps `--host NAME`."""

from __future__ import annotations

import errno
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fleetenv.errors import InputError, Location
from fleetenv.inventory.draft import Draft
from fleetenv.source import SourceList, SourceMap, SourceText, Value


def read(path: Path, draft: Draft) -> bool:
    """Run an inventory program and add what it prints to the draft; False: it is no program, whatever its mode says.

    Raises:
        InputError: the program fails, or does not print an inventory.
    """
    try:
        answer = _ask(path, "--list")
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            return False
        raise InputError(f"cannot run the inventory program {path}: {error.strerror}") from error
    location = Location(f"'{path} --list'", 1, 1)
    described = answer.pop("_meta", None)
    hosts: dict[str, None] = {}
    for name, data in answer.items():
        hosts |= dict.fromkeys(_read_group(name, data, location, draft))
    hostvars = described.get("hostvars") if isinstance(described, dict) else None
    if hostvars is None:
        with ThreadPoolExecutor() as pool:
            hostvars = dict(zip(hosts, pool.map(lambda host: _ask(path, "--host", host), hosts), strict=True))
    if not isinstance(hostvars, dict):
        raise InputError("'hostvars' in '_meta' must be an object", location=location)
    for host in hosts:
        variables = hostvars.get(host) or {}
        if not isinstance(variables, dict):
            raise InputError(f"the variables of the host '{host}' must be an object", location=location)
        for key, value in variables.items():
            draft.set_host_variable(host, key, _located(value, location), location)
    return True


def _ask(path: Path, *arguments: str) -> dict[str, Value]:
    """Run the program; OSError only when it cannot be started."""
    call = " ".join((str(path), *arguments))
    done = subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InputError(f"'{call}' failed with exit status {done.returncode}" + (f": {said[-1]}" if said else ""))
    location = Location(f"'{call}'", 1, 1)
    if arguments[0] == "--host" and not done.stdout.strip():
        return {}
    try:
        answer = json.loads(done.stdout.decode("utf-8"))
    except json.JSONDecodeError as error:
        location = Location(f"'{call}'", error.lineno, error.colno)
        raise InputError(f"what it printed is not JSON: {error.msg}", location=location) from error
    except UnicodeDecodeError as error:
        raise InputError("what it printed is not UTF-8 text", location=location) from error
    if not isinstance(answer, dict):
        raise InputError("what it printed is not a JSON object", location=location)
    return answer


def _read_group(name: str, data: Value, location: Location, draft: Draft) -> list[str]:
    """Add one group; return the hosts that it names."""
    draft.add_group(name)
    if not isinstance(data, dict):
        data = {"hosts": data}  # the short form: a group that is a list of hosts
    elif not data.keys() & {"hosts", "vars", "children"}:
        # An old form: a host that is the only member of the group of its name. Its values are no templates in Ansible.
        data = {"hosts": [name], "vars": {key: _untemplated(value) for key, value in data.items()}}
    hosts = _names(data, "hosts", name, location)
    for host in hosts:
        draft.add_host(host, name)
    variables = data.get("vars") or {}
    if not isinstance(variables, dict):
        raise InputError(f"'vars' of the group '{name}' must be an object", location=location)
    for key, value in variables.items():
        draft.set_group_variable(name, key, _located(value, location), location)
    for child in _names(data, "children", name, location):
        draft.add_group(child)
        draft.add_child(name, child, location)
    return hosts


def _names(data: dict[str, Value], key: str, group: str, location: Location) -> list[str]:
    names = data.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"'{key}' of the group '{group}' must be a list of names", location=location)
    return [str(name) for name in names]


def _untemplated(value: Value) -> Value:
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, list):
        return [_untemplated(item) for item in value]
    if isinstance(value, dict):
        return {key: _untemplated(item) for key, item in value.items()}
    return value


def _located(value: Value, location: Location) -> Value:
    if isinstance(value, str):
        return SourceText(value, location)
    if isinstance(value, list):
        sequence = SourceList(location)
        sequence.extend(_located(item, location) for item in value)
        sequence.items_at = [location] * len(sequence)
        return sequence
    if isinstance(value, dict):
        if value.keys() == {"__ansible_unsafe"}:
            return str(value["__ansible_unsafe"])  # Ansible's mark for text that must not be evaluated
        if value.keys() == {"__ansible_vault"}:
            raise InputError("a value encrypted by ansible-vault is not supported yet", location=location)
        mapping = SourceMap(location)
        for key, item in value.items():
            mapping[key] = _located(item, location)
            mapping.keys_at[key] = mapping.values_at[key] = location
        return mapping
    return value
