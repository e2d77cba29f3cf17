import random
from pathlib import Path

import pytest

from espnet_vibevoice.score.columns import FAULTS
from espnet_vibevoice.score.error_rates import prepare_text
from espnet_vibevoice.score.failures import judge_failures

Z = "\u200c"  # ZERO WIDTH NON-JOINER
TEXT = "دیروز عصر با دوستانم کنار رودخانه قدم زدیم"
NATURAL = 3.4  # seconds
LEVEL = -24.0
LETTERS = "ابتجخدرزسشعفقکگلمنوهی "
SENTENCES = Path(__file__).parents[2] / "egs2/mini_fa/tts1/local/sentences/test.txt"


def judge(hypothesis=TEXT, seconds=NATURAL, **changes):
    given = {"natural_seconds": NATURAL, "level_dbfs": LEVEL} | changes
    reference = given.pop("reference", TEXT)
    return judge_failures(reference, hypothesis, seconds, **given)


def disturb(text, share, choose):
    """Replace, drop or add characters, as a recogniser that errs."""
    letters = []
    for letter in text:
        fate = choose.random() / share
        if fate < 0.5:
            letters.append(choose.choice(LETTERS))
        elif fate < 0.8:
            continue
        else:
            letters += [letter, choose.choice(LETTERS)] if fate < 1 else [letter]
    return "".join(letters)


def test_judge_failures_good_speech_has_none():
    assert judge() == ()


@pytest.mark.parametrize(
    "hypothesis",
    [
        "دیروز عصر با دوستانم کنار رود خانه قدم زدیم",  # a word divided
        "دیروز اسر با دوستانم کنار رودخانه قدم زدیم",
        "دیروزعصربا دوستانم کنار رودخانه قدم زدی",  # the last letter lost
        "دیروز عصر با دوستانم کنار رودخانه قدم",  # one short word at the end
        "خوش آمدید به برنامه امشب لطفا گوش کنید",  # another text: high CER, no span
    ],
)
def test_judge_failures_recogniser_slips_are_none(hypothesis):
    assert judge(hypothesis) == ()


@pytest.mark.parametrize(
    ("hypothesis", "seconds", "level"),
    [
        ("", 0.0, float("-inf")),  # no file
        ("", NATURAL, -90.0),
        (TEXT, NATURAL, -61.0),  # too quiet for anyone, whatever was recognised
        ("", NATURAL, LEVEL),  # noise in which nothing was recognised
        ("؟", NATURAL, LEVEL),
    ],
)
def test_judge_failures_nothing_spoken_is_empty(hypothesis, seconds, level):
    assert judge(hypothesis, seconds, level_dbfs=level) == ("empty",)


def test_judge_failures_long_silence_is_empty_and_endless():
    assert judge("", 30.0, level_dbfs=-80.0) == ("empty", "endless")


@pytest.mark.parametrize(
    ("hypothesis", "seconds"),
    [
        ("دیروز عصر با دوستانم کنار", 2.0),
        ("دیروز عصر با دوستانم کنار رودخانه", 2.9),
        ("دروز عسر با دوستانم کنا", 3.4),  # then silence
        (TEXT, 0.4 * NATURAL - 0.01),  # whatever was recognised: no time for it
    ],
)
def test_judge_failures_missing_end_is_cut(hypothesis, seconds):
    assert judge(hypothesis, seconds) == ("cut",)


def test_judge_failures_missing_beginning_is_not_cut():
    assert judge("کنار رودخانه قدم زدیم", 2.4) == ()


def test_judge_failures_cut_without_recogniser_goes_by_duration():
    assert judge(None, 1.2) == ("cut",)
    assert judge(None, 1.2, natural_seconds=None) == ("cut",)
    assert judge(None, 2.4) == ()


@pytest.mark.parametrize(
    ("seconds", "natural", "expected"),
    [
        (8.7, NATURAL, ()),
        (8.9, NATURAL, ("endless",)),  # twice 3.4 s and 2 s
        (14.5, None, ()),
        (14.7, None, ("endless",)),  # 42 characters at 0.3 s and 2 s
        (30.0, 20.0, ("endless",)),  # natural speech with a long pause is no excuse
    ],
)
def test_judge_failures_far_longer_is_endless(seconds, natural, expected):
    assert judge(TEXT, seconds, natural_seconds=natural) == expected


def test_judge_failures_short_word_has_grace():
    word = {"reference": "بله", "natural_seconds": 0.5}
    assert judge("بله", 2.5, **word) == ()
    assert judge("بله", 4.0, **word) == ("endless",)


@pytest.mark.parametrize(
    "hypothesis",
    [
        "دیروز عصر با دوستانم با دوستانم کنار رودخانه قدم زدیم",
        "دیروز عصر با دوستانم دیروز عصر با دوستانم کنار رودخانه قدم زدیم",
        f"{TEXT} {TEXT}",
        f"{TEXT} قدم زدیم قدم زدیم قدم زدیم",
        "دیروز عصر با دوستانم و دیروز عسر با دوستان کنار رودخانه قدم زدیم",
        "دیروز عصر با دوستانم کنار رودخانه رود خانه قدم زدیم",
        "دیروز عصر با با با با دوستانم کنار رودخانه قدم زدیم",  # a stutter
    ],
)
def test_judge_failures_phrase_again_is_repeated(hypothesis):
    assert judge(hypothesis, 6.5) == ("repeated",)


def test_judge_failures_endless_loop_is_both():
    loop = " ".join([TEXT, *["قدم زدیم"] * 30])
    assert judge(loop, 25.0) == ("endless", "repeated")


@pytest.mark.parametrize(
    "text",
    [
        "خیلی خیلی آرام آرام به خانه رفت",
        f"هر چه بیشتر می{Z}خوانم بیشتر می{Z}فهمم",
        "شهر به شهر و خانه به خانه گشتند",
        "نه نه نه نه نرو",
        "سال هزار و سیصد و سی و سه",
    ],
)
def test_judge_failures_repeats_of_the_reference_are_none(text):
    assert judge(text, 3.0, reference=text, natural_seconds=3.0) == ()


def test_judge_failures_once_more_than_the_reference_is_repeated():
    text = "خیلی خیلی آرام به خانه برگشت برگشت"
    heard = "خیلی خیلی آرام به خانه برگشت برگشت برگشت"
    assert judge(heard, 3.5, reference=text) == ("repeated",)


def test_judge_failures_loop_of_the_recogniser_does_not_count():
    loop = " ".join([TEXT] * 5)  # 210 characters, at least 7.4 s
    assert judge(loop, NATURAL) == ()
    assert judge(loop, 8.0) == ("repeated",)


def test_judge_failures_reference_of_nothing_is_judged_by_audio():
    assert judge("سلام", 3.0, reference="", natural_seconds=None) == ()
    assert judge("", 0.0, reference="", natural_seconds=None) == ("empty",)


def test_judge_failures_gives_names_in_order_of_columns():
    found = judge("", 30.0, level_dbfs=-80.0) + judge("دیروز عصر با", 1.0)
    assert set(found) == {"empty", "endless", "cut"} < set(FAULTS)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_judge_failures_noisy_recogniser_finds_faults_and_invents_few(share):
    choose = random.Random(0)
    texts = [prepare_text(line) for line in SENTENCES.read_text("utf-8").splitlines()]
    kinds = {"good": [], "cut": [], "repeated": []}
    for text in texts * 4:
        words = text.split()
        heard = {
            "good": words,
            "cut": words[:-3],
            "repeated": words[: len(words) * 2 // 3] + words,
        }
        for kind, said in heard.items():
            hypothesis = disturb(" ".join(said), share, choose)
            seconds = 0.08 * len(hypothesis)
            natural = 0.08 * len(text)
            kinds[kind].append(
                judge_failures(text, hypothesis, seconds, natural, LEVEL)
            )
    assert sum(bool(found) for found in kinds["good"]) <= 1  # of 100
    assert sum("cut" in found for found in kinds["cut"]) >= 95
    least = 50 if share == 0.2 else 90
    assert sum("repeated" in found for found in kinds["repeated"]) >= least
