r"""Letters repeated for emphasis: three and more become what the word list knows."""

import itertools
import re

from espnet_vibevoice.text.persian.alphabet import LETTERS
from espnet_vibevoice.text.persian.lexicon import load_words

_RUN = re.compile(rf"([{LETTERS}])\1{{2,}}")
_WORD = re.compile(rf"[{LETTERS}]+")
_MAX_RUNS = 6  # 2 ** 6 spellings are tried
# Seen in chats; the word list does not have them.
_SPOKEN = frozenset("آره نه وای آخ اه هه خب چرا عه مرسی خوبی بله چی ایول دمت".split())


def shorten_repeats(text: str) -> str:
    r"""Shorten runs of three and more equal letters to one or two.

    Each run is tried with one and with two letters; the most frequent known word wins,
    then the one with the shorter runs.

    Example:
        >>> shorten_repeats("سلاممممم، ممممنون، الله")
        'سلام، ممنون، الله'
    """
    if _RUN.search(text) is None:
        return text
    return _WORD.sub(_shorten_word, text)


def _shorten_word(match: re.Match[str]) -> str:
    """Shorten the runs of one word."""
    word = match.group()
    runs = [found.span() for found in _RUN.finditer(word)]
    if not runs:
        return word
    single = _RUN.sub(r"\1", word)
    if len(runs) > _MAX_RUNS or single in _SPOKEN:
        return single
    words = load_words()
    candidates = [
        _respell(word, runs, lengths)
        for lengths in itertools.product((1, 2), repeat=len(runs))
    ]
    known = [c for c in candidates if c in words]
    if not known:
        return single
    return max(known, key=lambda c: (words[c][1], words[c][0]))


def _respell(word: str, runs: list[tuple[int, int]], lengths: tuple[int, ...]) -> str:
    """Write a word with each run cut to a length."""
    pieces = []
    position = 0
    for (start, end), length in zip(runs, lengths, strict=True):
        pieces.append(word[position : start + length])
        position = end
    return "".join([*pieces, word[position:]])
