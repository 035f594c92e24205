"""Jinja as playbooks use it: sandboxed, native types, Ansible's filters, tests and lookups."""
