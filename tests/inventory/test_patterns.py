"""Which hosts a pattern chooses, and in which order: beside Ansible's own code."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv import inventory
from fleetenv.errors import InputError, Location
from fleetenv.source import SourceText

LAB = """
login
[gpu:children]
a100
rtx
[a100]
gpu[01:06]
[rtx]
rtx[1:3].lab
gpu06
[broken]
gpu02
rtx1.lab
[empty]
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "hosts"
    path.write_text(LAB)
    return path


@pytest.fixture(scope="module")
def lab(path: Path) -> inventory.Inventory:
    return inventory.load([str(path)])


@pytest.fixture(scope="module")
def ansible(path: Path) -> InventoryManager:
    return InventoryManager(DataLoader(), sources=[str(path)])


def names(hosts: tuple[inventory.Host, ...]) -> str:
    return " ".join(host.name for host in hosts)


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("all", "login gpu02 rtx1.lab gpu01 gpu03 gpu04 gpu05 gpu06 rtx2.lab rtx3.lab"),
        ("*", "login gpu02 rtx1.lab gpu01 gpu03 gpu04 gpu05 gpu06 rtx2.lab rtx3.lab"),
        ("rtx:login", "rtx1.lab rtx2.lab rtx3.lab gpu06 login"),
        ("login,a100", "login gpu01 gpu02 gpu03 gpu04 gpu05 gpu06"),
        ("gpu:!broken", "gpu01 gpu03 gpu04 gpu05 gpu06 rtx2.lab rtx3.lab"),
        ("!gpu", "login"),
        ("a100:&rtx", "gpu06"),
        ("gpu:&broken:!rtx", "gpu02"),
        ("g?u0[135]*", "gpu01 gpu03 gpu05"),
        ("gpu0[12]*", "gpu01 gpu02"),
        ("rtx?.lab", "rtx1.lab rtx2.lab rtx3.lab"),
        ("~gpu0(1|5)", "gpu01 gpu05"),
        ("~(login|rtx3)", "login rtx3.lab"),
        ("a100[0]", "gpu01"),
        ("a100[-1]", "gpu06"),
        ("a100[1:3]", "gpu02 gpu03 gpu04"),
        ("a100[4:]", "gpu05 gpu06"),
        ("a100[1-2]", "gpu02 gpu03"),
        ("ungrouped", "login"),
        ("empty", ""),
        ("nosuch", ""),
        (["gpu01", "rtx[0]"], "gpu01 rtx1.lab"),
        ("localhost", "localhost"),
    ],
)
def test_pattern_chooses(lab: inventory.Inventory, pattern: str | list[str], chosen: str) -> None:
    assert names(lab.select(pattern)) == chosen


TERMS = """
    all * gpu a100 rtx broken empty ungrouped login gpu01 gpu06 rtx1.lab nosuch localhost fe80::1 gpu01:22
    gpu0* *x* rtx?.lab gpu0[246]* gpu0[2-4] ~gpu.[135] ~.*lab ~[
    a100[0] a100[-2] a100[9] gpu[1:4] gpu[2:] rtx[0:0] rtx*[1:3]
"""
terms = st.sampled_from(TERMS.split())
expressions = st.lists(st.tuples(st.sampled_from(["", "", "!", "&"]), terms).map("".join), min_size=1, max_size=4)


@settings(deadline=None)
@given(expressions, st.sampled_from([":", ","]))
def test_patterns_agree_with_ansible(
    lab: inventory.Inventory, ansible: InventoryManager, expression: list[str], separator: str
) -> None:
    for pattern in (expression, separator.join(expression)):
        try:
            theirs = [host.name for host in ansible.get_hosts(pattern)]
        except AnsibleError:
            with pytest.raises(InputError):
                lab.select(pattern)
        else:
            assert [host.name for host in lab.select(pattern)] == theirs


def test_limit_keeps_the_patterns_order(lab: inventory.Inventory) -> None:
    assert names(lab.select("gpu", limit="rtx,gpu01")) == "gpu01 gpu06 rtx1.lab rtx2.lab rtx3.lab"


def test_limit_may_be_a_file_of_hosts(lab: inventory.Inventory, tmp_path: Path) -> None:
    (tmp_path / "site.retry").write_text("gpu02\n\nlogin\n")
    assert names(lab.select("all", limit=f"@{tmp_path}/site.retry")) == "login gpu02"
    assert names(lab.select("all", limit=f"@{tmp_path}/site.retry:!login")) == "gpu02"


def test_limit_file_that_is_not_there(lab: inventory.Inventory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the limit file .*none: No such file"):
        lab.select("all", limit=f"@{tmp_path}/none")


@pytest.mark.parametrize("limit", ["gpu1", "all:!gpu1", "login,&gpu1", "gpu1[0]"])
def test_limit_that_names_nothing_is_an_error(lab: inventory.Inventory, limit: str) -> None:
    with pytest.raises(InputError, match=r"'gpu1', which is neither a host nor a group.*; did you mean 'gpu01'\?"):
        lab.select("all", limit=limit)


def test_unmatched_tells_what_a_pattern_names_in_vain(lab: inventory.Inventory) -> None:
    assert lab.unmatched("gpu:nosuch:!gpu9*:empty") == ("nosuch", "gpu9*")


def test_bad_pattern_is_shown_where_it_was_written(lab: inventory.Inventory) -> None:
    with pytest.raises(InputError, match=r"^site.yml:3:10: the host pattern '~gpu\(' is not a valid regular expr"):
        lab.select(SourceText("~gpu(", Location("site.yml", 3, 10)))


def test_index_beyond_the_hosts(lab: inventory.Inventory) -> None:
    with pytest.raises(InputError, match=r"'a100\[6\]' counts beyond its 6 hosts"):
        lab.select("a100[6]")


def test_explicit_localhost_answers_to_all_its_names() -> None:
    here = inventory.load(["localhost,gpu01"])
    assert [host.implicit for host in here.select("127.0.0.1")] == [False]
    assert names(here.select("all")) == "localhost gpu01"


def test_implicit_localhost_is_not_among_all(lab: inventory.Inventory) -> None:
    (localhost,) = lab.select("localhost")
    assert localhost.implicit
    assert localhost not in lab.select("all")
    assert lab.variables("localhost")["ansible_connection"] == "local"


def test_implicit_localhost_is_one_host(lab: inventory.Inventory) -> None:
    assert names(lab.select("localhost,127.0.0.1,::1")) == "localhost"
    assert lab.magic("127.0.0.1")["inventory_hostname"] == "localhost"
