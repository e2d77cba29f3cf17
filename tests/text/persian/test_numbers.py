"""Number words against num2words, and where that one is wrong."""

import random

import pytest
from num2words import num2words

from espnet_vibevoice.text.persian.numbers import (
    LARGEST,
    read_cardinal,
    read_decimal,
    read_ordinal,
)


def test_cardinals_agree_with_num2words_on_10000_random_integers():
    draw = random.Random(5)
    numbers = [draw.randrange(10 ** draw.randint(1, 15)) for _ in range(10_000)]
    differing = [n for n in numbers if read_cardinal(n) != num2words(n, lang="fa")]
    assert differing == []


def test_cardinal_ten_to_fifteen_is_one_quadrillion():
    # num2words says "one thousand milliard" by another scale here.
    assert read_cardinal(LARGEST) == "یک کوادریلیون"


def test_cardinal_beyond_largest_is_digits():
    assert read_cardinal(LARGEST + 1) == "یک " + "صفر " * 14 + "یک"


def test_cardinal_negative_has_its_sign():
    assert read_cardinal(-12) == "منفی دوازده"


def test_decimal_leading_zero_is_read():
    # num2words(12.05) is "twelve and half".
    assert read_decimal("12", "05") == "دوازده ممیز صفر پنج"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "یکم"),
        (2, "دوم"),
        (3, "سوم"),
        (13, "سیزدهم"),
        (20, "بیستم"),
        (30, "سی\u200cام"),  # ZERO WIDTH NON-JOINER; num2words writes "wire"
        (33, "سی و سوم"),
        (130, "صد و سی\u200cام"),  # ZERO WIDTH NON-JOINER
        (1000, "هزارم"),
        (1_000_000, "یک میلیونم"),
    ],
)
def test_ordinal_is_the_spoken_one(number, words):
    assert read_ordinal(number) == words
