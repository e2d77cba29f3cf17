r"""Fractions, and the slash that Persian also writes as a decimal sign.

Choices: a/b is a fraction if a < b and b is up to 10, 12, 16, 20, 32, 64, 100 or 1000
with a small numerator, and no scale word or "darsad" follows; otherwise the slash is a
decimal sign, as it is after a word for a measured quantity ("mo'addel", "qadd"). After
"nomre" and "emtiaz" a/b is "a az b", if b is a usual highest mark.
"""

import re

from espnet_vibevoice.text.persian.alphabet import (
    END,
    LETTERS,
    NUMBER,
    START,
    ZWNJ,
    any_of,
)
from espnet_vibevoice.text.persian.numbers import (
    read_cardinal,
    read_decimal,
    read_ordinal,
)

_MARKED = re.compile(r"(?<![\d.])(?:(\d{1,15}) *)?(?<!\d)(\d{1,9})⁄(\d{1,9})(?!\d)")
_MIXED = re.compile(r"(?<![\d./])(\d{1,9}) (?:و )?([1-9])/([2-9]|1[0-9])(?![\d/.])")
_MARK = re.compile(
    rf"({START}(?:نمره|نمرهٔ|امتیاز|رتبه) )({NUMBER})/(10|20|100)(?!\d|[/.]\d)"
)
_STARS = re.compile(rf"({START}(?:امتیاز|رتبه) )({NUMBER})/(5)(?!\d|[/.]\d)")
_SLASH = re.compile(r"(?<![\d./])(\d+)/(\d+)(?![\d/]|\.\d)")
_SEASON = 4  # digits of a year in "2018/19"
_PRESSURE = re.compile(
    rf"({START}فشار(?: خون)?(?: \w+)? )(\d{{1,3}})/(\d{{1,3}})(?!\d|[./]\d)"
)
_UNIT_NEXT = re.compile(
    " ?"
    + any_of(
        "متر متری سانتی\u200cمتر میلی\u200cمتر کیلومتر کیلو کیلوگرم کیلوگرمی گرم "
        "لیتر لیتری تن درجه سال ساعت ماه روز دقیقه ثانیه برابر مگابایت گیگابایت "
        "اینچ اینچی واحد ریشتر دلار تومان یورو هکتار مگاپیکسل وات کیلووات آمپر ولت "
        "نمره امتیاز ستاره ساله ساعته کیلویی تنی".split()
    )
    + END
)
_QUANTITY = re.compile(
    rf"{START}(?:معدل|میانگین|نمره|نمرهٔ|قد|وزن|رشد|تورم|بزرگی|دما|دمای|شدت|ضریب|نمره{ZWNJ}ی)"
    rf"(?:م|ت|ش|{ZWNJ}?اش|ی)?(?: [{LETTERS}]+){{0,2}}:? $"
)
_QUANTITY_WINDOW = 40
_COMMON = {("1", "2"), ("1", "3"), ("2", "3"), ("1", "4"), ("3", "4")}
_SCALES = "درصد درصدی هزار میلیون میلیارد تریلیون ریشتر ریشتری".split()
_SCALE_NEXT = re.compile(f" ?(?:%|{any_of(_SCALES)}{END})")
_DENOMINATORS = {*range(2, 11), 12, 16, 20, 32, 64}
_ROUND_DENOMINATORS = {100, 1000, 10000}
_MAX_YEAR_DIGITS = 4


def read_fractions(text: str) -> str:
    r"""Read fractions and slash decimals.

    Example:
        >>> read_fractions("1/2"), read_fractions("18/75"), read_fractions("1/2 میلیون")
        (' یک دوم ', ' هجده ممیز هفتاد و پنج ', ' یک ممیز دو  میلیون')
        >>> read_fractions("2 1⁄2 و نمره 17/20 و معدل 2/5")
        ' دو و نیم  و نمره 17 از 20 و معدل  دو ممیز پنج '
    """
    text = _MARKED.sub(lambda m: _read_mixed(m[1], m[2], m[3]), text)
    text = _MIXED.sub(lambda m: _read_mixed(m[1], m[2], m[3]), text)
    text = _PRESSURE.sub(r"\1\2 روی \3", text)
    text = _STARS.sub(r"\1\2 از \3", _MARK.sub(r"\1\2 از \3", text))
    return _SLASH.sub(_read_slash, text)


def read_fraction(numerator: str, denominator: str) -> str:
    """Read numerator and denominator.

    Example:
        >>> read_fraction("3", "4")
        'سه چهارم'
    """
    return f"{read_cardinal(int(numerator))} {read_ordinal(int(denominator))}"


def _read_mixed(whole: str | None, numerator: str, denominator: str) -> str:
    """Read a whole number and a fraction; a half after a number is "nim"."""
    if whole is None:
        return f" {read_fraction(numerator, denominator)} "
    if (int(numerator), int(denominator)) == (1, 2):
        return f" {read_cardinal(int(whole))} و نیم "
    fraction = read_fraction(numerator, denominator)
    return f" {read_cardinal(int(whole))} و {fraction} "


def _read_slash(match: re.Match[str]) -> str:
    """Tell a fraction from a decimal number."""
    above, below = match.groups()
    if (above, below) == ("24", "7"):
        return "24 7"
    if above == below and len(above) < 3:
        return f"{above} از {below}"
    if len(above) == _SEASON and below == f"{(int(above) + 1) % 100:02d}":
        return f"{above} تا {below}"
    if len(below) >= _MAX_YEAR_DIGITS and int(below) not in _ROUND_DENOMINATORS:
        return f"{above} {below}"
    is_measured = _UNIT_NEXT.match(match.string, match.end())
    before = match.string[max(0, match.start() - _QUANTITY_WINDOW) : match.start()]
    is_decimal = (
        _SCALE_NEXT.match(match.string, match.end())
        or (is_measured and (above, below) not in _COMMON)
        or _QUANTITY.search(before)
    )
    if is_fraction(above, below) and not is_decimal:
        return f" {read_fraction(above, below)} "
    return f" {read_decimal(above, below)} "


def is_fraction(above: str, below: str) -> bool:
    """Tell whether a/b looks like a fraction.

    Example:
        >>> is_fraction("3", "4"), is_fraction("12", "5"), is_fraction("1", "05")
        (True, False, False)
    """
    if above[0] == "0" or below[0] == "0" or len(below) > 5 or len(above) > 5:
        return False
    small, large = int(above), int(below)
    if large in _ROUND_DENOMINATORS:
        return small < large and small < 100
    return small < large and large in _DENOMINATORS
