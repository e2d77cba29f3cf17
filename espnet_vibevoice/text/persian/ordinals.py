r"""Ordinals written with digits: Persian endings, English endings, after a noun.

Choices: a bare 1 with a Persian ending is "yekom", English 1st is "avval"; "qarn" and
"sade" (century) take an ordinal also when none is written.
"""

import re

from espnet_vibevoice.text.persian.alphabet import END, START, ZWNJ
from espnet_vibevoice.text.persian.guarded import Guarded
from espnet_vibevoice.text.persian.numbers import read_ordinal

_HAMZA_DAMMA = "ا\u064f?"  # alef, with or without DAMMA
_PERSIAN = Guarded(
    rf"\d[ {ZWNJ}-]?(?:ا|\u064f?م)",
    rf"(?<![\d.])(\d{{1,15}})(?:[ {ZWNJ}-]?{_HAMZA_DAMMA}م|[{ZWNJ}-]?\u064f?م"
    rf"|[ {ZWNJ}-]?(?:{_HAMZA_DAMMA})?م(ین))(ی|ها|ش)?{END}",
)
_ENGLISH = Guarded(
    r"\d ?(?:st|nd|rd|th)", r"(?<![\w.])(\d{1,15}) ?(?:st|nd|rd|th)(?![A-Za-z0-9])"
)
_CENTURY = Guarded(
    "قرن|سده",
    rf"{START}((?:قرن|سده|سدهٔ)(?:{ZWNJ}?(?:ها)?ی)? )(\d{{1,2}})"
    rf"(?:( و | تا | ?[-–] ?|، ?)(\d{{1,2}}))?{END}",
)
_WORLD_WAR = Guarded("جنگ جهانی", rf"{START}(جنگ جهانی )([12]){END}")


def read_first(number: int) -> str:
    r"""Read an ordinal whose 1 is "avval": kings, volumes, world wars.

    Example:
        >>> read_first(1), read_first(14)
        ('اول', 'چهاردهم')
    """
    return "اول" if number == 1 else read_ordinal(number)


def read_ordinals(text: str) -> str:
    r"""Read ordinals in all spellings.

    Example:
        >>> read_ordinals("نفر 3م، 10 مین بار، 21st، قرن 20")
        'نفر  سوم ،  دهمین  بار،  بیست و یکم ، قرن  بیستم '
    """
    text = _CENTURY.sub(_read_century, text)
    text = _WORLD_WAR.sub(lambda m: f"{m[1]}{read_first(int(m[2]))}", text)
    text = _PERSIAN.sub(_read_persian, text)
    return _ENGLISH.sub(lambda m: f" {read_first(int(m[1]))} ", text)


def _read_persian(match: re.Match[str]) -> str:
    """Read digits with an ending of -om or -omin."""
    return f" {read_ordinal(int(match[1]))}{match[2] or ''}{match[3] or ''} "


def _read_century(match: re.Match[str]) -> str:
    """Read one century or two."""
    words = f"{match[1]} {read_ordinal(int(match[2]))} "
    if match[4] is None:
        return words
    link = match[3] if match[3].strip() in ("و", "تا", "،") else " تا "
    return f"{words}{link} {read_ordinal(int(match[4]))} "
