r"""Abbreviations written with points, in brackets, or before a number or a name.

Choices: "qabl az milad", "bad az zohr" as separate words; the honorifics in their full
forms; a closing point of an abbreviation at the end of the text stays as its full stop;
"va ..." after a list with commas is "va gheyre".
"""

import re

from espnet_vibevoice.text.persian.alphabet import END, LETTERS, START, ZWNJ, any_of
from espnet_vibevoice.text.persian.guarded import Guarded

# Letters with points between them; the last point is optional.
DOTTED = {
    "ه.ش": "هجری شمسی",
    "ه.خ": "هجری خورشیدی",
    "ه.ق": "هجری قمری",
    "ق.ه": "قبل از هجرت",
    "ق.م": "قبل از میلاد",
    "ب.م.م": "بزرگ\u200cترین مقسوم\u200cعلیه مشترک",
    "ک.م.م": "کوچک\u200cترین مضرب مشترک",
    "ق.م.ا": "قانون مجازات اسلامی",
    "ق.ا": "قانون اساسی",
    "ق.ت": "قانون تجارت",
    "ق.غ": "قاشق غذاخوری",
    "ق.چ": "قاشق چای\u200cخوری",
    "غ.خ": "غذاخوری",
    "چ.خ": "چای\u200cخوری",
    "آ.د.ک": "آیین دادرسی کیفری",
    "آ.د.م": "آیین دادرسی مدنی",
    "ش.م.ه": "شیمیایی میکروبی هسته\u200cای",
    "پ.م": "پیش از میلاد",
    "ب.م": "بعد از میلاد",
    "پ.ه": "پیش از هجرت",
    "ق.ظ": "قبل از ظهر",
    "ب.ظ": "بعد از ظهر",
    **dict.fromkeys(["ر.ک", "ر.ک به", "ر.ک. به"], "رجوع کنید به"),
    **dict.fromkeys(["ن.ک", "ن.ک به", "ن.ک. به"], "نگاه کنید به"),
    "پ.ن": "پی\u200cنوشت",
    "ج.ا.ا": "جمهوری اسلامی ایران",
    "ج.ا": "جمهوری اسلامی",
    "ص.پ": "صندوق پستی",
    "ک.پ": "کد پستی",
    "ش.م": "شماره ملی",
    "ش.ش": "شماره شناسنامه",
    "ت.ت": "تاریخ تولد",
    "ع.ج": "عجل الله تعالی فرجه",
    "س.خ": "سهامی خاص",
    "س.ع": "سهامی عام",
}
HONORIFICS = {
    "ص": "صلی الله علیه و آله و سلم",
    "صلی": "صلی الله علیه و آله و سلم",
    "ع": "علیه السلام",
    "س": "سلام الله علیها",
    "عج": "عجل الله تعالی فرجه",
    "ره": "رحمت الله علیه",
    "رض": "رضی الله عنه",
    "قدس": "قدس سره",
    "علیهم": "علیهم السلام",
}
# Before a number, with a point, a colon or nothing.
BEFORE_NUMBER = {
    "ص": "صفحه",
    "صص": "صفحات",
    "ج": "جلد",
    "ش": "شماره",
    "پ": "پلاک",
    "ط": "طبقه",
    "ت": "تلفن",
    "تل": "تلفن",
    "شم": "شماره",
    "ک": "کوچه",
}
# Before a name, with a point.
BEFORE_NAME = {
    "د": "دکتر",
    "خ": "خیابان",
    "مهن": "مهندس",
    "خیا": "خیابان",
    "بل": "بلوار",
    "ک": "کوچه",
    "چ": "چهارراه",
    "اس": "استاد",
    "پروف": "پروفسور",
}
_WITH_COLON = frozenset(["ت", "تل", "ش", "پ", "ص", "شم"])
_MARKS_AFTER = frozenset(".،؛؟!:,;?)»")
YEAR_ENDINGS = {"م": "میلادی", "ش": "شمسی", "ق": "قمری", "خ": "خورشیدی"}
_SPACED_ERAS = {"ه ش": "هجری شمسی", "ه ق": "هجری قمری", "ق م": "قبل از میلاد"}


def _dotted_pattern(abbreviation: str) -> str:
    """Return a pattern that allows a space after each point."""
    return r"\s?\.\s?".join(abbreviation.split("."))


_DOTTED = Guarded(
    rf"[{LETTERS}]\s?\.\s?[{LETTERS}]",
    f"{START}(?:"
    + "|".join(
        f"(?P<a{i}>{_dotted_pattern(key)})"
        for i, key in enumerate(sorted(DOTTED, key=len, reverse=True))
    )
    + rf"){END}(?P<stop> ?\.(?!\.))?(?P<next>\s*\S)?",
)
_DOTTED_READINGS = [DOTTED[key] for key in sorted(DOTTED, key=len, reverse=True)]
_HONORIFIC = Guarded(r"\(", rf"\s?\(\s?({any_of(HONORIFICS)})\s?\)")
_BEFORE_NUMBER = Guarded(
    r"[صجشپطفستک][مصل]?[.:\s]*\d",
    rf"{START}({any_of(BEFORE_NUMBER)})(?:\s?\.\s?|(\s?:\s?)|\s?)(?=\d)",
)
_BEFORE_NAME = Guarded(
    r"\.",
    rf"(?<![\d.]\s)(?<![\d.]){START}({any_of(BEFORE_NAME)})\.\s?(?=[{LETTERS}]{{2}})",
)
_ENUMERATED = re.compile(rf"{START}(?:ج|ب|الف)[.)] ")
_STREET = Guarded("خ ", rf"{START}خ (?=[{LETTERS}]{{3}})")
_YEAR_ENDING = Guarded(
    r"\d ?[شقخم]",
    r"(?<![\d.,/])([12]\d{3}|[3-9]\d\d)(?: ?([شقخم])(\.)(?=(\s*\S)?)"
    r"| ?([شق])(?=[)،؛,; ]|$)| ([م])(?=[)،؛,;]|$))",
)
_GLUED_YEAR = Guarded(
    r"\dم", rf"(?<![\d.,/])(1[1-9]\d\d|1[0-9][1-9]\d|1[0-9]\d[1-9]|20\d\d)م{END}"
)
_YEAR_SPACED = Guarded(r"\d [هق] ", rf"(\d) ({any_of(_SPACED_ERAS)}){END}")
_WEEKDAYS = ["یک\u200c", "دو", "سه\u200c", "چهار", "پنج\u200c"]
_WEEKDAY = Guarded("شنبه", rf"(?<![\d.,/])([1-5])[ {ZWNJ}]?شنبه")
# After a list with commas; elsewhere an ellipsis after "va" is a voice trailing off.
# After an article the civil code, elsewhere "before Christ".
_CIVIL_CODE = Guarded(
    r"\d ق",
    rf"({START}ماده(?:ٔ|{ZWNJ}ی)? \d+ )ق ?\. ?م(?: ?\.(?! ?ا)(?=\s*\S)|(?! ?\.)){END}",
)
_BRACKETED = Guarded(
    r"\(",
    rf"({START}(?:ماده|مادهٔ|بند|تبصره|تبصرهٔ|اصل|جزء|ردیف|شماره|شمارهٔ|شکل|جدول|رابطه)) ?"
    rf"\( ?(\d+|الف|[{LETTERS}]) ?\)",
)
_ET_CETERA = Guarded(r"و ?(?:…|\.\.)", r"(،[^،.…؟?!\n]{1,60} و) ?(?:…|\.{2,3})")
_INITIALS = Guarded(
    r"[A-Za-z]\.", r"(?<![A-Za-z.])(?:[A-Za-z]\.){2,}[A-Za-z]?(?![A-Za-z])"
)


def read_abbreviations(text: str) -> str:
    r"""Read abbreviations; needs the digits still to be digits.

    Example:
        >>> read_abbreviations("1399 ه.ش و د. احمدی")
        '1399 هجری شمسی و دکتر احمدی'
        >>> read_abbreviations("سیب، موز و ...")
        'سیب، موز و غیره '
        >>> read_abbreviations("بند (ب) ماده (5)")
        'بند ب  ماده 5 '
        >>> read_abbreviations("پیامبر (ص)، ص 5")
        'پیامبر صلی الله علیه و آله و سلم، صفحه 5'
    """
    text = _ET_CETERA.sub(r"\1 غیره ", text)
    text = _BRACKETED.sub(r"\1 \2 ", text)
    text = _CIVIL_CODE.sub(r"\1قانون مدنی", text)
    text = _DOTTED.sub(_read_dotted, text)
    text = _YEAR_SPACED.sub(lambda m: f"{m[1]} {_SPACED_ERAS[m[2]]}", text)
    text = _HONORIFIC.sub(lambda m: f" {HONORIFICS[m[1]]}", text)
    text = _YEAR_ENDING.sub(_read_year_ending, text)
    text = _GLUED_YEAR.sub(r"\1 میلادی", text)
    text = _BEFORE_NUMBER.sub(_read_before_number, text)
    if _ENUMERATED.search(text) is None:
        text = _BEFORE_NAME.sub(lambda m: f"{BEFORE_NAME[m[1]]} ", text)
    text = _WEEKDAY.sub(lambda m: f"{_WEEKDAYS[int(m[1]) - 1]}شنبه", text)
    text = _STREET.sub("خیابان ", text)
    return _INITIALS.sub(lambda m: m.group().replace(".", ""), text)


def _read_dotted(match: re.Match[str]) -> str:
    """Read letters with points; keep a point that ends the text or a line."""
    index = next(i for i in range(len(_DOTTED_READINGS)) if match[f"a{i}"])
    following = match["next"] or ""
    ends = match["stop"] and (not following or "\n" in following)
    gap = " " if match["stop"] and following and following[0].strip() else ""
    if following.strip() in _MARKS_AFTER:
        gap = ""
    return _DOTTED_READINGS[index] + ("." if ends else "") + gap + following


def _read_before_number(match: re.Match[str]) -> str:
    """Read an abbreviation before a number; a colon makes no volume of an answer."""
    if match[2] and match[1] not in _WITH_COLON:
        return match.group()
    return f"{BEFORE_NUMBER[match[1]]}{':' if match[2] else ''} "


def _read_year_ending(match: re.Match[str]) -> str:
    """Read the era after a year."""
    ending = YEAR_ENDINGS[match[2] or match[5] or match[6]]
    stop = "." if match[3] and not match[4] else ""
    return f"{match[1]} {ending}{stop}"
