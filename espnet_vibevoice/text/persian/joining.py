r"""The zero width non-joiner, last and conservatively.

It replaces a space only where no other reading is likely: after the durative prefix
before a known verb; before plural endings; before the superlative, and before the
comparative of a known adjective; before short forms of "to be" and pronouns after a
silent heh. Joined spellings of the durative are divided unless the whole is a word.
"""

import re

from espnet_vibevoice.text.persian.alphabet import (
    END,
    LETTERS,
    START,
    VOWEL_MARKS,
    WORD,
    ZWNJ,
)
from espnet_vibevoice.text.persian.guarded import Guarded
from espnet_vibevoice.text.persian.lexicon import is_adjective, is_known, is_verb_form

_BARE_MARKS = re.compile(f"[{VOWEL_MARKS}]")
_DURATIVE = Guarded("می ", rf"{START}(ن?می) ([{WORD}]+)")
_JOINED_DURATIVE = Guarded("می", rf"{START}(ن?می)([^\W\d_][{WORD}]+)")
_PLURAL = Guarded(
    " ها",
    rf"{START}([{WORD}]{{2,}}) "
    rf"(ها(?:ی(?:ی|م|ت|ش|مان|تان|شان|مون|تون|شون)?|م|ت|ش|تان|شان|تون|شون)?){END}",
)
_NO_NOUNS = frozenset(
    "و که از به با در بر تا را رو یا اگر هم نه ای آی بله خب پس ولی اما چون مگر چه "
    "می نمی است بود شد هست آره آخه ها".split()
)
# Adjectives of the field, of drinking: not "you know".
_AMBIGUOUS = frozenset(["میدانی", "میخواری"])
_COMPARATIVE = Guarded(
    " تر", rf"{START}([{WORD}]{{2,}}) (تر|تری|ترین|ترین{ZWNJ}?ها){END}"
)
_SILENT_HEH = Guarded(
    f"ه (?:ام|ات|اش|ای|ایم|اید|اند|ی){END}",
    rf"((?<=[{WORD}])[^اویآ\W]ه|{START}(?:قهوه|میوه|شیوه|نحوه|جلوه|بیوه)) "
    rf"(ام|ات|اش|ای|ایم|اید|اند|ی){END}",
)
_LATIN_PLURAL = Guarded("[A-Za-z]ها", rf"(?<=[A-Za-z])(?=ها(?:ی[{WORD}]*)?{END})")
_SCRIPTS = Guarded(
    "[A-Za-z]",
    f"(?<=[A-Za-z])(?=[{LETTERS}])|(?<=[{LETTERS}{VOWEL_MARKS}])(?=[A-Za-z])",
)
_DOUBLE_HEH = Guarded("هها", rf"{START}([{WORD}]+ه)(ها(?:ی)?(?:ی)?){END}")


def join_affixes(text: str) -> str:
    r"""Put the non-joiner between a word and its endings or prefix.

    Example:
        >>> join_affixes("می روم و کتاب ها را می خوانم")
        'می\u200cروم و کتاب\u200cها را می\u200cخوانم'
        >>> join_affixes("خسته ام، هوا تر است، میدان")
        'خسته\u200cام، هوا تر است، میدان'
    """
    text = _LATIN_PLURAL.sub(ZWNJ, text)
    text = _SCRIPTS.sub(" ", text)
    text = _DURATIVE.sub(_join_durative, text)
    text = _JOINED_DURATIVE.sub(_divide_durative, text)
    text = _PLURAL.sub(_join_plural, text)
    text = _COMPARATIVE.sub(_join_comparative, text)
    text = _DOUBLE_HEH.sub(_divide_heh, text)
    return _SILENT_HEH.sub(rf"\1{ZWNJ}\2", text)


def _join_durative(match: re.Match[str]) -> str:
    """Join the prefix to a verb."""
    if is_verb_form(_BARE_MARKS.sub("", match[2])):
        return f"{match[1]}{ZWNJ}{match[2]}"
    return match.group()


def _divide_durative(match: re.Match[str]) -> str:
    """Divide prefix and verb written together, unless the whole is a word."""
    whole, rest = match.group(), match[2]
    if (
        ZWNJ in rest
        or len(rest) < 2
        or is_known(whole)
        or whole in _AMBIGUOUS
        or not is_verb_form(rest)
    ):
        return whole
    return f"{match[1]}{ZWNJ}{rest}"


def _join_plural(match: re.Match[str]) -> str:
    """Join a plural ending to a noun."""
    is_verb = is_verb_form(match[1]) and not is_known(match[1])
    if match[1] in _NO_NOUNS or is_verb:
        return match.group()
    return f"{match[1]}{ZWNJ}{match[2]}"


def _join_comparative(match: re.Match[str]) -> str:
    """Join the superlative always, the comparative to an adjective that has one."""
    word, ending = match[1], match[2]
    if ending.startswith("ترین") or is_adjective(word):
        return f"{word}{ZWNJ}{ending}"
    return match.group()


def _divide_heh(match: re.Match[str]) -> str:
    """Divide a silent heh from the plural ending."""
    if is_known(match[1]):
        return f"{match[1]}{ZWNJ}{match[2]}"
    return match.group()
