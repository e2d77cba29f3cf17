"""Sentences of the grammar: new ones, well spelt, of varied length, always the same."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCAL = ROOT / "egs2/mini_fa/asr1/local"
BY_HAND = ROOT / "egs2/mini_fa/tts1/local/sentences"
SETS = ("train", "valid", "test")
ZWNJ = "\u200c"  # ZERO WIDTH NON-JOINER
LETTERS = "ءآأئؤابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
COUNTS = {"train": 1500, "valid": 20, "test": 20}


def run_script(out: Path, *options: str, **counts: int) -> dict[str, list[str]]:
    command = [sys.executable, str(LOCAL / "make_sentences.py"), "--out", str(out)]
    for name, count in (COUNTS | counts).items():
        command += [f"--{name}", str(count)]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    result = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, env=env
    )
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    read = (out / f"{name}.txt" for name in SETS)
    texts = [path.read_text(encoding="utf-8").split("\n")[:-1] for path in read]
    return dict(zip(SETS, texts, strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, list[str]]:
    """The sets, without sentences by hand."""
    return run_script(tmp_path_factory.mktemp("made"))


def find_letters(text: str) -> str:
    return re.sub(f"[^{LETTERS}]", "", text)


def test_make_sentences_counts_and_no_sentence_twice(made):
    assert {name: len(texts) for name, texts in made.items()} == COUNTS
    keys = Counter(find_letters(text) for texts in made.values() for text in texts)
    assert max(keys.values()) == 1


def test_make_sentences_characters_and_spaces_are_right(made):
    allowed = re.compile(f"[{LETTERS}{ZWNJ} .،؛؟!:«»]+")
    for text in made["train"]:
        assert allowed.fullmatch(text), text
        assert not re.search(r"^ |  | $| [.،؛؟!:»]|« |[،؛:](?! )", text), text
        assert text[-1] in ".؟!»", text
        assert not re.search(f"[ءآادذرزژوؤ]{ZWNJ}|{ZWNJ}(?![{LETTERS}])", text), text


def test_make_sentences_lengths_go_from_2_to_16_words(made):
    lengths = Counter(text.count(" ") + 1 for text in made["train"])
    assert set(range(2, 14)) <= set(lengths)
    assert 1 <= min(lengths) and max(lengths) <= 16
    assert max(lengths.values()) < 0.25 * len(made["train"])


def test_make_sentences_letters_and_pairs_are_covered(made):
    train = made["train"]
    letters = Counter(letter for text in train for letter in set(text))
    assert {x: letters[x] for x in LETTERS if letters[x] < 5} == {}
    pairs = {a + b for t in train for a, b in zip(t, t[1:], strict=False)}
    assert len({p for p in pairs if set(p) <= set(LETTERS)}) > 500
    assert sum("؟" in text for text in train) > 50
    assert sum("!" in text for text in train) > 30


def test_make_sentences_same_seed_same_files_other_seed_others(made, tmp_path):
    assert run_script(tmp_path / "again") == made
    assert run_script(tmp_path / "other", "--seed", "1")["train"] != made["train"]


def test_make_sentences_longer_train_begins_alike(made, tmp_path):
    longer = run_script(tmp_path, train=1600)
    assert longer["train"][:1500] == made["train"]
    assert (longer["valid"], longer["test"]) == (made["valid"], made["test"])


def test_make_sentences_by_hand_come_first_and_are_never_made(tmp_path):
    texts = run_script(tmp_path, "--add", str(BY_HAND), train=30)
    for name in SETS:
        by_hand = (BY_HAND / f"{name}.txt").read_text(encoding="utf-8").split("\n")
        assert texts[name][: len(by_hand) - 1] == by_hand[:-1]
    keys = Counter(find_letters(text) for found in texts.values() for text in found)
    assert max(keys.values()) == 1


@pytest.fixture
def persian(monkeypatch):
    """The module of forms."""
    monkeypatch.syspath_prepend(str(LOCAL))
    import persian

    return persian


@pytest.mark.parametrize(
    ("word", "form", "wanted"),
    [
        ("کتاب", "ez", "کتاب"),
        ("خانه", "ez", "خانه\u200cی"),
        ("کوه*", "ez", "کوه"),
        ("دریا", "ez", "دریای"),
        ("شب", "plez", "شب\u200cهای"),
        ("در", "pl", "درها"),
        ("خانه", "indef", "خانه\u200cای"),
        ("صدا", "indef", "صدایی"),
        ("مرد", "indef", "مردی"),
        ("کتاب", "my", "کتابم"),
        ("خانه", "his", "خانه\u200cاش"),
        ("عمو", "your", "عمویت"),
        ("صندلی", "own", "صندلی\u200cمان"),
        ("گران", "er", "گران\u200cتر"),
        ("تازه", "er", "تازه\u200cتر"),
        ("نو*", "er", "نوتر"),
    ],
)
def test_inflect_noun_joins_by_the_last_sound(persian, word, form, wanted):
    assert persian.inflect_noun(word, form, person=4) == wanted


@pytest.mark.parametrize(
    ("verb", "tense", "person", "wanted"),
    [
        ("خرید/خر", "past", 3, "خرید"),
        ("خرید/خر", "npast", 6, "نخریدند"),
        ("خرید/خر", "pres", 1, "می\u200cخرم"),
        ("خرید/خر", "subj", 4, "بخریم"),
        ("خرید/خر", "imp", 2, "بخر"),
        ("آمد/آی", "subj", 1, "بیایم"),
        ("آمد/آی", "imp", 2, "بیا"),
        ("آمد/آی", "npast", 3, "نیامد"),
        ("انداخت/انداز", "nimp", 5, "نیندازید"),
        ("ایستاد/ایست/بایست", "subj", 3, "بایستد"),
        ("تمیز کرد/کن", "nperf", 1, "تمیز نکرده\u200cام"),
        ("تمیز کرد/کن", "subj", 3, "تمیز کند"),
        ("تمیز کرد/کن", "nfut", 3, "تمیز نخواهد کرد"),
        ("حرف زد/زن", "subj", 3, "حرف بزند"),
        ("بر+گشت/گرد", "npres", 1, "برنمی\u200cگردم"),
        ("بر+گشت/گرد", "fut", 3, "برخواهد گشت"),
        ("بر+گشت/گرد", "subj", 3, "برگردد"),
        ("دوست داشت/!دار", "npres", 1, "دوست ندارم"),
        ("دوست داشت/!دار", "impf", 6, "دوست داشتند"),
        ("رفت/رو", "plup", 2, "رفته بودی"),
    ],
)
def test_inflect_verb_agrees_in_tense_and_person(persian, verb, tense, person, wanted):
    assert persian.inflect_verb(verb, tense, person) == wanted


def test_inflect_unknown_forms_raise(persian):
    with pytest.raises(ValueError, match="'plural' is no form"):
        persian.inflect_noun("کتاب", "plural", 3)
    with pytest.raises(ValueError, match="'passive' is no tense"):
        persian.inflect_verb("خرید/خر", "passive", 3)
