r"""The letters and marks that a reading is made of, and the pieces of patterns.

Regular expressions' ``\b`` and ``\w`` do not know that a zero width non-joiner
(U+200C) and a vowel mark are parts of a Persian word; the pieces here do.
"""

import re

ZWNJ = "\u200c"  # ZERO WIDTH NON-JOINER
HAMZA_ABOVE = "\u0654"
# Fathatan to sukun, hamza above, superscript alef.
VOWEL_MARKS = "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0654\u0670"
LETTERS = "ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
MARKS = ".،؛؟!:«»"
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OUTPUT_ALPHABET = frozenset(LETTERS + VOWEL_MARKS + ZWNJ + LATIN + MARKS + " ")

# Stands where a bracket or dash asks for a pause; never leaves the package.
PAUSE = "\ue000"

WORD = f"{LETTERS}{VOWEL_MARKS}{ZWNJ}"  # inside [...]: of a Persian word
START = f"(?<![{WORD}A-Za-z0-9])"  # no word goes on to the left
END = f"(?![{WORD}A-Za-z0-9])"  # no word goes on to the right
NUMBER = r"\d+(?:\.\d+)?"
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2212"  # hyphens, dashes, minus sign

_OUTSIDE = re.compile(f"[^{re.escape(''.join(sorted(OUTPUT_ALPHABET)))}]")


def any_of(words: object) -> str:
    """Return a pattern for one of the words, the longest first.

    Example:
        >>> any_of(["m", "mm"])
        '(?:mm|m)'
    """
    ordered = sorted(map(str, words), key=lambda word: (-len(word), word))
    return f"(?:{'|'.join(map(re.escape, ordered))})"


def find_outside(text: str) -> list[str]:
    """Return the characters that are not in the output alphabet, in order.

    Example:
        >>> find_outside("a1б")
        ['1', 'б']
    """
    return _OUTSIDE.findall(text)
