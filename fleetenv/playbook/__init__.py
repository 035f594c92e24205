"""Playbooks: YAML to plays and tasks, variables and their precedence, templates."""

from __future__ import annotations

from fleetenv.playbook.extra import parse_extra_vars
from fleetenv.playbook.imports import Included
from fleetenv.playbook.plays import Playbook, read_playbook
from fleetenv.playbook.recorded import Recorded, agree
from fleetenv.playbook.tags import select
from fleetenv.playbook.templates import Templates
from fleetenv.playbook.undefined import UndefinedVariable
from fleetenv.playbook.variables import FleetVariables, HostVariables, Scope

__all__ = [
    "FleetVariables",
    "HostVariables",
    "Included",
    "Playbook",
    "Recorded",
    "Scope",
    "Templates",
    "UndefinedVariable",
    "agree",
    "parse_extra_vars",
    "read_playbook",
    "select",
]
