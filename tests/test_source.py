"""What the user wrote stays known as such through copies."""

from __future__ import annotations

import copy
import pickle

from fleetenv.source import SourceText, parse_yaml


def test_copies_of_located_values_keep_their_places():
    value = parse_yaml("a: [one, {b: two}]\n", "site.yml")
    for made in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert made == value
        text = made["a"][1]["b"]
        assert isinstance(text, SourceText)
        assert str(text.location) == "site.yml:1:14"
