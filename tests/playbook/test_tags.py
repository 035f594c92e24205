"""`--tags` and `--skip-tags` choose what they choose in ansible-core."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.playbook.tags import is_selected

WORDS = st.frozensets(st.sampled_from(["a", "b", "always", "never", "tagged", "untagged", "all"]), max_size=3)
OWN = st.frozensets(st.sampled_from(["a", "b", "always", "never"]), max_size=3)


def ansible_selects(own: frozenset[str], only: frozenset[str], skip: frozenset[str]) -> bool:
    from ansible.playbook.taggable import Taggable

    class Tagged(Taggable):
        tags: Any = None
        _loader = None

        def _get_all_taggable_objects(self) -> Any:
            return []

    task = Tagged()
    task.tags = list(own)
    return bool(task.evaluate_tags(only or {"all"}, skip, {}))


@settings(max_examples=300, deadline=None)
@given(own=OWN, only=WORDS, skip=WORDS)
def test_as_ansible(own: frozenset[str], only: frozenset[str], skip: frozenset[str]) -> None:
    assert is_selected(own, only or {"all"}, skip) == ansible_selects(own, only, skip)
