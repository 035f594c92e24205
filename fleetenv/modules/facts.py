"""What `setup` asks a host, and how its answer is read. Few programs are started: most comes from files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_interface

from fleetenv.remote import Completed, on_host
from fleetenv.source import Value

SCRIPT = on_host("facts.sh")

_FAMILIES = {
    "debian": "Debian",
    "ubuntu": "Debian",
    "linuxmint": "Debian",
    "raspbian": "Debian",
    "kali": "Debian",
    "rhel": "RedHat",
    "centos": "RedHat",
    "fedora": "RedHat",
    "rocky": "RedHat",
    "almalinux": "RedHat",
    "ol": "RedHat",
    "amzn": "RedHat",
    "opensuse-leap": "Suse",
    "opensuse-tumbleweed": "Suse",
    "sles": "Suse",
    "arch": "Archlinux",
    "alpine": "Alpine",
}
_NAMES = {
    "debian": "Debian",
    "ubuntu": "Ubuntu",
    "rhel": "RedHat",
    "centos": "CentOS",
    "fedora": "Fedora",
    "rocky": "Rocky",
    "almalinux": "AlmaLinux",
    "ol": "OracleLinux",
    "amzn": "Amazon",
    "opensuse-leap": "openSUSE Leap",
    "opensuse-tumbleweed": "openSUSE Tumbleweed",
    "sles": "SLES",
    "arch": "Archlinux",
    "alpine": "Alpine",
}
_INITS = frozenset({"systemd", "openrc-init", "runit-init", "runsvdir", "s6-svscan", "upstart", "launchd"})
"""Programs that Ansible takes for service managers when they are process 1; with any other it is `service`."""

_MANAGERS = {"apt-get": "apt"}


def parse_facts(completed: Completed) -> dict[str, Value]:
    """Read the answer to [`SCRIPT`][] into facts, named without `ansible_`; what was not told is not there.

    Raises:
        ValueError: the answer is none.
    """
    text = completed.text
    head, marked, env = text.partition("\0env\0")
    fields = head.split("\0")
    told = dict(zip(fields[::2], (each.strip("\n") for each in fields[1::2]), strict=False))
    if not marked or "uname" not in told:
        raise ValueError("no answer about facts")
    facts: dict[str, Value] = {}
    for part in (_kernel, _distribution, _hardware, _network, _user, _time, _virtualization, _mounts):
        facts |= part(told)
    facts["env"] = {name: value for each in env.split("\0") if "=" in each for name, _, value in [each.partition("=")]}
    if told.get("python"):
        facts["python"] = {"executable": told["python"].splitlines()[0]}
    if told.get("manager"):
        facts["pkg_mgr"] = _MANAGERS.get(told["manager"], told["manager"])
    if told.get("init"):
        facts["service_mgr"] = told["init"] if told["init"] in _INITS else "service"
    selinux = {"0": "permissive", "1": "enforcing"}.get(told.get("selinux", ""))
    facts["selinux"] = {"status": "enabled", "mode": selinux} if selinux else {"status": "disabled"}
    facts["gather_subset"] = ["all"]
    return facts


def _kernel(told: Mapping[str, str]) -> dict[str, Value]:
    words = told["uname"].split()
    if len(words) < 5:
        raise ValueError("uname told too little")
    system, node, release, machine = words[0], words[1], words[2], words[-1]
    facts: dict[str, Value] = {
        "system": system,
        "kernel": release,
        "kernel_version": " ".join(words[3:-1]),
        "architecture": machine,
        "machine": machine,
        "userspace_bits": "64" if "64" in machine else "32",
        "nodename": node,
        "hostname": node.partition(".")[0],
        "fqdn": told.get("fqdn") or node,
    }
    facts["domain"] = str(facts["fqdn"]).partition(".")[2]
    if told.get("machine"):
        facts["machine_id"] = told["machine"]
    return facts


def _distribution(told: Mapping[str, str]) -> dict[str, Value]:
    release = {}
    for line in told.get("release", "").splitlines():
        name, _, value = line.partition("=")
        release[name] = value.strip("\"'")
    name = release.get("ID", "")
    if not name:
        return {"distribution": "NA", "os_family": "NA"}
    version = release.get("VERSION_ID", "NA")
    if name == "debian" and re.match(r"\d+\.\d+", told.get("debian", "")):
        version = told["debian"]
    like = next((_FAMILIES[each] for each in release.get("ID_LIKE", "").split() if each in _FAMILIES), "NA")
    code = release.get("VERSION_CODENAME") or release.get("UBUNTU_CODENAME")
    facts: dict[str, Value] = {
        "distribution": _NAMES.get(name, name.capitalize()),
        "distribution_version": release.get("VERSION_ID", "NA") if name == "debian" else version,
        "distribution_major_version": version.partition(".")[0],
        "distribution_release": code or "NA",
        "os_family": _FAMILIES.get(name, like),
        "lsb": {
            "id": _NAMES.get(name, name),
            "release": version,
            "codename": code or "",
            "description": release.get("PRETTY_NAME", ""),
        },
    }
    if name == "debian":
        facts["distribution_minor_version"] = version.partition(".")[2]
        facts["distribution_version"] = version
    return facts


def _hardware(told: Mapping[str, str]) -> dict[str, Value]:
    memory = {}
    for line in told.get("memory", "").splitlines():
        if matched := re.match(r"(\w+):\s+(\d+) kB", line):
            memory[matched[1]] = int(matched[2]) // 1024
    cores: set[tuple[str, str]] = set()
    sockets: set[str] = set()
    models: list[Value] = []
    socket = ""
    count = 0
    for line in told.get("cpu", "").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "processor":
            count += 1
            models.append(value)
        elif name in ("vendor_id", "model name"):
            models.append(value)
        elif name == "physical id":
            socket = value
            sockets.add(value)
        elif name == "core id":
            cores.add((socket, value))
    packages = len(sockets) or count or 1
    facts: dict[str, Value] = {
        "memtotal_mb": memory.get("MemTotal", 0),
        "memfree_mb": memory.get("MemFree", 0),
        "swaptotal_mb": memory.get("SwapTotal", 0),
        "swapfree_mb": memory.get("SwapFree", 0),
        "processor": models,
        "processor_count": packages,
        "processor_cores": max(1, len(cores) // packages) if cores else 1,
        "processor_vcpus": count,
        "processor_nproc": int(told["vcpus"]) if told.get("vcpus", "").isdigit() else count,
    }
    if count and cores:
        facts["processor_threads_per_core"] = max(1, count // len(cores))
    if told.get("product"):
        facts["product_name"] = told["product"]
    if told.get("vendor"):
        facts["system_vendor"] = told["vendor"]
    if matched := re.match(r"(\d+)", told.get("uptime", "")):
        facts["uptime_seconds"] = int(matched[1])
    return facts


def _network(told: Mapping[str, str]) -> dict[str, Value]:
    first, *_ = [*told.get("address", "").splitlines(), ""]
    default: dict[str, Value] = {}
    for word, name in (("via", "gateway"), ("dev", "interface"), ("src", "address")):
        if matched := re.search(rf"\b{word} (\S+)", first) if " dev " in first else None:
            default[name] = matched[1]
    addresses: dict[str, list[Value]] = {"inet": [], "inet6": []}
    for line in told.get("address", "").splitlines():
        if matched := re.match(r"\d+: (\S+?)(?:@\S+)?\s+(inet6?) ([0-9a-f.:]+)/(\d+)", line):
            if not matched[3].startswith("127.") and matched[3] != "::1":
                addresses[matched[2]].append(matched[3])
            if matched[3] == default.get("address"):
                default |= {"alias": matched[1], "prefix": matched[4], **_around(matched[3], matched[4])}
    names: list[Value] = [name for name in told.get("interfaces", "").split() if name != "*"]
    return {
        "default_ipv4": default,
        "all_ipv4_addresses": addresses["inet"],
        "all_ipv6_addresses": addresses["inet6"],
        "interfaces": names,
    }


def _around(address: str, prefix: str) -> dict[str, Value]:
    network = ip_interface(f"{address}/{prefix}").network
    return {
        "netmask": str(network.netmask),
        "network": str(network.network_address),
        "broadcast": str(network.broadcast_address),
    }


def _user(told: Mapping[str, str]) -> dict[str, Value]:
    lines = told.get("id", "").splitlines()
    if len(lines) < 4 or not lines[0].isdigit() or not lines[1].isdigit():
        return {}
    facts: dict[str, Value] = {
        "user_id": lines[2],
        "user_uid": int(lines[0]),
        "user_gid": int(lines[1]),
        "effective_user_id": int(lines[0]),
        "effective_group_id": int(lines[1]),
        "real_user_id": int(lines[0]),
        "real_group_id": int(lines[1]),
        "user_dir": lines[3],
    }
    if len(lines) > 4:
        facts["user_shell"] = lines[4]
    return facts


def _time(told: Mapping[str, str]) -> dict[str, Value]:
    matched = re.match(r"(\d{1,11}) ([-+])(\d\d)(\d\d) (\S+)", told.get("date", ""))
    if not matched:
        return {}
    offset = timedelta(hours=int(matched[3]), minutes=int(matched[4])) * (-1 if matched[2] == "-" else 1)
    now = datetime.fromtimestamp(int(matched[1]), timezone(offset))
    utc = now.astimezone(UTC)
    return {
        "date_time": {
            "year": f"{now:%Y}",
            "month": f"{now:%m}",
            "weekday": f"{now:%A}",
            "weekday_number": f"{now:%w}",
            "weeknumber": f"{now:%W}",
            "day": f"{now:%d}",
            "hour": f"{now:%H}",
            "minute": f"{now:%M}",
            "second": f"{now:%S}",
            "epoch": matched[1],
            "epoch_int": matched[1],
            "date": f"{now:%Y-%m-%d}",
            "time": f"{now:%H:%M:%S}",
            "iso8601": f"{utc:%Y-%m-%dT%H:%M:%SZ}",
            "iso8601_basic": f"{now:%Y%m%dT%H%M%S}000000",
            "iso8601_basic_short": f"{now:%Y%m%dT%H%M%S}",
            "tz": matched[5],
            "tz_offset": matched[2] + matched[3] + matched[4],
        }
    }


_HYPERVISORS = {
    "kvm": "kvm",
    "qemu": "kvm",
    "vmware": "VMware",
    "virtualbox": "virtualbox",
    "google": "kvm",
    "amazon": "kvm",
}


def _virtualization(told: Mapping[str, str]) -> dict[str, Value]:
    if told.get("container"):
        return {"virtualization_type": told["container"], "virtualization_role": "guest"}
    machine = f"{told.get('vendor', '')} {told.get('product', '')}".lower()
    for sign, kind in _HYPERVISORS.items():
        if sign in machine:
            return {"virtualization_type": kind, "virtualization_role": "guest"}
    if "hypervisor: yes" in told.get("cpu", ""):
        return {"virtualization_type": "kvm", "virtualization_role": "guest"}
    return {"virtualization_type": "NA", "virtualization_role": "NA"}


def _mounts(told: Mapping[str, str]) -> dict[str, Value]:
    mounts: list[Value] = []
    for line in told.get("mounts", "").splitlines()[:500]:
        fields = line.split(" ")
        if len(fields) == 6:
            mounts.append(dict(zip(("device", "mount", "fstype", "options"), fields, strict=False)))
    return {"mounts": mounts}
