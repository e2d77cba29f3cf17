r"""Dates: Jalali, Gregorian and Hijri, numeric and with month names.

Choices: the day is an ordinal, 1 is "yekom"; the year is a plain number, without
"sal". Four-digit years before 1500 are Jalali (Hijri if "qamari" follows), later ones
Gregorian; y/m/d comes before d/m/y where both fit. English month names inside a date
become Persian ones.
"""

import re

from espnet_vibevoice.text.persian.alphabet import DASHES, END, START, ZWNJ, any_of
from espnet_vibevoice.text.persian.guarded import Guarded
from espnet_vibevoice.text.persian.numbers import read_ordinal

JALALI = ("فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند").split()
GREGORIAN = (
    "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر"
).split()
HIJRI = [
    "محرم",
    "صفر",
    "ربیع\u200cالاول",
    "ربیع\u200cالثانی",
    "جمادی\u200cالاول",
    "جمادی\u200cالثانی",
    "رجب",
    "شعبان",
    "رمضان",
    "شوال",
    "ذی\u200cالقعده",
    "ذی\u200cالحجه",
]
_OTHER_SPELLINGS = [
    *("امرداد", "جولای", "آگوست", "اوگوست", "ژوئیهٔ", "ژانویهٔ", "فوریهٔ", "آپریل"),
    *("جون", "اکتوبر", "ربیع الاول", "ربیع الثانی", "ربیع\u200cالآخر", "جمادی الاول"),
    *("جمادی الثانی", "جمادی\u200cالاولی", "جمادی\u200cالثانیه", "ذیقعده", "ذی القعده"),
    *("ذیحجه", "ذی الحجه", "ذی\u200cقعده", "ذی\u200cحجه", "رمضان\u200cالمبارک"),
]
_ENGLISH_NAMES = (
    "January February March April May June July August September October November "
    "December"
).split()
_ENGLISH = {name: GREGORIAN[i] for i, name in enumerate(_ENGLISH_NAMES)} | {
    name[:3]: GREGORIAN[i] for i, name in enumerate(_ENGLISH_NAMES)
}
_ENGLISH["Sept"] = GREGORIAN[8]
_MONTH = (
    any_of([*JALALI, *GREGORIAN, *HIJRI, *_OTHER_SPELLINGS])
    + rf"(?:{ZWNJ}?ماه(?:ِ|{ZWNJ}ی)?)?"
)
_ENGLISH_MONTH = any_of(_ENGLISH)
_DAY = "(?:3[01]|[12][0-9]|0?[1-9])"
_DAY_ENDING = f"(?:[ {ZWNJ}]?ا\u064f?م|م)?"
_YEAR = "[12][0-9]{3}"

_YEAR_FIRST = Guarded(
    r"\d ?[/.-] ?\d",
    rf"(?<![\d/.,-])({_YEAR}|\d\d)( ?[/.-] ?)(\d{{1,2}})\2(\d{{1,2}})"
    r"(?:T(?=\d\d:)|(?![\d/-]|\.\d))",
)
_DAY_FIRST = Guarded(
    r"\d ?[/.-] ?\d",
    rf"(?<![\d/.,-])(\d{{1,2}})( ?[/.-] ?)(\d{{1,2}})\2({_YEAR}|\d\d)(?![\d/-]|\.\d)",
)
_YEAR_MONTH = Guarded(
    r"\d/[01]", r"(?<![\d/.,-])(1[34]\d\d)/(0[1-9]|1[0-2])(?![\d/.,-])"
)
_DATE_RANGE = Guarded(
    rf"\d ?[{DASHES}] ?{_YEAR}/",
    rf"(?<!\d)({_YEAR}(?:/\d{{1,2}}){{2}}) ?[{DASHES}] ?(?={_YEAR}(?:/\d{{1,2}}){{2}})",
)
_LUNAR = re.compile(r" ?(?:هجری )?(?:قمری|ه ?\. ?ق)")
_DAY_RANGE = Guarded(
    rf"\d{_DAY_ENDING} {_MONTH}",
    rf"(?<![\d.,/:])({_DAY})(?: ?[-\u2013\u2014] ?| ?(تا|و) ?|(،) ?)"
    rf"({_DAY}){_DAY_ENDING}(?= {_MONTH}{END})",
)
_DAY_MONTH = Guarded(
    rf"\d{_DAY_ENDING} ?(?:{_MONTH}|می )",
    rf"(?<![\d.,/:%-])({_DAY}){_DAY_ENDING} ?"
    rf"({_MONTH}{END}|می(?= {_YEAR}| ماه| میلادی))",
)
_DAY_ENGLISH = Guarded(
    "[A-Z][a-z][a-z]",
    rf"(?<![\d.,/:])({_DAY})(?:st|nd|rd|th)?(?: of)?[ -]({_ENGLISH_MONTH})\.?,?"
    rf"(?:[ -](?={_YEAR}{END})|{END})",
)
_ENGLISH_DAY = Guarded(
    "[A-Z][a-z][a-z]",
    rf"{START}({_ENGLISH_MONTH})\.? ({_DAY})(?:st|nd|rd|th)?(?:,? ({_YEAR}))?{END}"
    r"(?![.:/]\d)",
)
_ENGLISH_YEAR = Guarded(
    "[A-Z][a-z][a-z]", rf"{START}({any_of(_ENGLISH_NAMES)}),? ({_YEAR}){END}"
)


def read_dates(text: str) -> str:
    r"""Read dates; a year may be left as digits for the number step.

    Example:
        >>> read_dates("1402/03/15")
        ' پانزدهم خرداد 1402 '
        >>> read_dates("22 بهمن 57")
        ' بیست و دوم بهمن 57'
        >>> read_dates("March 15, 2020")
        ' پانزدهم مارس 2020 '
    """
    text = _DATE_RANGE.sub(r"\1 تا ", text)
    text = _YEAR_FIRST.sub(_read_year_first, text)
    text = _DAY_FIRST.sub(_read_day_first, text)
    text = _YEAR_MONTH.sub(lambda m: f" {JALALI[int(m[2]) - 1]} {m[1]} ", text)
    text = _DAY_RANGE.sub(_read_day_range, text)
    text = _DAY_MONTH.sub(lambda m: f" {read_ordinal(int(m[1]))} {m[2]}", text)
    text = _DAY_ENGLISH.sub(_read_day_english, text)
    text = _ENGLISH_DAY.sub(_read_english_day, text)
    return _ENGLISH_YEAR.sub(lambda m: f"{_ENGLISH[m[1]]} {m[2]}", text)


def _name_date(year: str, month: str, day: str, rest: str) -> str | None:
    """Name a numeric date; None if there is no such month or day.

    Args:
        year (str): Two or four digits.
        month (str): One or two digits.
        day (str): One or two digits.
        rest (str): The text after the date.
    """
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    if len(year) == 4 and int(year) >= 1500:
        months = GREGORIAN
    else:
        months = HIJRI if _LUNAR.match(rest) else JALALI
    return f" {read_ordinal(int(day))} {months[int(month) - 1]} {year} "


def _read_year_first(match: re.Match[str]) -> str:
    """Read y/m/d; a two-digit year only with slashes."""
    year, separator, month, day = match.groups()
    rest = match.string[match.end() : match.end() + 20]
    if len(year) == 2 and separator.strip() != "/":
        return match.group()
    if len(year) == 2 and int(day) == 0:
        return match.group()
    named = _name_date(year, month, day, rest)
    if named is not None and match.group().endswith("T"):
        named += "ساعت "
    return named or match.group()


def _read_day_first(match: re.Match[str]) -> str:
    """Read d/m/y, or m/d/y where only that is a date."""
    day, separator, month, year = match.groups()
    if len(year) == 2 and (separator.strip() != "/" or int(year) <= 31):
        return match.group()
    rest = match.string[match.end() : match.end() + 20]
    named = _name_date(year, month, day, rest) or _name_date(year, day, month, rest)
    return named or match.group()


def _read_day_range(match: re.Match[str]) -> str:
    """Read two days of one month."""
    link = "،" if match[3] else f" {match[2] or 'تا'}"
    return f" {read_ordinal(int(match[1]))}{link} {read_ordinal(int(match[4]))}"


def _read_day_english(match: re.Match[str]) -> str:
    """Read "15 March"."""
    return f" {read_ordinal(int(match[1]))} {_ENGLISH[match[2]]} "


def _read_english_day(match: re.Match[str]) -> str:
    """Read "March 15" and "March 15, 2020"."""
    year = f"{match[3]} " if match[3] else ""
    return f" {read_ordinal(int(match[2]))} {_ENGLISH[match[1]]} {year}"
