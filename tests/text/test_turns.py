"""Scripts through a cleaner: tags stay, what is said is read aloud."""

import pytest

from espnet_vibevoice.models.multispeaker_script import parse_script
from espnet_vibevoice.text.cleaners import find_cleaner


def read(text):
    return find_cleaner("persian")(text)


def test_cleaner_of_a_script_keeps_tags_and_reads_each_turn():
    reading = read("Speaker 1: صفحهٔ ۳  Speaker 2: ۴؟")
    assert reading.text == "Speaker 1: صفحهٔ سه Speaker 2: چهار؟"


def test_cleaner_of_a_script_twice_equals_once():
    once = read("Speaker 0: ساعت ۵\nSpeaker 1: بله 😀").text
    assert read(once).text == once
    assert parse_script(once).lines == ("ساعت پنج", "بله")


def test_cleaner_of_a_script_tells_what_every_turn_lost():
    assert read("Speaker 0: بله 😀 Speaker 1: نه 😀").dropped["😀"] == 2


@pytest.mark.parametrize("text", ["صفحه ۳", "گفت Speaker 1: ۳"])
def test_cleaner_of_a_text_without_a_turn_at_its_head_reads_it_whole(text):
    assert "3" not in read(text).text and "1" not in read(text).text
