import pytest

from espnet_vibevoice.text import normalize_persian
from espnet_vibevoice.text.cleaners import CLEANERS, find_cleaner

RAW = "ساعت ۱۰:۳۰ 😊"


def test_find_cleaner_persian_reads_and_counts_what_is_lost():
    reading = find_cleaner("persian")(RAW)
    assert reading.text == normalize_persian(RAW) == "ساعت ده و سی دقیقه"
    assert dict(reading.dropped) == {"😊": 1}


@pytest.mark.parametrize("name", ["none", None])
def test_find_cleaner_none_leaves_text_alone(name):
    reading = find_cleaner(name)(RAW)
    assert (reading.text, dict(reading.dropped)) == (RAW, {})


@pytest.mark.parametrize("name", CLEANERS)
def test_find_cleaner_twice_equals_once(name):
    clean = find_cleaner(name)
    once = clean(RAW).text
    assert clean(once).text == once


def test_find_cleaner_unknown_name_raises_with_the_choices():
    with pytest.raises(ValueError, match="cleaner is tacotron, .* none and persian"):
        find_cleaner("tacotron")
