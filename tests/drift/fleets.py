"""Runs of fleets, as events: what the engine would tell of a check-mode run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from fleetenv.errors import Location
from fleetenv.events import Event, HostLost, PlayStarted, RunFinished, RunStarted, Status, TaskFinished, TaskRef
from fleetenv.state import UNSET, Content, State, UnsetType, compare


class EnvState(State, frozen=True, kw_only=True):
    alike: ClassVar[frozenset[str]] = frozenset({"packages"})
    packages: Mapping[str, str]
    generation: str | UnsetType = UNSET


class FileState(State, frozen=True, kw_only=True):
    content: Content
    mode: str | UnsetType = UNSET


class DriverState(State, frozen=True, kw_only=True):
    alike: ClassVar[frozenset[str]] = frozenset({"driver"})
    driver: str | UnsetType | None = UNSET
    simulated: bool | UnsetType = UNSET


def task(name: str, module: str, line: int, *, role: str | None = None, handler: bool = False) -> TaskRef:
    return TaskRef("gpu servers", name, module, Location("playbooks/site.yml", line, 5), role, handler)


DRIVER = task("Verify the driver", "gpu_driver", 10, role="gpu_driver")
CONDARC = task("Write .condarc", "condarc", 20, role="condarc")
ENV = task("Create environments", "conda_env", 30, role="conda_envs")
RESTART = task("Restart the exporter", "command", 40, handler=True)
PACKAGES = {"python": "3.11.9", "numpy": "1.26.4", "pytorch": "2.4.1"}
MIRROR = Content("a" * 64, b"channels:\n- conda-forge\nshow_channel_urls: true\n")
EDITED = Content("b" * 64, b"channels:\n- defaults\nshow_channel_urls: true\n")


def observed(
    host: str, ref: TaskRef, wanted: State | None, found: State | None, item: str | None = None
) -> TaskFinished:
    diff = compare(wanted, found)
    return TaskFinished(host, ref, Status.CHANGED if diff else Status.OK, diff=diff, found=found, item=item)


def failed(host: str, ref: TaskRef, msg: str, wanted: State | None = None, found: State | None = None) -> TaskFinished:
    diff = compare(wanted, found) if found is not None else None
    return TaskFinished(host, ref, Status.FAILED, msg=msg, diff=diff, found=found)


def driver(host: str, version: str = "535.104.05", *, simulated: bool = False) -> TaskFinished:
    return observed(host, DRIVER, DriverState(), DriverState(driver=version, simulated=simulated))


def condarc(host: str, content: Content = MIRROR) -> TaskFinished:
    return observed(host, CONDARC, FileState(content=MIRROR), FileState(content=content, mode="0644"))


def env(host: str, **changes: str | None) -> TaskFinished:
    """One environment, with packages changed, added, or (None) removed by hand."""
    found = {name: version for name, version in {**PACKAGES, **changes}.items() if version is not None}
    return observed(host, ENV, EnvState(packages=PACKAGES), EnvState(packages=found, generation=host), "nlp_train")


def run(hosts: Sequence[str], *events: Event, interrupted: bool = False) -> Iterator[Event]:
    yield RunStarted("playbooks/site.yml", tuple(hosts), check_mode=True)
    yield PlayStarted("gpu servers", tuple(hosts))
    yield from events
    yield RunFinished(12.34, dict.fromkeys(hosts, 1), interrupted)


def healthy(*hosts: str) -> list[Event]:
    return [event for host in hosts for event in (driver(host), condarc(host), env(host))]


def four_hosts() -> Iterator[Event]:
    """gpu01 is well, gpu02 had its .condarc edited, gpu03 packages changed, gpu04 does not answer."""
    return run(
        ["gpu01", "gpu02", "gpu03", "gpu04"],
        *healthy("gpu01"),
        driver("gpu02"),
        condarc("gpu02", EDITED),
        env("gpu02"),
        failed("gpu03", DRIVER, "driver 470.82.01 is older than 535.104; upgrade it and reboot",
               DriverState(driver=">= 535.104"), DriverState(driver="470.82.01")),
        condarc("gpu03"),
        env("gpu03", numpy="1.26.3", scipy="1.14.0", pytorch=None),
        HostLost("gpu04", "connect to 10.0.0.4 port 22: Connection refused"),
    )  # fmt: skip


def many_hosts(count: int = 400) -> Iterator[Event]:
    """Most are well; every 9th has one package changed, every 40th an edited .condarc, every 97th is away."""
    names = [f"gpu{number:03}" for number in range(1, count + 1)]
    events: list[Event] = []
    for number, name in enumerate(names, 1):
        if number % 97 == 0:
            events.append(HostLost(name, "timed out after 10 s"))
            continue
        events.append(driver(name, "470.82.01" if number % 31 == 0 else "535.104.05"))
        events.append(condarc(name, EDITED if number % 40 == 0 else MIRROR))
        events.append(env(name, **({"numpy": "1.26.3"} if number % 9 == 0 else {})))
    return run(names, *events)


HOSTILE = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\r\u202e]]>&\"'|`${x}`\x00\udc80"
"""What a hostile host may write anywhere."""


def hostile() -> Iterator[Event]:
    """Two hosts, all of whose texts are meant to harm whoever shows them."""
    evil = Content("c" * 64, f"{HOSTILE}\n```\n</script>\n".encode("utf-8", "surrogatepass"))
    text = Content("d" * 64, b"<img src=x onerror=alert(2)>\n\x1b[31m```\n")
    return run(
        ["gpu01", "gpu02"],
        failed("gpu01", DRIVER, HOSTILE, DriverState(driver="1"), DriverState(driver=HOSTILE)),
        condarc("gpu01", evil),
        env("gpu01", **{HOSTILE: HOSTILE}),
        driver("gpu02"),
        condarc("gpu02", text),
        HostLost("gpu02", HOSTILE),
    )
