"""Failures that a listener notices at once, judged from length, level and words.

Length and level are measured, words are what a recogniser made of the audio: with one
that errs, a rule on words errs too. Rules on words therefore look for spans, compare
letters rather than words, and forgive a share of wrong ones; and they hold for natural
speech and resynthesis as well, whose rates beside those of the synthesis are what the
recogniser alone brings about.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from espnet_vibevoice.score.decoded_audio import SILENT_BELOW_DBFS
from espnet_vibevoice.score.error_rates import prepare_text

# Fast Persian speech has 20 characters a second, slow reading with pauses 8.
FASTEST_SECONDS_PER_CHARACTER = 0.035
SLOWEST_SECONDS_PER_CHARACTER = 0.3
# Against natural speech of the same text; speakers differ by a factor of 1.5 at most.
CUT_BELOW_NATURAL = 0.4
ENDLESS_ABOVE_NATURAL = 2.0
ENDLESS_GRACE_SEC = 2.0  # for pauses before, after and within, however short the text
# Words at the end that nothing answers to, and how well the rest must fit.
CUT_LETTERS = 5
BEGINNING_MAX_ERROR_RATE = 0.5
# Two copies of a phrase, each with errors of its own, so twice as many between them;
# a long phrase is not like another by chance.
REPEATED_LETTERS = 5
REPEATED_SIMILARITY = 0.75
LONG_LETTERS = 8
LONG_SIMILARITY = 0.6
SYLLABLE_COPIES = 3  # more than the reference has, of a phrase below REPEATED_LETTERS


@dataclass(frozen=True)
class _Run:
    """A phrase spoken so many times in a row."""

    phrase: str
    copies: int


def judge_failures(
    reference: str,
    hypothesis: str | None,
    seconds: float,
    natural_seconds: float | None,
    level_dbfs: float,
) -> tuple[str, ...]:
    """Name what is grossly wrong with one utterance.

    - ``empty``: no samples, RMS level below -60 dBFS, or nothing recognised.
    - ``cut``: the end is missing. Either the audio cannot hold the text (shorter than
      0.035 s per character or than 0.4 of the natural duration), or the words at the
      end, 5 letters or more, have no counterpart while what comes before fits (at
      most half its characters wrong). Not judged for an empty one.
    - ``endless``: longer than twice the natural duration and 2 s, or than 0.3 s per
      character and 2 s.
    - ``repeated``: a phrase of 5 letters or more is heard more often in a row than the
      reference has it, three quarters of the letters alike (0.6 from 8 letters), one
      word between the copies allowed; or a shorter one three times more often. More
      text than the duration can hold is a loop of the recogniser and does not count.

    On the 437 sentences of the mini recipe with 10% (20%) of the characters wrong at
    random, `cut` and `repeated` are wrongly found in 0 (1) of them; two words missing
    at the end are found in 99% (98%), a sentence begun again in 96% (64%), an endless
    loop in all (99%), two words said twice in 65% (31%), or 92% without errors.

    Args:
        reference (str): What was to be said.
        hypothesis (str | None): What was recognised; None without a recogniser, which
            leaves out the rules on words.
        seconds (float): Duration of the audio; 0 where there is none.
        natural_seconds (float | None): Duration of natural speech, where known.
        level_dbfs (float): RMS level; ``-inf`` where there is no audio.

    Returns:
        tuple[str, ...]: Any of ``columns.FAULTS``, in that order.
    """
    spoken = prepare_text(reference)
    heard = None if hypothesis is None else prepare_text(hypothesis)
    is_empty = seconds <= 0 or level_dbfs < SILENT_BELOW_DBFS or heard == ""
    judged = {
        "empty": is_empty,
        "cut": not is_empty
        and (
            _is_too_short(spoken, seconds, natural_seconds)
            or (heard is not None and _lacks_end(spoken, heard))
        ),
        "endless": _is_too_long(spoken, seconds, natural_seconds),
        "repeated": bool(heard)
        and seconds >= FASTEST_SECONDS_PER_CHARACTER * len(heard)
        and _has_repeats(spoken, heard),
    }
    return tuple(fault for fault, is_so in judged.items() if is_so)


def _is_too_short(spoken: str, seconds: float, natural: float | None) -> bool:
    if seconds < FASTEST_SECONDS_PER_CHARACTER * len(spoken):
        return True
    return natural is not None and seconds < CUT_BELOW_NATURAL * natural


def _is_too_long(spoken: str, seconds: float, natural: float | None) -> bool:
    limits = [SLOWEST_SECONDS_PER_CHARACTER * len(spoken)] if spoken else []
    if natural is not None:
        limits.append(ENDLESS_ABOVE_NATURAL * natural)
    return any(seconds > limit + ENDLESS_GRACE_SEC for limit in limits)


def _lacks_end(spoken: str, heard: str) -> bool:
    """Whether some beginning of the reference fits better than all of it."""
    words = spoken.split()
    beginnings = [" ".join(words[:count]) for count in range(1, len(words) + 1)]
    if not beginnings:
        return False
    errors = [Levenshtein.distance(beginning, heard) for beginning in beginnings]
    fewest = min(errors)
    best = max(count for count, error in enumerate(errors) if error == fewest)
    missing = _join_letters(words[best + 1 :])
    fits = fewest <= BEGINNING_MAX_ERROR_RATE * len(beginnings[best])
    return fits and len(missing) >= CUT_LETTERS


def _has_repeats(spoken: str, heard: str) -> bool:
    """Whether a phrase runs on for longer than the reference has it."""
    spoken_words, heard_words = (
        # the same word with and without ZWNJ is one word here
        prepare_text(text, "merged").split()
        for text in (spoken, heard)
    )
    longest = len(spoken_words) + 2  # a recogniser may divide a word in two
    excused = list(_find_runs(spoken_words, longest))
    for run in _find_runs(heard_words, longest):
        allowed = max(
            (other.copies for other in excused if _is_alike(run.phrase, other.phrase)),
            default=1,
        )
        is_short = len(run.phrase) < REPEATED_LETTERS
        if run.copies >= allowed + (SYLLABLE_COPIES if is_short else 1):
            return True
    return False


def _find_runs(words: Sequence[str], longest: int) -> Iterator[_Run]:
    """Yield phrases of up to ``longest`` words that follow themselves."""
    for size in range(1, min(longest, len(words) - 1) + 1):
        for start in range(len(words) - size):
            copies, end = 1, start + size
            phrase = _join_letters(words[start:end])
            while (after := _find_copy(words, phrase, end, size)) is not None:
                copies, end = copies + 1, after
            if copies > 1:
                yield _Run(phrase, copies)


def _find_copy(words: Sequence[str], phrase: str, end: int, size: int) -> int | None:
    """Return where a copy of the phrase ends that begins at most one word on.

    The copy may be divided into one word more or less.
    """
    for gap, change in itertools.product((0, 1), (0, 1, -1)):
        start, length = end + gap, size + change
        after = start + length
        if length < 1 or after > len(words):
            continue
        if _is_alike(phrase, _join_letters(words[start:after])):
            return after
    return None


def _is_alike(phrase: str, other: str) -> bool:
    is_long = min(len(phrase), len(other)) >= LONG_LETTERS
    least = LONG_SIMILARITY if is_long else REPEATED_SIMILARITY
    return Levenshtein.normalized_similarity(phrase, other) >= least


def _join_letters(words: Sequence[str]) -> str:
    return "".join(words)
