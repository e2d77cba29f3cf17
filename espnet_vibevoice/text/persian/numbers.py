r"""Number words: cardinals, ordinals, decimals, digit by digit.

Choices: 1000 is "hezar" (not "yek hezar"), 18 "hejdah", 10**6 "yek milyun", 10**12
"yek tirilyun", 10**15 "yek kuadrilyun"; above that, and with a leading zero, digits
are read one by one. Up to three decimals are read as one number after the leading
zeros, longer ones digit by digit.
"""

import re

from espnet_vibevoice.text.persian.alphabet import LETTERS, ZWNJ
from espnet_vibevoice.text.persian.guarded import Guarded

_UNITS = (
    "صفر یک دو سه چهار پنج شش هفت هشت نه ده یازده دوازده سیزده چهارده پانزده "
    "شانزده هفده هجده نوزده"
).split()
_TENS = "_ _ بیست سی چهل پنجاه شصت هفتاد هشتاد نود".split()
_HUNDREDS = "_ صد دویست سیصد چهارصد پانصد ششصد هفتصد هشتصد نهصد".split()
_SCALES = ["", "هزار", "میلیون", "میلیارد", "تریلیون", "کوادریلیون"]
LARGEST = 10**15
_MAX_DECIMALS = 3
_AND = " و "


def _read_below_thousand(number: int) -> str:
    """Read 1 to 999."""
    words = []
    if number >= 100:
        words.append(_HUNDREDS[number // 100])
    rest = number % 100
    if rest >= 20:
        words.append(_TENS[rest // 10])
        rest %= 10
    if rest:
        words.append(_UNITS[rest])
    return _AND.join(words)


def read_cardinal(number: int) -> str:
    r"""Read an integer; above ten to the fifteenth digit by digit.

    Example:
        >>> read_cardinal(1402)
        'هزار و چهارصد و دو'
    """
    if number < 0:
        return f"منفی {read_cardinal(-number)}"
    if number > LARGEST:
        return read_digits(str(number))
    if number == 0:
        return _UNITS[0]
    groups = []
    scale = 0
    rest = number
    while rest:
        rest, group = divmod(rest, 1000)
        if group == 1 and scale == 1:
            groups.append(_SCALES[1])
        elif group:
            groups.append(f"{_read_below_thousand(group)} {_SCALES[scale]}".strip())
        scale += 1
    return _AND.join(reversed(groups))


def read_digits(digits: str) -> str:
    r"""Read digits one by one.

    Example:
        >>> read_digits("007")
        'صفر صفر هفت'
    """
    return " ".join(_UNITS[int(digit)] for digit in digits)


def read_integer(digits: str) -> str:
    r"""Read a typed integer: with a leading zero or many digits, digit by digit.

    Example:
        >>> read_integer("25"), read_integer("05")
        ('بیست و پنج', 'صفر پنج')
    """
    if len(digits) > 16 or (digits[0] == "0" and len(digits) > 1):
        return read_digits(digits)
    return read_cardinal(int(digits))


def read_group(digits: str) -> str:
    r"""Read a group of a telephone or card number: zeros first, then a number.

    Example:
        >>> read_group("0912"), read_group("00")
        ('صفر نهصد و دوازده', 'صفر صفر')
    """
    rest = digits.lstrip("0")
    words = [_UNITS[0]] * (len(digits) - len(rest))
    return " ".join(words + ([read_cardinal(int(rest))] if rest else []))


def read_decimal(whole: str, decimals: str) -> str:
    r"""Read a decimal number with "momayyez".

    Example:
        >>> read_decimal("12", "05")
        'دوازده ممیز صفر پنج'
    """
    short = len(decimals) <= _MAX_DECIMALS
    tail = read_group(decimals) if short else read_digits(decimals)
    return f"{read_integer(whole)} ممیز {tail}"


def read_ordinal(number: int) -> str:
    r"""Read an ordinal.

    Example:
        >>> read_ordinal(23), read_ordinal(30)
        ('بیست و سوم', 'سی\u200cام')
    """
    words = read_cardinal(number)
    if words.endswith("سی"):
        return f"{words}{ZWNJ}ام"
    if words.endswith("سه"):
        return f"{words[:-2]}سوم"
    return f"{words}م"


_DECIMAL = Guarded(r"\d\.\d", r"(?<![\d.])(\d+)\.(\d+)(?!\.?\d)")
_POINT_CHAIN = re.compile(r"(?<=\d)\.(?=\d)")
_INTEGER = re.compile(rf"\d+({ZWNJ}?ی(?![{LETTERS}])|{ZWNJ}?)")
_SIGN_BEFORE = rf"(?<![\w%)\]{ZWNJ}.])"
_MINUS = Guarded(r"[-\u2212\u2013]\d", rf"{_SIGN_BEFORE}[-\u2212\u2013](?=\d)")
_PLUS = Guarded(r"\+\d", rf"{_SIGN_BEFORE}\+(?=\d)")
_BARE_POINT = re.compile(r"(?:(?<=^)|(?<=[\s+\u2212-]))\.(?=\d)")
_PLUS_MINUS = re.compile(r"±\s?(?=\d)")
_TRAILING_MINUS = Guarded(
    r"\d[-\u2212]", r"(?<![\d.])(\d+(?:\.\d+)?)[-\u2212](?=\s?(?:درجه|%|تا ))"
)


def read_signs(text: str) -> str:
    r"""Read the sign of a number.

    In right-to-left typing the minus of a temperature may follow its number.

    Example:
        >>> read_signs("-5 تا +5"), read_signs("دمای 5- درجه")
        (' منفی 5 تا  مثبت 5', 'دمای  منفی 5 درجه')
    """
    text = _BARE_POINT.sub("0.", text)
    text = _TRAILING_MINUS.sub(r" منفی \1", text)
    text = _PLUS_MINUS.sub(" مثبت منفی ", text)
    text = _MINUS.sub(" منفی ", text)
    return _PLUS.sub(" مثبت ", text)


def read_numbers(text: str) -> str:
    r"""Read the decimals and integers that are left.

    Example:
        >>> read_numbers("2.5 و 3"), read_numbers("دهه 60ی")
        (' دو ممیز پنج  و  سه ', 'دهه  شصتی')
    """
    text = _DECIMAL.sub(lambda m: f" {read_decimal(m[1], m[2])} ", text)
    text = _POINT_CHAIN.sub(" نقطه ", text)
    return _INTEGER.sub(_read_integer_match, text)


def _read_integer_match(match: re.Match[str]) -> str:
    """Read an integer; a non-joiner or an adjective's ending typed after it stays."""
    ending = match[1]
    words = read_integer(match.group().removesuffix(ending))
    if ending.endswith("ی"):
        ending = "ی" if words[-1] not in "اوهی" else f"{ZWNJ}ی"
    return f" {words}{ending or ' '}"
