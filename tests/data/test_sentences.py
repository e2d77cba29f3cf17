import pytest

from espnet_vibevoice.data.sentences import find_text_key


@pytest.mark.parametrize(
    "text",
    [
        "سلام دنیا",
        " سلام،  دنیا! ",
        "س\u064eلام دنیا",  # ARABIC FATHA
        "سلا\u200cم دنیا",  # ZERO WIDTH NON-JOINER
        "«سلام» دنیا...",
    ],
)
def test_find_text_key_marks_and_spacing_make_no_difference(text):
    assert find_text_key(text) == "سلام دنیا"


def test_find_text_key_other_words_differ():
    assert find_text_key("سلام دنیا") != find_text_key("سلام دنیای")


def test_find_text_key_no_letters_is_empty():
    assert find_text_key("؟! \U0001f600") == ""
