"""Texts that only name variables are rendered without Jinja, and come out as with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from hypothesis import assume, given
from hypothesis import strategies as st

from fleetenv.errors import InputError, Location
from fleetenv.playbook import Templates
from fleetenv.source import SourceText, Value

PLACE = Location("t.yml", 1, 1)
TEMPLATES = Templates()
SCOPE: Mapping[str, Value] = {
    "text": "a b",
    "empty": "",
    "looks_alike": "{{ text }}",  # not of the user's files: no template
    "template": SourceText("<{{ text }}>", PLACE),
    "whole": SourceText("{{ number }}", PLACE),
    "undefined": SourceText("{{ nowhere }}", PLACE),
    "circle": SourceText("{{ circle }}", PLACE),
    "number": 1,
    "yes": True,
    "nothing": None,
    "several": ["x", SourceText("{{ text }}", PLACE)],
    "self": "a word of Jinja's",
    "none": "a constant of Jinja's",
    "if": "a keyword of Jinja's",
}
WRITTEN = ("", " ", "/", "\\n", "\n", "'", "{", "}", "%}", "é", "{{", "}}", "{{ text | upper }}", "{{- text -}}")
SPACED = ("{{text}}", "{{  text}}", "{{\ttext }}", "{{ te xt }}", "{{ text", "{{ template }}")
NAMES = (*SCOPE, "nowhere", "range", "lookup", "omit", "true", "loop")
PIECES = st.sampled_from([*WRITTEN, *SPACED, *(f"{{{{ {name} }}}}" for name in NAMES)])


def rendered(text: str) -> object:
    try:
        result = TEMPLATES.render(SourceText(text, PLACE), SCOPE)
    except InputError:
        return InputError
    return type(result), str(result)


@given(st.lists(PIECES, max_size=4).map("".join))
def test_any_text_is_what_jinja_makes_of_it(text: str) -> None:
    """A comment is nothing to Jinja, but for a newline right behind it, and more than a name to us."""
    assume("{{" in text and not text.startswith("\n"))
    assert rendered(text) == rendered("{# #}" + text)


def test_jinja_is_not_imported_for_a_name() -> None:
    program = (
        "import sys\nfrom fleetenv.errors import Location\nfrom fleetenv.playbook import Templates\n"
        "from fleetenv.source import SourceText\n"
        "text = SourceText('{{ spec }}.yml', Location('t.yml', 1, 1))\n"
        "print(Templates().render(text, {'spec': 'nlp'}), 'jinja2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "nlp.yml False\n"
