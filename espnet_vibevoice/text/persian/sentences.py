r"""Divides a text into sentences.

A mark ends a sentence before a space or the end of the line. Guards: initials,
abbreviations, numbers of a list; decimals and addresses have no space after the point.
"""

import re

from espnet_vibevoice.text.persian.abbreviations import (
    BEFORE_NAME,
    BEFORE_NUMBER,
    DOTTED,
)
from espnet_vibevoice.text.persian.alphabet import LETTERS

_BOUNDARY = re.compile(r"(?<![.!?؟…])[.!?؟…]++[»”’\")\]]*+(?=\s)|\n+")
_LAST_TOKEN = re.compile(r"(\S+)$")
_TOKEN_LENGTH = 16
_INITIAL = re.compile(rf"(?:[{LETTERS}A-Z]\.)+[{LETTERS}A-Z]?")
_LIST_NUMBER = re.compile(r"[\d۰-۹]{1,3}|[A-Za-z]")
_LATIN = ("Dr", "Mr", "Mrs", "Ms", "Prof", "St", "vs", "etc", "No", "Fig", "e.g", "i.e")
_ABBREVIATIONS = frozenset([*BEFORE_NAME, *BEFORE_NUMBER, *DOTTED, *_LATIN])


def split_sentences(text: str) -> list[str]:
    r"""Divide a text into sentences, raw or normalised.

    Args:
        text (str): Any text; a line break always ends a sentence.

    Returns:
        list[str]: Sentences without the spaces around them; none is empty.

    Example:
        >>> split_sentences("د. احمدی 12.5 کیلو خرید. رفت؟ بله!")
        ['د. احمدی 12.5 کیلو خرید.', 'رفت؟', 'بله!']
    """
    sentences = []
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        if _is_guarded(text, start, boundary):
            continue
        sentences.append(text[start : boundary.end()].strip())
        start = boundary.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _is_guarded(text: str, start: int, boundary: re.Match[str]) -> bool:
    """Tell whether a point belongs to an abbreviation, an initial or a list number."""
    if boundary.group() != ".":
        return False
    first = max(start, boundary.start() - _TOKEN_LENGTH)
    token = _LAST_TOKEN.search(text, first, boundary.start())
    if token is None:
        return False
    word = token[1].lstrip("(«\"'[")
    before = text[start : min(token.start(), start + _TOKEN_LENGTH)]
    is_first = not before.strip()
    if is_first and _LIST_NUMBER.fullmatch(word):
        return True
    return word in _ABBREVIATIONS or _INITIAL.fullmatch(f"{word}.") is not None
