"""What `load` makes of its sources: hosts, groups, variables, and where each was written."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv import inventory
from fleetenv.source import SourceText

from .examples import EXAMPLES, write_files


def test_text_remembers_where_it_was_written(tmp_path: Path) -> None:
    files = {
        "hosts": "[gpu]\n  gpu01 rack=r1  note='see {{ wiki }}'\n[gpu:vars]\nuser = ops\n",
        "host_vars/gpu01.yml": "nested:\n  deep: [a, b]\n",
    }
    write_files(tmp_path, files)
    variables = inventory.load([str(tmp_path / "hosts")]).variables("gpu01")
    places = {
        name: str(value.location).removeprefix(f"{tmp_path}/")
        for name, value in variables.items()
        if isinstance(value, SourceText)
    }
    assert places == {"user": "hosts:4:8", "rack": "hosts:2:14", "note": "hosts:2:23"}
    assert str(variables["nested"]["deep"][1].location) == f"{tmp_path}/host_vars/gpu01.yml:2:13"


def test_unsafe_text_is_no_template(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {h: {a: !unsafe '{{ x }}', b: '{{ x }}'}}}\n")
    variables = inventory.load([str(tmp_path / "hosts.yml")]).variables("h")
    assert [isinstance(variables[name], SourceText) for name in "ab"] == [False, True]


def test_magic_variables(tmp_path: Path) -> None:
    write_files(tmp_path, {"lab/hosts": "[gpu:children]\na100\n[a100]\ngpu01.lab\n[cpu]\ncpu01\n"})
    lab = inventory.load([str(tmp_path / "lab"), "extra,"])
    assert lab.magic("gpu01.lab") == {
        "groups": {
            "all": ["extra", "cpu01", "gpu01.lab"],
            "ungrouped": ["extra"],
            "gpu": ["gpu01.lab"],
            "a100": ["gpu01.lab"],
            "cpu": ["cpu01"],
        },
        "group_names": ["a100", "gpu"],
        "inventory_hostname": "gpu01.lab",
        "inventory_hostname_short": "gpu01",
        "inventory_file": str(tmp_path / "lab" / "hosts"),
        "inventory_dir": str(tmp_path / "lab"),
    }
    assert lab.magic("extra")["inventory_file"] == "extra,"
    assert lab.magic("extra")["group_names"] == ["ungrouped"]
    assert "inventory_file" not in lab.magic("localhost")


def test_groups_know_their_hosts_and_children(tmp_path: Path) -> None:
    sources = EXAMPLES["INI with groups, children, vars and ranges"].write(tmp_path)
    lab = inventory.load([source.removeprefix("-i") for source in sources])
    gpu = lab.groups["gpu"]
    assert [child.name for child in gpu.children] == ["a100", "rtx4090"]
    assert gpu.hosts == ()
    assert [host.name for host in gpu.all_hosts()][:2] == ["gpu01", "gpu02"]
    assert lab.hosts["gpu02"].groups == ("gpu", "a100", "rtx4090")
    assert list(lab.hosts)[:2] == ["login", "gpu01"]


def test_links_are_named_as_the_user_named_them(tmp_path: Path) -> None:
    write_files(tmp_path, {"real/hosts": "gpu01\n", "real/host_vars/gpu01.yml": "a: 1\n"})
    (tmp_path / "link").symlink_to("real")
    lab = inventory.load([str(tmp_path / "link" / "hosts")])
    assert lab.magic("gpu01")["inventory_dir"] == str(tmp_path / "link")
    assert lab.variables("gpu01") == {"a": 1}


def test_merged_variables_are_made_once(tmp_path: Path) -> None:
    write_files(tmp_path, {"hosts": "gpu01\n", "host_vars/gpu01.yml": "a: 1\n"})
    lab = inventory.load([str(tmp_path / "hosts")])
    assert lab.variables("gpu01") is lab.variables("gpu01")


def test_a_thousand_hosts_load_well_under_a_second(tmp_path: Path) -> None:
    hosts = [f"gpu{n:04} ansible_host=10.0.{n // 250}.{n % 250} ansible_user=ops rack='r {n}'" for n in range(1000)]
    (tmp_path / "hosts").write_text("[gpu]\n" + "\n".join(hosts))
    write_files(tmp_path, {f"host_vars/gpu{n:04}.yml": "driver: 550.54\nmirror: tuna\n" for n in range(1000)})
    began = time.process_time()
    lab = inventory.load([str(tmp_path / "hosts")])
    variables = [lab.variables(host.name) for host in lab.select("gpu:!gpu0000")]
    assert time.process_time() - began < 1
    assert len(variables) == 999
    assert variables[-1]["driver"] == 550.54


names = st.sampled_from([f"g{n}" for n in range(6)])
hosts = st.sampled_from([f"h{n}" for n in range(4)])
variables = st.dictionaries(st.sampled_from("vwxyz"), st.integers(0, 99), max_size=3)
priority = st.one_of(st.just({}), st.integers(-3, 12).map(lambda number: {"ansible_group_priority": number}))
groups = st.fixed_dictionaries(
    {
        "hosts": st.dictionaries(hosts, variables, max_size=3),
        "vars": st.tuples(variables, priority).map(lambda pair: pair[0] | pair[1]),
    }
)
edges = st.lists(st.tuples(names, names).filter(lambda pair: pair[0] < pair[1]), max_size=8, unique=True)
files = st.dictionaries(
    st.sampled_from(["group_vars/all", "group_vars/g1", "group_vars/g4", "host_vars/h1"]), variables
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(names, groups, max_size=6), edges, files, files)
def test_precedence_agrees_with_ansible(
    declared: dict[str, dict], edges: list[tuple[str, str]], beside: dict[str, dict], playbook: dict[str, dict]
) -> None:
    data = {name: dict(group) for name, group in declared.items()}
    for parent, child in edges:
        data.setdefault(parent, {}).setdefault("children", {})[child] = None
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder).resolve()
        written = {f"lab/{name}.yml": yaml.safe_dump(content) for name, content in beside.items()}
        written |= {f"book/{name}.yml": yaml.safe_dump(content) for name, content in playbook.items()}
        write_files(inner, {"lab/hosts.yml": yaml.safe_dump(data or {"all": None}), "book/site.yml": "", **written})
        ours = inventory.load([str(inner / "lab" / "hosts.yml")], playbook_folder=inner / "book")
        loader = DataLoader()
        loader.set_basedir(str(inner / "book"))
        theirs = InventoryManager(loader, sources=[str(inner / "lab" / "hosts.yml")])
        manager = VariableManager(loader, theirs)
        assert list(ours.hosts) == list(theirs.hosts)
        assert {name: group.depth for name, group in ours.groups.items()} == {
            name: group.depth for name, group in theirs.groups.items()
        }
        for name, host in theirs.hosts.items():
            merged = manager.get_vars(host=host, include_hostvars=False)
            assert ours.variables(name) == {key: merged[key] for key in merged if key in "vwxyz"}
            assert ours.magic(name)["group_names"] == merged["group_names"]
