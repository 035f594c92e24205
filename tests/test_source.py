"""What the user wrote stays known as such through copies."""

from __future__ import annotations

import copy
import pickle

import pytest

from fleetenv.errors import InputError
from fleetenv.source import SourceText
from fleetenv.source_yaml import parse_yaml


def test_copies_of_located_values_keep_their_places():
    value = parse_yaml("a: [one, {b: two}]\n", "site.yml")
    for made in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert made == value
        text = made["a"][1]["b"]
        assert isinstance(text, SourceText)
        assert str(text.location) == "site.yml:1:14"


def test_a_character_that_yaml_does_not_allow_is_told_with_its_place():
    with pytest.raises(InputError, match=r"^site.yml:2:5: not valid YAML: the character '\\x00'$"):
        parse_yaml("a: 1\nb: x\0y\n", "site.yml")
