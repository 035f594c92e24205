"""Facts are Ansible's, under Ansible's names."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.modules.facts import parse_facts
from fleetenv.modules.setup import Setup
from fleetenv.remote import Completed

from .conftest import Driver


def gathered(driver: Driver, text: str = "{}") -> dict[str, Any]:
    module = driver.build("setup", text)
    assert isinstance(module, Setup)
    return dict(module.facts(driver.observe(module)))


@pytest.fixture(scope="module")
def ansible() -> dict[str, Any]:
    words = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "setup", "-o"]
    program = Path(sys.executable).with_name("ansible")
    done = subprocess.run(
        [program, *words[1:], "-e", f"ansible_python_interpreter={sys.executable}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    facts: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])["ansible_facts"]
    return facts


# What depends on how this machine or this session was started (process 1, HOME, SHELL) is not among them.
SAME = [
    "architecture",
    "kernel",
    "kernel_version",
    "machine",
    "system",
    "userspace_bits",
    "nodename",
    "hostname",
    "distribution",
    "distribution_version",
    "distribution_major_version",
    "distribution_release",
    "os_family",
    "memtotal_mb",
    "swaptotal_mb",
    "processor",
    "processor_count",
    "processor_cores",
    "processor_vcpus",
    "processor_nproc",
    "processor_threads_per_core",
    "user_id",
    "user_uid",
    "user_gid",
    "effective_user_id",
    "real_group_id",
    "pkg_mgr",
]


def test_facts_are_those_that_ansible_gathers(driver: Driver, ansible: dict[str, Any]) -> None:
    ours = gathered(driver)
    assert {name: ours.get(f"ansible_{name}") for name in SAME} == {
        name: ansible.get(f"ansible_{name}") for name in SAME
    }
    for name in ("address", "gateway", "interface", "netmask", "network", "broadcast", "alias", "prefix"):
        assert ours["ansible_default_ipv4"].get(name) == ansible["ansible_default_ipv4"].get(name)
    same = ("year", "month", "day", "weekday", "weekday_number", "weeknumber", "tz", "tz_offset")
    assert [ours["ansible_date_time"][each] for each in same] == [ansible["ansible_date_time"][each] for each in same]
    mine, theirs = (
        {name for name in facts["ansible_interfaces"] if not name.startswith("fleet")}  # other tests' labs come and go
        for facts in (ours, ansible)
    )
    assert mine == theirs
    assert set(ansible["ansible_all_ipv4_addresses"]) & set(ours["ansible_all_ipv4_addresses"])
    first = ours["ansible_mounts"][0]
    assert {key: ansible["ansible_mounts"][0][key] for key in first} == first


def test_the_environment_is_data(driver: Driver) -> None:
    driver.environment = {"TRICKY": "a=b\nc\0d".replace("\0", " "), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    assert gathered(driver)["ansible_env"]["TRICKY"] == "a=b\nc d"


def test_a_filter_leaves_out_the_rest(driver: Driver) -> None:
    assert set(gathered(driver, "filter: [ansible_hostname, 'distribution_m*']")) >= {"ansible_hostname"}
    assert "ansible_kernel" not in gathered(driver, "filter: ansible_hostname")


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_whatever_a_host_prints_is_parsed_or_refused(stdout: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_facts(Completed(0, b"uname\0Linux h 1 v x\0" + stdout + b"\0env\0"))
