"""What a snapshot holds, as pages show it. It comes from hosts: nothing is taken for granted about its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from fleetenv.drift.snapshot import Plain, Snapshot, leaves

_VALUES = 500  # of one thing
_THINGS = 100
_COLUMNS = 30  # of a table of GPUs
_GPUS = 256  # of one host
_PACKAGES = ("packages", "pip")


class Value(Struct, frozen=True):
    """One value under its dotted key."""

    key: str
    value: Plain


class Thing(Struct, frozen=True):
    """A named thing of a section: an environment, a Miniconda, a kernel. Of `total` values the first are here."""

    name: str
    values: tuple[Value, ...]
    packages: tuple[Value, ...]
    total: int


class Device(Struct, frozen=True):
    """One GPU, by its index."""

    index: str
    values: Mapping[str, Plain]


class Gpus(Struct, frozen=True):
    """A host's driver (`driver`, `cuda`, `library`, ...), and its GPUs."""

    host: Mapping[str, Plain]
    devices: tuple[Device, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """What is known of any of the GPUs, names first."""
        keys = dict.fromkeys(key for device in self.devices for key in device.values)
        return tuple(sorted(keys, key=_place))[:_COLUMNS]

    @property
    def simulated(self) -> bool:
        """Whether fleetenv's lab made them up."""
        return self.host.get("simulated") is True


def mapping(value: Plain) -> Mapping[str, Plain]:
    """Return a value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def things_of(section: Plain) -> tuple[Thing, ...]:
    """Return a section's things; plain values that stand directly in it are one thing without a name."""
    content = mapping(section)
    direct = {key: value for key, value in content.items() if not isinstance(value, dict)}
    named = [(key, value) for key, value in sorted(content.items()) if isinstance(value, dict)]
    things = [_thing("", direct)] if direct else []
    things += [_thing(name, value) for name, value in named[:_THINGS]]
    if section is not None and not isinstance(section, dict):
        things = [Thing("", (Value("", section),), (), 1)]
    return tuple(things)


def environments_of(snapshot: Snapshot) -> tuple[Thing, ...]:
    """Return a host's environments, each with its packages apart."""
    return things_of(snapshot.get("environments"))


def packages_of(environment: Plain) -> Mapping[str, Plain]:
    """Return an environment's packages, conda's by their names and pip's as `pip: NAME`."""
    content = mapping(environment)
    conda, pip = mapping(content.get("packages")), mapping(content.get("pip"))
    return {**conda, **{f"pip: {name}": version for name, version in pip.items()}} if pip else conda


def gpus_of(snapshot: Snapshot) -> Gpus:
    """Return the driver's values and the GPUs."""
    section = mapping(snapshot.get("gpus"))
    devices = mapping(section.get("devices"))
    return Gpus(
        {key: value for key, value in section.items() if key != "devices"},
        tuple(Device(index, mapping(devices[index])) for index in sorted(devices, key=_natural)[:_GPUS]),
    )


def _place(key: str) -> tuple[bool, str]:
    return key not in ("model", "uuid"), key


def _natural(index: str) -> tuple[int, str]:
    return int(index[:9]) if index.isdecimal() else 1 << 40, index


def _thing(name: str, content: Mapping[str, Plain]) -> Thing:
    packages = packages_of(dict(content))
    rest = {key: value for key, value in content.items() if key not in _PACKAGES or not isinstance(value, dict)}
    values = list(_values(rest)) if rest else []
    return Thing(name, tuple(values[:_VALUES]), tuple(_values(dict(packages)))[:_VALUES], len(values) + len(packages))


def _values(content: dict[str, Plain]) -> Iterator[Value]:
    if content:
        yield from (Value(".".join(path), value) for path, value in leaves(content))
