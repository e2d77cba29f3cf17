"""The sentences of mini_fa: allowed characters, spelling, coverage, no overlap."""

import re
from collections import Counter
from pathlib import Path

import pytest

SENTENCES = Path(__file__).parents[3] / "egs2/mini_fa/tts1/local/sentences"
SETS = ("train", "valid", "test")
ZWNJ = "\u200c"  # ZERO WIDTH NON-JOINER
LETTERS = "ءآئؤابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
PUNCTUATION = ".،؛؟!:«»"


def read_sentences(set_name: str) -> list[str]:
    text = (SENTENCES / f"{set_name}.txt").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n")


def find_matches(pattern: str) -> list[str]:
    return [s for name in SETS for s in read_sentences(name) if re.search(pattern, s)]


def test_sentences_counts_are_those_of_the_readme():
    counts = {name: len(read_sentences(name)) for name in SETS}
    assert counts == {"train": 387, "valid": 25, "test": 25}
    readme = (SENTENCES.parents[1] / "README.md").read_text(encoding="utf-8")
    for name, count in counts.items():
        assert re.search(rf"\| {name} +\| +{count} ", readme), name


def test_sentences_characters_are_all_allowed():
    assert len(LETTERS) == 36
    allowed = re.escape(LETTERS + PUNCTUATION + ZWNJ + " ")
    assert find_matches(f"[^{allowed}]") == []


@pytest.mark.parametrize("set_name", SETS)
def test_sentences_length_is_3_to_20_words(set_name):
    lengths = {s: len(s.split(" ")) for s in read_sentences(set_name)}
    assert {s: n for s, n in lengths.items() if not 3 <= n <= 20} == {}


def test_sentences_letters_occur_in_three_train_sentences_each():
    counts = Counter(char for s in read_sentences("train") for char in set(s))
    needed = LETTERS + PUNCTUATION + ZWNJ
    assert {char: counts[char] for char in needed if counts[char] < 3} == {}


def test_sentences_letters_alone_occur_once_in_all_sets():
    keys = Counter(
        re.sub(f"[^{LETTERS}]", "", s) for name in SETS for s in read_sentences(name)
    )
    assert [key for key, count in keys.items() if count > 1] == []


def test_sentences_zwnj_stands_between_letters_where_it_cuts_a_join():
    assert find_matches(f"(?<![{LETTERS}]){ZWNJ}|{ZWNJ}(?![{LETTERS}])") == []
    assert find_matches(f"[ءآادذرزژوؤ]{ZWNJ}") == []  # these never join anyway


def test_sentences_verb_prefix_and_plural_are_not_cut_by_a_space():
    # The prefixes (ne)mi and the endings ha, haye, tar, tarin as words of their own.
    assert find_matches(r"(^| )ن?می ") == []
    assert find_matches(r" (ها|های|هایی|تر|ترین)( |[.،؛؟!]|$)") == []


def test_sentences_punctuation_follows_its_word_and_ends_the_sentence():
    assert find_matches(r"^ |  | $| [.،؛؟!:»]|« ") == []
    assert find_matches(r"[،؛:](?! )") == []
    assert find_matches(r"(?<![.؟!»])$") == []
    quotes = [re.sub("[^«»]", "", s) for name in SETS for s in read_sentences(name)]
    assert {q for q in quotes if q.replace("«»", "")} == set()


def test_sentences_kinds_are_varied():
    train = read_sentences("train")
    assert sum("؟" in s for s in train) >= 25
    assert sum("!" in s for s in train) >= 15
    assert sum("،" in s for s in train) >= 50
