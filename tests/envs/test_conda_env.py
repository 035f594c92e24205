"""conda_env on one host: built, left alone, mended."""

from __future__ import annotations

from .machine import Machine, Project


def test_an_environment_is_built_and_then_left_alone(machine: Machine, project: Project) -> None:
    project.lock("fleet-text", "pip", pip=("fleet-plots",), TOKENIZERS_PARALLELISM="false")
    task = project.task(machine)

    first = machine.apply(task)

    assert {"present", "managed", "packages.fleet-text", "packages.python", "pip.fleet-plots"} <= {
        each.key for each in first.differences
    }
    assert machine.python("import fleet_text, fleet_plots; print(fleet_text.__version__)") == "1.0"
    assert not machine.apply(task)
    assert len(machine.generations()) == 1
