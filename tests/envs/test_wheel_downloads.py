"""Wheels of the pip part on their way from an index to a host: gone on with by the next run, and kept for the next."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

from fleetenv.onhost.indexes import Indexes, indexes, links
from fleetenv.onhost.wheels import Wheel

from .machine import Machine, Project, wait_for
from .test_builder import builder, start
from .wayward import Wayward, serving

WHEEL = "fleet_heavy-1.0-py3-none-any.whl"
PATH = f"/simple/fleet-heavy/{WHEEL}"


@pytest.fixture
def site(project: Project, tmp_path: Path) -> Iterator[Wayward]:
    """The lab's index on a web server; it has a wheel of 100 kB."""
    noise = random.Random(7).randbytes(100_000).hex()
    project.channel.add_wheel("fleet-heavy", "1.0", files={"fleet_heavy/noise.txt": noise})
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "simple").symlink_to(project.channel.simple_path)
    with serving(tmp_path / "site") as site:
        yield site


def test_a_builder_that_is_killed_amid_a_wheel_leaves_it_to_be_gone_on_with(
    machine: Machine, project: Project, site: Wayward, tmp_path: Path
) -> None:
    size = (project.channel.simple_path / "fleet-heavy" / WHEEL).stat().st_size
    index = f"{site.url}/simple"
    project.lock("pip", pip=("fleet-heavy",))
    task = project.task(machine, pip_index=index)
    site.trickle = 0.0005  # seconds a byte
    killed = start(machine, builder(machine, task), tmp_path / "log")
    wait_for(lambda: site.sent > 3000)  # the index's page, and some of the wheel
    killed.kill()
    killed.wait()
    site.trickle = None
    site.over.set()

    machine.apply(task)
    (_, first), (_, second) = [asked for asked in site.asked if asked[0] == PATH]
    assert first == 0
    assert 0 < second < size
    assert machine.python("import fleet_heavy") == ""
    assert not list((machine.prefix / "pkgs").glob(".fleetenv-partial*"))

    project.lock("pip", "fleet-tensor", pip=("fleet-heavy",))
    machine.apply(project.task(machine, pip_index=index))  # a new generation
    assert [path for path, _ in site.asked].count(PATH) == 2
    kept = machine.prefix / "pkgs" / ".fleetenv-wheels"
    (wheel,) = kept.iterdir()
    os.utime(wheel, (time.time() - 7200,) * 2)
    assert WHEEL not in {item.name for item in machine.clean().items}
    assert {item.name: item.kind for item in machine.clean("nlp_train").items}[WHEEL] == "package"
    assert list(kept.iterdir()) == []


def test_what_an_index_has_not_got_is_left_to_pip(machine: Machine, project: Project, site: Wayward) -> None:
    project.lock("pip", pip=("fleet-heavy", "fleet-metrics"))
    page = (project.channel.simple_path / "fleet-heavy" / "index.html").read_bytes()
    base = f'<base href="{site.url}/simple/fleet-heavy/">'.encode()  # pip heeds that
    site.replaced["/elsewhere/fleet-heavy/"] = page.replace(b"<a ", base + b"<a ", 1)
    (site.folder / "elsewhere").mkdir()
    (site.folder / "elsewhere" / "fleet-metrics").symlink_to(project.channel.simple_path / "fleet-metrics")
    machine.apply(project.task(machine, pip_index=f"{site.url}/elsewhere"))
    assert machine.python("import fleet_metrics, fleet_heavy") == ""
    assert (f"/elsewhere/fleet-heavy/{WHEEL}", 0) in site.asked  # in vain
    assert (PATH, 0) in site.asked


def wheel(name: str = "Fleet_Heavy") -> Wheel:
    return Wheel(name, "1.0", "https://files.lab/x/fleet_heavy-1.0-py3-none-any.whl", "ab" * 32, direct=False)


def test_an_index_that_does_not_answer_is_asked_once(site: Wayward) -> None:
    asked = Indexes([f"{site.url}/nothing", "http://127.0.0.1:9/simple", f"{site.url}/simple"])
    assert asked.sources(wheel()) == []  # the one there is has another hash
    site.status = 503
    site.asked.clear()
    assert [asked.sources(each) for each in (wheel(), wheel("other"))] == [[], []]
    assert len(site.asked) == 1


def test_settings_are_pip_s_own(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "home" / ".config" / "pip").mkdir(parents=True)
    (tmp_path / "home" / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://mine.lab/simple\n[install]\nextra-index-url =\n  https://a.lab\n  https://b.lab\n"
    )
    clean = {"HOME": str(tmp_path / "home")}

    def urls(*options: str, **variables: str) -> list[str] | None:
        found = indexes(options, tmp_path, clean | variables, tmp_path / "etc")
        return None if found is None else [*found.urls, *found.links]

    assert urls() == ["https://mine.lab/simple", "https://a.lab", "https://b.lab"]
    assert urls("--index-url https://other.lab") == ["https://other.lab"]
    assert urls("--extra-index-url https://c.lab", PIP_INDEX_URL="https://env.lab") == [
        "https://env.lab", "https://a.lab", "https://b.lab", "https://c.lab",
    ]  # fmt: skip
    assert urls("--find-links https://c.lab/all", PIP_CONFIG_FILE=os.devnull) == ["https://c.lab/all"]
    for own in ({"PIP_PROXY": "http://proxy:8080"}, {"PIP_NO_INDEX": "1"}, {"PIP_INDEX_URL": "file:///srv/simple"}):
        assert urls(**own) is None
    (tmp_path / "pip.conf").write_text("index-url")
    assert urls() is None


def test_the_index_that_nobody_names_is_the_one_of_the_environment_s_pip() -> None:
    found = indexes((), Path(sys.prefix), {"PIP_CONFIG_FILE": os.devnull})
    assert found
    assert list(found.urls) == [PyPI.simple_url]


def test_links_are_those_of_the_very_file() -> None:
    page = (
        f"<a data-requires-python='&gt;=3.8' href='../../packages/{WHEEL}#sha256={'ab' * 32}'>x</a>"
        f'<A\nHREF="https://cdn.lab/{WHEEL}?token=1&amp;x=2">x</A><a href="{WHEEL}#sha256={"cd" * 32}">x</a>'
        f'<a href="{WHEEL}.metadata">x</a><a href="fleet%5Fheavy-1.0-py3-none-any.whl">x</a>'
    )
    assert links(page, "https://u:p@mine.lab/simple/fleet-heavy/", WHEEL, "ab" * 32) == [
        f"https://u:p@mine.lab/packages/{WHEEL}",
        f"https://cdn.lab/{WHEEL}?token=1&x=2",
        "https://u:p@mine.lab/simple/fleet-heavy/fleet%5Fheavy-1.0-py3-none-any.whl",
    ]
