r"""Thousands separators, amounts of money, scale letters.

Choices: the name of the currency follows the amount; a point or slash between groups
of three is a thousands separator when money follows, when the groups are zeros, or
when there is more than one.
"""

import re

from espnet_vibevoice.text.persian.alphabet import DASHES, END, NUMBER, ZWNJ, any_of
from espnet_vibevoice.text.persian.guarded import Guarded

SYMBOLS = {
    "$": "دلار",
    "€": "یورو",
    "£": "پوند",
    "¥": "ین",
    "₽": "روبل",
    "₺": "لیر",
    "₹": "روپیه",
    "₩": "وون",
    "₿": "بیت\u200cکوین",
    "₴": "هریونیا",
    "₫": "دونگ",
    "₪": "شِکِل",
    "₼": "منات",
    "₾": "لاری",
    "¢": "سنت",
    "؋": "افغانی",
    "﷼": "ریال",
}
CODES = {
    "USD": "دلار",
    "US$": "دلار",
    "EUR": "یورو",
    "GBP": "پوند",
    "IRR": "ریال",
    "IRT": "تومان",
    "AED": "درهم",
    "TRY": "لیر",
    "CNY": "یوان",
    "RMB": "یوان",
    "JPY": "ین",
    "RUB": "روبل",
    "INR": "روپیه",
    "AFN": "افغانی",
    "IQD": "دینار",
    "KWD": "دینار",
    "SAR": "ریال",
    "CHF": "فرانک",
    "CAD": "دلار کانادا",
    "AUD": "دلار استرالیا",
    "BTC": "بیت\u200cکوین",
    "USDT": "تتر",
    "ETH": "اتریوم",
}
_NAMES = {**SYMBOLS, **CODES}
_PERSIAN_NAMES = any_of(
    "تومان تومن ریال دلار یورو پوند درهم دینار یوان ین لیر روپیه روبل افغانی".split()
)
_SCALES = {
    "K": "هزار",
    "k": "هزار",
    "M": "میلیون",
    "B": "میلیارد",
    "T": "تریلیون",
    "mn": "میلیون",
    "bn": "میلیارد",
    "thousand": "هزار",
    "million": "میلیون",
    "billion": "میلیارد",
    "trillion": "تریلیون",
}
_PERSIAN_SCALE = "(?:هزار|میلیون|میلیارد|تریلیون|بیلیون)"
_SYMBOL = any_of(SYMBOLS)
_NAME = any_of(_NAMES)

_GROUPS = Guarded(
    r"\d[,٬،']\d", r"(?<![\d.,٬،'])\d{1,3}(?:([,٬،'])\d{3})(?:\1\d{3})*(?!\1?\d)"
)
_POINT_GROUPS = Guarded(
    r"\d[./٫]\d\d\d",
    r"(?<![\d.,/])(\d{1,3})((?:\.000)+|(?:\.\d{3}){2,}|(?:٫\d{3}){2,}|(?:/000)+|(?:/\d{3}){2,})"
    r"(?![\d/]|\.\d)",
)
_POINT_MONEY = Guarded(
    r"\d[./]\d\d\d",
    rf"(?<![\d.,/])([1-9]\d{{0,2}})([./])(\d{{3}})(?= ?(?:{_PERSIAN_NAMES}{END}))",
)
_SPACE_GROUPS = Guarded(
    r"\d \d\d\d",
    r"(?<![\d.,/] )(?<![\d.,/])([1-9]\d{0,2})((?: \d{3}){2,4})(?! ?\d|[./]\d)",
)
_DECIMAL_SIGN = re.compile(r"(?<=\d)٫(?=\d)")
_SCALE_LETTER = Guarded(
    r"\d ?[KkMBTmbt]",
    rf"(?<![\w.])(?<![A-Za-z\d]-)((?:{_SYMBOL} ?)?{NUMBER})"
    r"(?: ?(million|billion|trillion|thousand|mn|bn)"
    rf"|([KkMBT]))(?= ?{_SYMBOL}|\+?{END})",
)
_TEMPERATURE = re.compile("°|دما|کلوین")
_WINDOW = 80  # characters looked at on each side
_RESOLUTION = re.compile(r"[248]K")
_BEFORE = Guarded(
    _NAME,
    rf"(?<![A-Za-z])({_NAME}) ?({NUMBER})"
    rf"( ?[{DASHES}] ?)?(?(3)(?:{_NAME} ?)?({NUMBER}))"
    rf"( {_PERSIAN_SCALE}{END})?(?: ?(?:{_PERSIAN_NAMES}){END})?",
)
_AFTER = Guarded(_NAME, rf"(?<=[\d\u0627-\u06cc]) ?({_NAME})(?![A-Za-z0-9])")
_MINUS_BEFORE = Guarded(
    rf"[-\u2212]{_SYMBOL}", rf"(?<![\w)\]])[-\u2212](?={_SYMBOL} ?\d)"
)
_TOMAN = Guarded(r" ت|\dت", rf"(\d(?: ?{_PERSIAN_SCALE})?) ?ت{END}(?!\.)")
_GLUED = Guarded(
    rf"{_PERSIAN_SCALE}{ZWNJ}?{_PERSIAN_NAMES}",
    rf"(?<![ء-ی])({_PERSIAN_SCALE}){ZWNJ}?({_PERSIAN_NAMES}ی?){END}",
)


def join_thousands(text: str) -> str:
    r"""Take out thousands separators; write the decimal sign as a point.

    Example:
        >>> join_thousands("1,234,567 و 12٬500 و 2٫5")
        '1234567 و 12500 و 2.5'
        >>> join_thousands("250.000 تومان و 2.718")
        '250000 تومان و 2.718'
    """
    text = _GROUPS.sub(lambda m: re.sub(r"\D", "", m.group()), text)
    text = _POINT_GROUPS.sub(lambda m: re.sub(r"\D", "", m.group()), text)
    text = _POINT_MONEY.sub(r"\1\3", text)
    text = _SPACE_GROUPS.sub(lambda m: m.group().replace(" ", ""), text)
    return _DECIMAL_SIGN.sub(".", text)


def read_currency(text: str) -> str:
    r"""Write the name of a currency after its amount; read scale letters.

    Example:
        >>> read_currency("$5"), read_currency("$1.5 میلیون"), read_currency("10k")
        (' 5 دلار ', ' 1.5 میلیون دلار ', '10 هزار')
        >>> read_currency("100 USD")
        '100 دلار '
    """
    text = _MINUS_BEFORE.sub(" منفی ", text)
    text = _SCALE_LETTER.sub(_read_scale, text)
    text = _BEFORE.sub(_move_behind, text)
    text = _AFTER.sub(lambda m: f" {_NAMES[m[1]]} ", text)
    text = _TOMAN.sub(r"\1 تومان", text)
    return _GLUED.sub(r"\1 \2", text)


def _read_scale(match: re.Match[str]) -> str:
    """Read a scale letter or an English scale word; 4K and 300 K are no money."""
    letter = match[3]
    is_kelvin = letter == "K" and _TEMPERATURE.search(
        match.string, max(0, match.start() - _WINDOW), match.end() + _WINDOW
    )
    if letter and (is_kelvin or _RESOLUTION.fullmatch(match.group())):
        return match.group()
    return f"{match[1]} {_SCALES[letter or match[2]]}"


def _move_behind(match: re.Match[str]) -> str:
    """Move a currency sign behind the amount, a range or a scale word."""
    amount = match[2] if match[3] is None else f"{match[2]} تا {match[4]}"
    return f" {amount}{match[5] or ''} {_NAMES[match[1]]} "
