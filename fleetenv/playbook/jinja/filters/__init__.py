"""Filters by name: Ansible's, beside those that Jinja brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fleetenv.playbook.jinja.filters import data, encoding, numbers, paths, sets, text

FILTERS: dict[str, Callable[..., Any]] = {
    **text.FILTERS,
    **data.FILTERS,
    **encoding.FILTERS,
    **numbers.FILTERS,
    **paths.FILTERS,
    **sets.FILTERS,
}

ACCEPT_UNDEFINED = frozenset({"default", "d", "mandatory", "type_debug", "ternary"})
"""Filters that are called even when an argument is undefined; any other then gives that undefined value."""

FLEETING = frozenset({"fileglob", "random", "realpath", "shuffle", "strftime"})
"""Filters that look at the clock or at files, or choose by chance: what they give holds for one rendering."""

REFUSED = {
    "json_query": "use selectattr, map(attribute=...) or a loop",
    "password_hash": "hash the password beforehand, and keep the hash in a variable",
    "vault": "vaulted values are not supported yet",
    "unvault": "vaulted values are not supported yet",
    "ipaddr": "the ansible.utils filters are not supported yet",
    "win_basename": "hosts are Linux",
    "win_dirname": "hosts are Linux",
    "win_splitdrive": "hosts are Linux",
}
"""Filters that are known and not there, with what helps."""
