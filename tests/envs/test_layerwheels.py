"""Which wheels the controller gets for virtualenvs: such as fit the host's Python, and what the requirements allow."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import pytest

from fleetenv.conda.beneath import Beneath
from fleetenv.conda.layerwheels import LayerWheels
from fleetenv.conda.requirements_file import read_requirements
from fleetenv.conda.store import PackageStore
from fleetenv.errors import InputError, TaskFailed
from fleetenv.lab.channel import LabChannel
from fleetenv.modules.virtualenv import Virtualenv

from .machine import Desk


@pytest.fixture
def found(lab_channel: LabChannel, tmp_path: Path) -> Any:
    """What some requirements come to, on a host with some packages beneath."""

    def find(text: str, *beneath: tuple[str, str]) -> dict[str, str]:
        (tmp_path / "plots.txt").write_text(text)
        wheels = LayerWheels(read_requirements(tmp_path / "plots.txt"), lab_channel.simple, PackageStore(tmp_path))
        host = Beneath("3.11.7", platform.machine(), "2.31", beneath)
        chosen, offers = wheels.for_host(host)
        assert [each.sha256 for each in chosen] == [each.sha256 for each in offers]
        assert wheels.for_host(host)[0] == chosen
        return {each.name: each.version for each in chosen}

    return find


def digest(channel: LabChannel, name: str, version: str) -> str:
    (wheel,) = (channel.simple_path / name).glob(f"*-{version}-*.whl")
    return f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def test_what_lies_beneath_stays_unless_the_requirements_want_another(found: Any, tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("fleet-metrics<0.2\n")
    assert found("fleet-plots\n") == {"fleet-plots": "1.0", "fleet-metrics": "0.2"}
    assert found("-c limits.txt\nfleet-plots\n") == {"fleet-plots": "1.0", "fleet-metrics": "0.1"}
    assert found("fleet-plots\n", ("fleet-metrics", "0.2"), ("pip", "24.0")) == {"fleet-plots": "1.0"}
    assert found("fleet-plots\nfleet-metrics==0.1\n", ("fleet-metrics", "0.1")) == {"fleet-plots": "1.0"}
    both = {"fleet-plots": "1.0", "fleet-metrics": "0.1"}
    assert found("fleet-plots\nfleet-metrics==0.1\n", ("fleet-metrics", "0.2")) == both


def test_with_hashes_only_those_files_count(found: Any, lab_channel: LabChannel) -> None:
    plots = f"fleet-plots==1.0 {digest(lab_channel, 'fleet-plots', '1.0')}\n"
    metrics = digest(lab_channel, "fleet-metrics", "0.2")
    assert found(f"{plots}fleet-metrics==0.2 {metrics}\n") == {"fleet-plots": "1.0", "fleet-metrics": "0.2"}
    with pytest.raises(TaskFailed, match=r"Python 3\.11\.7 .*: fleet-metrics is needed, and .* have no hash for it"):
        found(plots)
    wrong = f"--hash=sha256:{'0' * 64}"
    with pytest.raises(TaskFailed, match=r"fleet-metrics 0\.1 has no wheel with a hash of the requirements"):
        found(f"{plots}fleet-metrics==0.1 {wrong}\n")
    with pytest.raises(TaskFailed, match=r"cannot be resolved for Python 3\.11\.7 on .*fleet-plots==7"):
        found("fleet-plots==7\n")


@pytest.mark.parametrize("line", [f"x @ git+https://git.lab/x.git@{'a' * 40}", "--no-binary :all:"])
def test_what_has_to_be_built_is_refused_before_any_host_is_touched(tmp_path: Path, line: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "plots.txt").write_text(f"{line}\n")
    module = Virtualenv.from_arguments(
        {"path": "/data/x", "environment": "nlp", "prefix": "/opt/m", "requirements": "plots.txt"}
        | {"packages_via": "controller"}
    )
    with pytest.raises(InputError, match="built") as caught:
        module.resolve(Desk(tmp_path))
    assert "or use packages_via: host" in str(caught.value)
