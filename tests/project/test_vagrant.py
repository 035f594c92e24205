"""The Vagrantfile and the inventory of its machines."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetenv import inventory

ROOT = Path(__file__).parents[2]

# Carries out the Vagrantfile with a recorder in Vagrant's place: every setting is accepted, machines are printed.
RECORDER = """
class Recorder < BasicObject
  def initialize(name = nil) = @name = name
  def define(name) = yield(::Recorder.new(name))
  def provider(name) = yield(::Recorder.new)
  def network(kind, ip:) = ::Kernel.puts("#{@name} #{kind} #{ip}")
  def method_missing(*) = self
end
module Vagrant
  def self.configure(version) = yield(Recorder.new)
end
load "Vagrantfile"
"""


def ruby(*arguments: str) -> str:
    if shutil.which("ruby") is None:
        pytest.skip("ruby is not installed")
    done = subprocess.run(["ruby", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_vagrantfile_is_accepted() -> None:
    if shutil.which("vagrant"):
        subprocess.run(["vagrant", "validate", "--ignore-provider"], cwd=ROOT, check=True)
    else:
        assert ruby("-wc", "Vagrantfile") == "Syntax OK\n"


def test_machines_are_those_of_the_inventory() -> None:
    machines = inventory.load([str(ROOT / "inventories" / "vagrant")])
    addresses = {host.name: machines.variables(host.name)["ansible_host"] for host in machines.select("all")}
    assert ruby("-e", RECORDER).splitlines() == [f"{name} private_network {ip}" for name, ip in addresses.items()]


def test_inventory_has_three_machines_with_private_addresses() -> None:
    machines = inventory.load([str(ROOT / "inventories" / "vagrant")])
    hosts = machines.select("gpu")
    assert len(hosts) == 3
    # The only range that VirtualBox lets host-only networks have unless /etc/vbox/networks.conf says more.
    allowed = ipaddress.ip_network("192.168.56.0/21")
    assert all(ipaddress.ip_address(str(machines.variables(host.name)["ansible_host"])) in allowed for host in hosts)
