"""Playbooks: reading them, their variables, their templates."""
