"""fleetenv: provision fleets of GPU machines over SSH, the way Ansible and conda users expect."""

__version__ = "0.1.0"
