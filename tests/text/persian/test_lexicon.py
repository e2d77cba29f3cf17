"""The word list: verb forms, adjectives, a missing hazm."""

import importlib.util
import subprocess
import sys

import pytest

from espnet_vibevoice.text.persian import lexicon


@pytest.mark.parametrize(
    "form",
    "روم رود گوید گفت گفتند بینمش خواهیم آید کنه گیرن تونم توان زنندشان رفته".split(),
)
def test_is_verb_form_after_durative_is_true(form):
    assert lexicon.is_verb_form(form)


@pytest.mark.parametrize("word", "ناب و معشوق کتاب خور راث هن دان وه".split())
def test_is_verb_form_other_word_is_false(word):
    assert not lexicon.is_verb_form(word)


def test_load_words_without_hazm_says_how_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lexicon._find_data.cache_clear()
    with pytest.raises(RuntimeError, match="pip install --no-deps hazm"):
        lexicon._find_data()


def test_front_end_imports_neither_hazm_nor_torch():
    code = (
        "import sys; from espnet_vibevoice.text import normalize_persian as n; "
        "n('می روم ۱۲'); print({'hazm', 'torch', 'numpy'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"
