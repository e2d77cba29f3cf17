import random
from pathlib import Path

import pytest

from espnet_vibevoice.score.error_rates import (
    ZWNJ_READINGS,
    EditCounts,
    WordEdit,
    align_characters,
    align_words,
    prepare_text,
    score_text,
)

Z = "\u200c"  # ZERO WIDTH NON-JOINER
SENTENCES = Path(__file__).parents[2] / "egs2/mini_fa/tts1/local/sentences"


def read_sentences():
    files = [SENTENCES / f"{name}.txt" for name in ("test", "valid")]
    return [line for f in files for line in f.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("سلام، خوبی؟ «بله»!", "سلام خوبی بله"),
        ("کتابِ خوب و مُدَرِّس، حتماً", "کتاب خوب و مدرس حتما"),
        ("علي و كتاب", "علی و کتاب"),  # Arabic yeh and kaf
        ("۲۵ درصد", "بیست و پنج درصد"),
        ("20٪", "بیست درصد"),
        ("AI و Python", "ai و python"),
        ("می روم به خانه ها", f"می{Z}روم به خانه{Z}ها"),
        ("کتـــاب", "کتاب"),  # tatweel
        ("  ", ""),
        ("؟!", ""),
        (Z, ""),
    ],
)
def test_prepare_text_unheard_marks_go(text, prepared):
    assert prepare_text(text) == prepared


@pytest.mark.parametrize(
    "spelling", ["خانۀ ما", "خانه\u0654 ما", "خانه ی ما", f"خانه{Z}ی ما", "خانهٔ ما"]
)
@pytest.mark.parametrize("zwnj", ZWNJ_READINGS)
def test_prepare_text_ezafe_spellings_are_one(spelling, zwnj):
    assert prepare_text(spelling, zwnj) == "خانه ما"


def test_prepare_text_indefinite_and_consonant_stay():
    assert prepare_text(f"خانه{Z}ای در راهی") == f"خانه{Z}ای در راهی"


@pytest.mark.parametrize(
    ("zwnj", "prepared"),
    [
        ("kept", f"نمی{Z}خواهم کتاب{Z}هایم"),
        ("merged", "نمیخواهم کتابهایم"),
        ("space", "نمی خواهم کتاب هایم"),
    ],
)
def test_prepare_text_each_reading_of_zwnj(zwnj, prepared):
    assert prepare_text(f"نمی{Z}خواهم، کتاب هایم", zwnj) == prepared


def test_prepare_text_unknown_reading_raises():
    with pytest.raises(ValueError, match="got 'keep', wanted one of kept, merged"):
        prepare_text("سلام", "keep")


@pytest.mark.parametrize("text", ["می، روم", "«کتاب»ها", "گفت: خانه. ی او", "ه ی ه ی"])
def test_prepare_text_twice_equals_once(text):
    assert prepare_text(prepare_text(text)) == prepare_text(text)


def test_prepare_text_sentences_twice_equals_once():
    sentences = read_sentences()
    assert len(sentences) == 50
    for sentence in sentences:
        assert prepare_text(prepare_text(sentence)) == prepare_text(sentence)


def test_score_text_known_edits_are_counted():
    score = score_text("سگ دید گربه را", "سگ دود گربه ها را")
    # one letter replaced; the plural is joined to its noun: a ZWNJ and two letters
    assert score.hypothesis == f"سگ دود گربه{Z}ها را"
    assert score.characters == EditCounts(hits=13, substitutions=1, insertions=3)
    assert score.words == EditCounts(hits=2, substitutions=2)
    assert score.characters.rate == 4 / 14  # three spaces of the reference count
    assert score.words.rate == 0.5


def test_score_text_zwnj_readings_differ_as_they_should():
    spoken, heard = f"کتاب{Z}خانه بزرگ", "کتابخانه بزرگ"
    rates = {z: score_text(spoken, heard, z) for z in ZWNJ_READINGS}
    assert rates["kept"].characters == EditCounts(hits=13, deletions=1)
    assert rates["kept"].words == EditCounts(hits=1, substitutions=1)
    assert rates["merged"].characters.errors == rates["merged"].words.errors == 0
    assert rates["space"].characters == EditCounts(hits=13, deletions=1)
    assert rates["space"].words == EditCounts(hits=1, substitutions=1, deletions=1)


def test_score_text_typing_habits_cost_nothing():
    score = score_text("«می‌روم»؛ ۳ كتابِ خانۀ ما، حتماً!", "مي روم سه کتاب خانه ما حتما")
    assert score.characters.errors == score.words.errors == 0
    assert score.reference == score.hypothesis


def test_score_text_empty_hypothesis_is_all_deletions():
    score = score_text("سلام دنیا", "")
    assert score.characters == EditCounts(deletions=9)
    assert score.words == EditCounts(deletions=2)
    assert score.characters.rate == score.words.rate == 1.0


def test_score_text_hypothesis_of_other_script_is_an_error_not_a_crash():
    score = score_text("سلام", "Salam 你好")
    assert score.hypothesis == "salam"
    assert score.words == EditCounts(substitutions=1)
    assert score.characters == EditCounts(substitutions=4, insertions=1)


@pytest.mark.parametrize("reference", ["", "  ", "...", "؟!", Z, "😊"])
def test_score_text_reference_of_nothing_raises(reference):
    with pytest.raises(ValueError, match="has no word to compare with"):
        score_text(reference, "سلام")


def test_score_text_one_word_deleted_in_each_gives_exactly_that_many():
    choose = random.Random(0)
    total = EditCounts()
    sentences = [s for s in read_sentences() if len(prepare_text(s).split()) > 2]
    for sentence in sentences:
        words = prepare_text(sentence).split()
        del words[choose.randrange(len(words))]
        total += score_text(sentence, " ".join(words)).words
    assert (total.deletions, total.errors) == (len(sentences), len(sentences))


def test_score_text_shuffled_texts_give_a_high_rate_and_own_texts_none():
    sentences = read_sentences()
    own, shuffled = EditCounts(), EditCounts()
    for spoken, other in zip(sentences, sentences[1:] + sentences[:1], strict=True):
        own += score_text(spoken, spoken).characters
        shuffled += score_text(spoken, other).characters
    assert own.rate == 0
    assert shuffled.rate > 0.6


def test_edit_counts_sum_gives_rate_of_the_set():
    total = EditCounts(1, 2, 3, 4) + EditCounts(10, 0, 0, 0)
    assert total == EditCounts(11, 2, 3, 4)
    assert (total.reference_length, total.errors, total.rate) == (17, 9, 9 / 17)


def test_edit_counts_without_reference_have_no_rate():
    assert EditCounts(insertions=3).rate is None


def test_align_words_gives_one_step_for_each_word():
    spoken, heard = "دیروز من به خانه دوستم رفتم", "دیروز من خانه دوستم می رفتند"
    assert align_words(spoken, heard) == [
        WordEdit("equal", "دیروز", "دیروز"),
        WordEdit("equal", "من", "من"),
        WordEdit("delete", "به", ""),
        WordEdit("equal", "خانه", "خانه"),
        WordEdit("equal", "دوستم", "دوستم"),
        WordEdit("insert", "", "می"),
        WordEdit("substitute", "رفتم", "رفتند"),
    ]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "kinds"),
    [("", "", []), ("", "ab", ["insert"] * 2), ("ab", "", ["delete"] * 2)],
)
def test_align_characters_empty_side_is_all_of_a_kind(reference, hypothesis, kinds):
    assert [e.kind for e in align_characters(reference, hypothesis)] == kinds


def test_align_characters_rebuilds_both_texts_and_agrees_with_counts():
    score = score_text(f"نمی{Z}دانم چرا رفت", "نمی دونم که رفت و رفت")
    edits = align_characters(score.reference, score.hypothesis)
    assert "".join(edit.reference for edit in edits) == score.reference
    assert "".join(edit.hypothesis for edit in edits) == score.hypothesis
    kinds = [edit.kind for edit in edits]
    assert (
        EditCounts(
            kinds.count("equal"),
            kinds.count("substitute"),
            kinds.count("insert"),
            kinds.count("delete"),
        )
        == score.characters
    )
