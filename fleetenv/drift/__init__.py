"""Snapshots of hosts, and how they differ from a playbook and from each other."""
