"""Sentence splitting and its guards."""

import time

import pytest

from espnet_vibevoice.text import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("سلام", ["سلام"]),
        ("سلام. خوبی؟ بله!", ["سلام.", "خوبی؟", "بله!"]),
        ("۱۲.۵ کیلو. تمام.", ["۱۲.۵ کیلو.", "تمام."]),
        ("د. احمدی آمد. رفت.", ["د. احمدی آمد.", "رفت."]),
        ("سال ۱۳۲۰ ه.ش. بود. رفت.", ["سال ۱۳۲۰ ه.ش. بود.", "رفت."]),
        ("م. امید شاعر بود. او رفت.", ["م. امید شاعر بود.", "او رفت."]),
        ("۱. سیب\n۲. موز", ["۱. سیب", "۲. موز"]),
        ("گفت: «برو.» رفت.", ["گفت: «برو.»", "رفت."]),
        ("واقعا؟! بله...", ["واقعا؟!", "بله..."]),
        ("سایت a.ir خوب است. بله.", ["سایت a.ir خوب است.", "بله."]),
        ("Dr. Smith رفت. J. Doe ماند.", ["Dr. Smith رفت.", "J. Doe ماند."]),
        ("ص. ۱۲ را ببین. خوب.", ["ص. ۱۲ را ببین.", "خوب."]),
        ("خط اول\nخط دوم", ["خط اول", "خط دوم"]),
        ("رسید به ۲۰. بعد رفت.", ["رسید به ۲۰.", "بعد رفت."]),
    ],
)
def test_split_text_gives_sentences(text, sentences):
    assert split_sentences(text) == sentences


def test_split_long_text_loses_nothing():
    text = "این ۱۲.۵ است. د. احمدی گفت؟ " * 2000
    assert " ".join(split_sentences(text)) == text.strip()


@pytest.mark.parametrize("unit", ["!", "!»", ".", "a.", "1. ", "د. ", "\n", " ", "م."])
def test_split_long_run_takes_linear_time(unit):
    start = time.process_time()
    split_sentences(unit * (200_000 // len(unit)))
    assert time.process_time() - start < 3
