from hypothesis import given
from hypothesis import strategies as st

from fleetenv.report.text import visible, visible_line


def test_terminal_escapes_are_shown_not_obeyed():
    assert visible("\x1b[2J\x9b31mred\x07") == "\\x1b[2J\\x9b31mred\\x07"


def test_a_line_cannot_be_overwritten():
    assert visible("failed\rok    \b\b") == "failed\\rok    \\x08\\x08"


def test_text_cannot_be_turned_round_or_hidden():
    assert visible("a\u202eb\u200bc\u2028d") == "a\\u202eb\\u200bc\\u2028d"


def test_invalid_utf8_that_was_kept_as_surrogates_is_shown():
    assert visible("\udc80") == "\\udc80"


def test_words_of_any_script_stay():
    assert visible("Straße 北京 Ελλάδα 😀") == "Straße 北京 Ελλάδα 😀"


def test_newlines_stay_in_text_and_go_in_a_line():
    assert visible("a\nb\tc") == "a\nb\tc"
    assert visible_line("a\nb\tc") == "a\\nb\\tc"


@given(st.text(alphabet=st.characters()))
def test_whatever_comes_in_only_printable_comes_out(text):
    assert visible_line(text).isprintable()
    assert visible(text).replace("\n", "").replace("\t", "").isprintable()
    visible(text).encode("utf-8")  # raises for a surrogate
