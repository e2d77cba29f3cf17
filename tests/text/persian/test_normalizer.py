"""Properties of the whole front end: closed, idempotent, linear, quiet on errors."""

import logging
import tempfile
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from espnet_vibevoice.text import describe_dropped, normalize_persian, read_text
from espnet_vibevoice.text.persian.alphabet import OUTPUT_ALPHABET

# Nothing is written beside the sources.
set_hypothesis_home_dir(tempfile.gettempdir())
ZWNJ = "\u200c"  # ZERO WIDTH NON-JOINER
# Pieces that the steps look for, to be thrown together in any order.
PIECES = (
    "1 12 0 ۵ ٣ 1402 . , ، ٬ ٫ / - – : % $ € km m² °C ° ½ ^2 × = + < > ( ) [ ] « » ' "
    '" '
    "# @ a@b.com www.a.ir http:// * _ ` & &amp; <b> <!-- ه.ش ق.م. (ص) ص. د. قرن XX "
    "لویی تیر مهر ماه ساعت برد نسبت شماره کد کارت تلفن می نمی روم میروم ها های تر "
    "ترین ه ام ای خانه سلاممم الله ا ب یی ء أ ۀ \u064b \u0654 \u0670 😊 б α √ → ! ? "
    "؟ ؛ … v2 3rd م مین k M \u200c \u200d \u200f \u0640 \ufeff \u00ac \ue000 x y "
    "U.S.A. C++ *7# ~ |"
).split(" ")
RUNS = [
    *(
        "1",
        "1.",
        "1,",
        "1-",
        "1/",
        "1:",
        "a",
        "a.",
        "a@",
        "ا",
        "می ",
        "می",
        "ه ای ",
        "*",
    ),
    *(
        "[a](",
        "<b ",
        "<script>",
        "&amp;",
        "«",
        "»",
        '"',
        "(",
        "1^",
        "+",
        "1+",
        "=",
        "1°",
    ),
    *(
        "$",
        "0912",
        "هء",
        "ا\u200c",
        "\u064b",
        "!",
        " ",
        "\n",
        "#",
        "_",
        "کد ",
        "ق.",
        "M",
    ),
    *("قرن ", "1 تا ", "«»", "1⁄", "سلااا", "x(", "½", "ﷺ", "http://", "برد 1-0 ", "`"),
]

texts = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*PIECES, " ", " "]), max_size=14).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join),
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(texts)
def test_normalize_any_text_is_closed_composed_and_idempotent(text):
    reading = normalize_persian(text)
    assert set(reading) <= OUTPUT_ALPHABET
    assert unicodedata.normalize("NFC", reading) == reading
    assert "  " not in reading and reading == reading.strip()
    assert normalize_persian(reading) == reading


@pytest.mark.parametrize("unit", RUNS)
def test_normalize_long_run_takes_linear_time(unit):
    def measure(length):
        text = unit * (length // len(unit))
        start = time.process_time()
        normalize_persian(text)
        return time.process_time() - start

    measure(100)
    # twice as long would take 16 times as long if time grew with the square
    assert measure(16_000) < 9 * measure(4_000) + 0.05


def test_normalize_dropped_characters_are_logged(caplog):
    with caplog.at_level(logging.WARNING):
        assert normalize_persian("سلام б😊б") == "سلام"
    assert "'б' U+0431 (2), '😊' U+1F60A (1)" in caplog.text


def test_normalize_read_text_logs_nothing(caplog):
    normalize_persian(
        "سلام، ۵ نفر ــ \u200fخوب\u200e"
    )  # RIGHT-TO-LEFT, LEFT-TO-RIGHT MARK
    assert caplog.text == ""


def test_read_text_counts_dropped_characters():
    reading = read_text("خوب б")
    assert (reading.text, dict(reading.dropped)) == ("خوب", {"б": 1})
    assert describe_dropped(reading.dropped) == "'б' U+0431 (1)"


@pytest.mark.parametrize("text", ["", " ", "\n", "...", "😊", ZWNJ, "«»", "()"])
def test_normalize_text_without_words_is_empty(text):
    assert normalize_persian(text) == ""
