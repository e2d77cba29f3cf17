r"""One set of marks, their spaces, and quotes of all kinds as guillemets.

Choices: brackets and dashes between words become a comma where no other mark stands;
a hyphen inside a compound becomes a space; an ellipsis is a full stop; of several marks
in a row the question and exclamation marks stay, else the strongest one.
"""

import re

from espnet_vibevoice.text.persian.alphabet import (
    LATIN,
    LETTERS,
    PAUSE,
    VOWEL_MARKS,
    ZWNJ,
)
from espnet_vibevoice.text.persian.guarded import Guarded

_OPENING = "“„‟‹〝「『《‘‚‛❝❮⟨"
_CLOSING = "”›〞」』》’❞❯⟩"
_TRANSLATION = str.maketrans(
    {
        "?": "؟",
        ";": "؛",
        ",": "،",
        "٬": "،",
        "…": ".",
        "⋯": ".",
        "。": ".",
        "、": "،",
        "⸮": "؟",
        "\n": " ",
        "_": " ",
        "/": " ",
        "\\": " ",
        "`": " ",
        "\u00b4": " ",
        "*": " ",
        "~": " ",
        "^": " ",
        "|": PAUSE,
        "¦": PAUSE,
        "•": PAUSE,
        "·": " ",
        "●": PAUSE,
        "▪": PAUSE,
        "\u2012": PAUSE,
        "\u2014": PAUSE,
        "\u2015": PAUSE,
        "\u2212": " ",
        "#": " ",
        **dict.fromkeys("()[]{}﴾﴿⟦⟧", PAUSE),
        **dict.fromkeys(_OPENING, "«"),
        **dict.fromkeys(_CLOSING, "»"),
    }
)
_APOSTROPHE = Guarded("['’ʼ`]", r"(?<=[A-Za-z])['’ʼ`](?=[A-Za-z])")
_SINGLE_QUOTES = Guarded("'", r"(?<![\w'])'([^'\n]{1,300})'(?![\w'])")
_LOW_QUOTES = Guarded("„", "„([^„“”‟\n]*+)[“”‟]")
_DOUBLED = re.compile("<<|>>|''|``")
_DOUBLED_MARKS = {"<<": "«", ">>": "»", "''": '"', "``": '"'}
_CALL = Guarded(r"\(", r"(?<=[A-Za-z])\((?=[A-Za-z\d])")
_SPACED_DASH = re.compile(r"(?<=\s)[-\u2010\u2011\u2013]+(?=\s)|--+")
_HYPHEN = re.compile(r"[-\u2010\u2011\u2013\u00ad]")
_SPACES = re.compile(r"\s\s+|[^\S ]")
_RUN = re.compile(rf"[.،؛؟!:{PAUSE}][ .،؛؟!:{PAUSE}]*")
_QUOTE_RUN = re.compile("[«» ]{2,}")
_AFTER_OPENING = re.compile(rf"« ?(?:[.،؛:{PAUSE}] ?)*")
_BEFORE_CLOSING = re.compile(f" *([.؟!]*)[،؛:{PAUSE}]* ?»")
_NON_JOINERS = re.compile(f"{ZWNJ}+")
_VOWELS = re.compile(f"[{VOWEL_MARKS}]+")
_BEFORE_NON_JOINER = frozenset(LETTERS + VOWEL_MARKS + LATIN)
_BEFORE_VOWEL = frozenset(LETTERS)
_SPACE_BEFORE = re.compile(" (?=[.،؛؟!:»])")
_STRENGTH = ".؛:،"


def unify_punctuation(text: str) -> str:
    r"""Bring punctuation, quotes and spaces to one form.

    Example:
        >>> unify_punctuation('گفت : "سلام" ,خوبی ??')
        'گفت: «سلام»، خوبی؟'
        >>> unify_punctuation("تهران (پایتخت) بزرگ است...")
        'تهران، پایتخت، بزرگ است.'
    """
    text = _unify_quotes(text)
    text = _CALL.sub(" ", text)
    if _HYPHEN.search(text):
        text = _HYPHEN.sub(" ", _SPACED_DASH.sub(PAUSE, text))
    return space_punctuation(text.translate(_TRANSLATION))


def _unify_quotes(text: str) -> str:
    """Write quotes as guillemets; take out apostrophes."""
    text = _LOW_QUOTES.sub(r"«\1»", text)
    text = _DOUBLED.sub(lambda m: _DOUBLED_MARKS[m.group()], text)
    text = _APOSTROPHE.sub("", text)
    text = _SINGLE_QUOTES.sub(r"«\1»", text).replace("'", "")
    if '"' not in text:
        return text
    pieces = text.split('"')
    if len(pieces) % 2 == 0:  # an odd count: the last one has no partner
        pieces[-2:] = [pieces[-2] + " " + pieces[-1]]
    marks = ("", "«", "»")
    return "".join(
        marks[0 if i == 0 else 1 if i % 2 else 2] + piece
        for i, piece in enumerate(pieces)
    )


def space_punctuation(text: str) -> str:
    r"""Put the marks where they belong and single spaces between words.

    Example:
        >>> space_punctuation(" سلام ، .خوبی !")
        'سلام. خوبی!'
    """
    text = _SPACES.sub(" ", text).strip()
    text = _NON_JOINERS.sub(_keep_non_joiner, _VOWELS.sub(_keep_vowels, text))
    text = _RUN.sub(_resolve_run, text)
    if "«" in text or "»" in text:
        text = _AFTER_OPENING.sub(" «", text)
        text = _BEFORE_CLOSING.sub(r"\1» ", text)
        text = _QUOTE_RUN.sub(_remove_empty_quotes, text)
    text = _SPACES.sub(" ", text.replace(PAUSE, " "))
    return _SPACE_BEFORE.sub("", text).strip()


def _keep_non_joiner(match: re.Match[str]) -> str:
    """Keep one non-joiner between a letter and a Persian letter."""
    text, start, end = match.string, match.start(), match.end()
    is_between = (
        0 < start
        and text[start - 1] in _BEFORE_NON_JOINER
        and end < len(text)
        and text[end] in _BEFORE_VOWEL
    )
    return ZWNJ if is_between else ""


def _keep_vowels(match: re.Match[str]) -> str:
    """Keep vowel marks after a Persian letter."""
    start = match.start()
    has_letter = start > 0 and match.string[start - 1] in _BEFORE_VOWEL
    return match.group() if has_letter else ""


def _remove_empty_quotes(match: re.Match[str]) -> str:
    """Take out an opening and a closing with nothing between them."""
    run = match.group()
    first, last = run.find("«"), run.rfind("»")
    return f"{run[:first]} {run[last + 1 :]}" if 0 <= first < last else run


def _resolve_run(match: re.Match[str]) -> str:
    """Choose the marks that stay of several in a row."""
    run = match.group()
    text = match.string
    if match.start() == 0:
        return ""
    last = text[max(0, match.start() - 2) : match.start()].rstrip()[-1:]
    loud = "".join(dict.fromkeys(mark for mark in run if mark in "؟!"))
    if loud:
        return f"{loud} "
    for mark in _STRENGTH:
        if mark in run:
            return f"{mark} "
    is_edge = match.end() == len(text) or text[match.end()] == "»"
    return " " if is_edge or last == "«" else "، "
