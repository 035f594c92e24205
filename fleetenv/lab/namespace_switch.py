"""The switch of a namespace fleet: a bridge in a namespace of its own, and the cable from it to this machine."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from ipaddress import IPv4Network

from fleetenv.errors import InputError

_NUMBERS = range(1, 255)
_FIRST_HOST = 10  # 10.213.N.10; below are this machine's and room for a test's own


class Switch:
    """A running switch. 10.213.N.0/24 is the network of the one whose card on this machine is called fleetN.

    In a namespace of its own, no packet filter of this machine (a container engine's, say) keeps hosts apart, and the
    kernel removes all of it with the last process in it.

    Raises:
        InputError: this machine cannot make network cards, or all networks are taken.
    """

    def __init__(self, stack: ExitStack) -> None:
        process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo $$; exec cat >/dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
        )
        assert process.stdin is not None
        assert process.stdout is not None
        stack.callback(process.wait)
        stack.callback(process.stdin.close)
        stack.callback(process.stdout.close)
        self._process = int(process.stdout.readline())
        self._number = self._reserve_number()

    @property
    def gateway(self) -> str:
        """This machine's address."""
        return str(_network(self._number)[1])

    def address(self, index: int) -> str:
        """Return a host's address."""
        return str(_network(self._number)[_FIRST_HOST + index])

    def connect(self, processes: dict[str, int]) -> None:
        """Lay a cable to each host.

        Args:
            processes: for each port (the name of the cable's end at the switch) the process id of the host's init.
        """
        batch = ["link add bridge type bridge", "link set bridge up", "link set uplink master bridge up"]
        for port, process in processes.items():
            batch.append(f"link add {port} type veth peer name eth0 netns {process}")
            batch.append(f"link set {port} master bridge up")
        self._ip(*batch)
        card = f"fleet{self._number}"
        subprocess.run(
            ["ip", "-batch", "-"],
            input=f"addr add {self.gateway}/24 dev {card}\nlink set {card} up\n".encode(),
            check=True,
        )

    def set_port(self, port: str, state: str) -> None:
        """Set a port 'up' or 'down'."""
        self._ip(f"link set {port} {state}")

    def _ip(self, *commands: str) -> None:
        subprocess.run(
            ["nsenter", f"--target={self._process}", "--net", "ip", "-batch", "-"],
            input="\n".join(commands).encode(),
            check=True,
        )

    def _reserve_number(self) -> int:
        """Lay the cable to this machine; its end here takes the first free name, and that is the reservation."""
        for number in _NUMBERS:
            if _in_use(_network(number)):
                continue
            cable = ["type", "veth", "peer", "name", "uplink", "netns", str(self._process)]
            add = subprocess.run(["ip", "link", "add", f"fleet{number}", *cable], capture_output=True, text=True)
            if add.returncode == 0:
                return number
            if "File exists" not in add.stderr:
                raise InputError(f"this machine cannot make network cards for a lab: {add.stderr.strip()}")
        raise InputError("all networks for labs are taken on this machine")


def _network(number: int) -> IPv4Network:
    return IPv4Network(f"10.213.{number}.0/24")


def _in_use(network: IPv4Network) -> bool:
    """Whether this machine already has a route into a network (the default route aside)."""
    routes = subprocess.run(["ip", "-4", "-o", "route", "show"], capture_output=True, text=True, check=True).stdout
    for line in routes.splitlines():
        destination = next((word for word in line.split() if word[0].isdigit()), None)
        if destination is not None and IPv4Network(destination, strict=False).overlaps(network):
            return True
    return False
