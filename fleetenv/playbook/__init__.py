"""Playbooks: YAML to plays and tasks, variables and their precedence, templates."""
