r"""The front end: the steps in order, what each needs to be worth running.

Markup goes first, since its marks mean nothing to a reader; then characters get one
form each, so that later patterns are short. Names of things (addresses, telephone
numbers, codes) come before quantities, or their digits would be read as such. Between
digits the more particular reading comes first: date, time, thousands, currency, unit,
equation, score, range, ratio, fraction, ordinal; what is left is a plain number. Then
signs, letters repeated for emphasis, punctuation, and the non-joiner last.
"""

import collections
import functools
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from espnet_vibevoice.text.persian import (
    abbreviations,
    characters,
    codes,
    currency,
    dates,
    equations,
    fractions,
    joining,
    markup,
    numbers,
    ordinals,
    punctuation,
    ranges,
    repeats,
    roman,
    symbols,
    times,
    units,
    web,
)
from espnet_vibevoice.text.persian.alphabet import DASHES, OUTPUT_ALPHABET, find_outside

_LOGGER = logging.getLogger(__name__)
_DIGIT = "[0-9]"
_NOT_PLAIN = rf"[^{''.join(sorted(OUTPUT_ALPHABET - set('.:«»-')))}.:«»]"
# (step, pattern without which it has nothing to do)
STEPS: tuple[tuple[Callable[[str], str], str], ...] = (
    (markup.remove_html, "[<&]"),
    (symbols.read_faces, r"[()\[\]DPp3^/\\|*]"),
    (markup.remove_markdown, r"[*_`~#>\[•▪●◦‣–=-]"),
    (characters.unify_characters, ""),
    (web.read_web, "[.@#]"),
    (abbreviations.read_abbreviations, r"[.…(0-9]|خ "),
    (codes.read_codes, _DIGIT),
    (dates.read_dates, _DIGIT),
    (ranges.read_scores, _DIGIT),
    (times.read_times, _DIGIT),
    (currency.join_thousands, _DIGIT),
    (symbols.read_prefixes, "[~≈≃<>≤≥+#/-]"),
    (codes.read_versions, _DIGIT),
    (currency.read_currency, "[0-9$€£¥₽₺₹₩₿¢؋﷼]"),
    (equations.read_equations, "[=≠≈≃<>≤≥≡+÷±×*√∛]"),
    (units.read_units, _DIGIT),
    (units.read_powers, r"[x×*X^]|\d[eE]"),
    (units.read_percent, "[%‰]"),
    (ordinals.read_ordinals, _DIGIT),
    (roman.read_roman, "[IVXLCDM]|لویی|لوئی|ناپلئون|الیزابت|پاپ|ژان پل"),
    (ranges.read_ranges, f"{_DIGIT}|[{DASHES}]"),
    (ranges.read_ratios, f"{_DIGIT} ?:"),
    (fractions.read_fractions, "[/⁄]"),
    (numbers.read_signs, _DIGIT),
    (numbers.read_numbers, _DIGIT),
    (symbols.read_symbols, _NOT_PLAIN),
    (repeats.shorten_repeats, ""),
    (punctuation.unify_punctuation, ""),
)
# A reading settles in two; more are for what nobody types.
_MAX_PASSES = 8


@dataclass(frozen=True)
class Reading:
    """What a text was made into.

    Args:
        text (str): The reading, in the output alphabet only.
        dropped (Counter): Characters that could not be read, with their counts.
    """

    text: str
    dropped: collections.Counter[str] = field(default_factory=collections.Counter)


@functools.cache
def _compile_steps() -> list[tuple[Callable[[str], str], Callable[[str], object]]]:
    """Pair each step with the search that tells whether it has work."""
    return [(step, re.compile(needed).search) for step, needed in STEPS]


def read_text(text: str) -> Reading:
    r"""Read a text aloud in writing, and count what could not be read.

    The steps run until nothing changes (the second time costs little), so that the
    reading of a reading is itself.

    Args:
        text (str): Any text.

    Returns:
        Reading: The reading and the dropped characters.

    Example:
        >>> read_text("ساعت ۱۰:۳۰ 😊")
        Reading(text='ساعت ده و سی دقیقه', dropped=Counter({'😊': 1}))
    """
    dropped: collections.Counter[str] = collections.Counter()
    for _ in range(_MAX_PASSES):
        before = text
        text = _run_once(text, dropped)
        if text == before:
            break
    return Reading(text, dropped)


def _run_once(text: str, dropped: collections.Counter[str]) -> str:
    """Run all steps; add the characters that no step could read."""
    for step, has_work in _compile_steps():
        if has_work(text):
            text = step(text)
    unknown = find_outside(text)
    if unknown:
        dropped.update(unknown)
        text = text.translate(dict.fromkeys(map(ord, set(unknown)), " "))
        text = punctuation.space_punctuation(text)
    return joining.join_affixes(text)


def describe_dropped(dropped: collections.Counter[str]) -> str:
    """Name characters with their code points and counts, the most frequent first.

    Example:
        >>> describe_dropped(collections.Counter("бб"))
        "'б' U+0431 (2)"
    """
    return ", ".join(
        f"{character!r} U+{ord(character):04X} ({count})"
        for character, count in dropped.most_common()
    )


def normalize_persian(text: str) -> str:
    r"""Write a text as a Persian reader would say it.

    The result has Persian letters, the zero width non-joiner, typed vowel marks and
    ezafe, Latin words, the marks ``. ، ؛ ؟ ! : « »`` and single spaces, nothing else.
    What could not be read is dropped and logged. Applied twice it changes nothing more.

    Args:
        text (str): Any text.

    Returns:
        str: The reading.

    Example:
        >>> normalize_persian("۲۰٪ از ۱۲.۵ كيلو")
        'بیست درصد از دوازده ممیز پنج کیلو'
    """
    reading = read_text(text)
    if reading.dropped:
        _LOGGER.warning(
            "dropped, no reading is known: %s (in %.60r)",
            describe_dropped(reading.dropped),
            text,
        )
    return reading.text
