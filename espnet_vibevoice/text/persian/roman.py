r"""Roman numerals, only after a word that asks for one.

Kings, popes, centuries, wars and parts of books take an ordinal; types, phases and
groups a cardinal.
"""

import re

from espnet_vibevoice.text.persian.alphabet import END, START, VOWEL_MARKS, ZWNJ, any_of
from espnet_vibevoice.text.persian.guarded import Guarded
from espnet_vibevoice.text.persian.numbers import read_cardinal
from espnet_vibevoice.text.persian.ordinals import read_first

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_NUMERAL = "(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
RULERS = (
    "لویی لوئی هانری هنری هاینریش پاپ ویلیام ویلهلم چارلز شارل کارل کارلوس الیزابت "
    "جورج جرج ژرژ ناپلئون ناپلیون فیلیپ ادوارد کاترین نیکلای نیکلا الکساندر فردریک "
    "فریدریش کلمنت لئو پیوس بندیکت پل پولس جیمز ریچارد خوان فیلیپه لئوپولد فرانسوا "
    "فرانتس ژوزف یوسف اتو ماکسیمیلیان ایوان پتر پطر اسکندر بطلمیوس رامسس داریوش "
    "خشایارشا اردشیر شاپور یزدگرد بهرام هرمز خسرو پاپا گریگوری اینوسنت مری ماری"
).split()
_ORDINAL_CUES = (
    *RULERS,
    "قرن",
    "سده",
    "جنگ جهانی",
    "جلد",
    "فصل",
    "درس",
    "بخش",
    "باب",
    "پرده",
    "کتاب",
    "قسمت",
    "دوره",
    "کنگره",
    "جمهوری",
    "واتیکان",
    "بند",
    "المپیک",
    "ژان\u200cپل",
)
_CARDINAL_CUES = (
    *("نوع", "تیپ", "فاز", "گروه", "کلاس", "مرحله", "نسل", "شماره", "سری", "رده"),
    *("عامل", "فاکتور", "جدول", "شکل", "ضمیمه", "درجه", "راکی", "آهن", "مس", "آپولو"),
)
_EZAFE = f"[{VOWEL_MARKS}]?(?:{ZWNJ}?(?:ها)?ی)?"
_AFTER_CUE = Guarded(
    "[IVXLCDM]",
    rf"{START}(?:(?P<ordinal>{any_of(_ORDINAL_CUES)})|{any_of(_CARDINAL_CUES)})"
    rf"{_EZAFE} (?P<numeral>{_NUMERAL})(?P<also> (?:و|تا) (?=[IVXLCDM]))?"
    rf"(?(also)(?P<second>{_NUMERAL})){END}",
)
_KING_WITH_DIGITS = Guarded(
    r" \d",
    rf"{START}((?:لویی|لوئی|ناپلئون|الیزابت|ژان پل|پاپ پیوس) )"
    rf"(\d{{1,2}}){END}(?! ?[:٪%])",
)
# Letters that are more often a name than a number: group C, class D.
_NAMES_IN_GROUPS = frozenset("CDMLX")


def read_roman(text: str) -> str:
    r"""Read roman numerals after a cue word.

    Example:
        >>> read_roman("لویی XIV، دیابت نوع II، ویتامین C")
        'لویی چهاردهم، دیابت نوع دو، ویتامین C'
    """
    text = _AFTER_CUE.sub(_read_numeral, text)
    return _KING_WITH_DIGITS.sub(lambda m: f"{m[1]}{read_first(int(m[2]))}", text)


def _read_numeral(match: re.Match[str]) -> str:
    """Read one numeral with the cue before it."""
    numeral = match["numeral"]
    is_ordinal = match["ordinal"] is not None
    if not is_ordinal and numeral in _NAMES_IN_GROUPS:
        return match.group()
    number = compute_roman(numeral)
    read = read_first if is_ordinal else read_cardinal
    before = match.string[match.start() : match.start("numeral")]
    if match["also"] is None:
        return before + read(number)
    second = read(compute_roman(match["second"]))
    return f"{before}{read(number)}{match['also']}{second}"


def compute_roman(numeral: str) -> int:
    """Compute the value of a roman numeral.

    Example:
        >>> compute_roman("XIV")
        14
    """
    values = [_VALUES[letter] for letter in numeral]
    following = [*values[1:], 0]
    pairs = zip(values, following, strict=True)
    return sum(-one if one < other else one for one, other in pairs)
