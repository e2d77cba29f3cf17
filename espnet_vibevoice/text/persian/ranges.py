r"""Two numbers with a sign between them: ranges, scores, ratios.

Choices: a range is "ta"; a score "bar", if the words around it speak of a match or it
stands between two teams; a ratio "be"; equal numbers with a dash are just said ("fifty
fifty"); a spaced dash after the larger number is a minus; three and more are a
formation and are said one after another.
"""

import re

from espnet_vibevoice.text.persian.alphabet import (
    DASHES,
    END,
    LETTERS,
    NUMBER,
    START,
    ZWNJ,
    any_of,
)
from espnet_vibevoice.text.persian.dates import GREGORIAN, JALALI
from espnet_vibevoice.text.persian.guarded import Guarded

_WINDOW = 70  # characters looked at on each side of a score
_DASH = rf"[{DASHES}]"
_MATCH_WORDS = (
    "نفع صعود گلزنی قهرمان برد بردند بُرد باخت باختند باخته شکست پیروز پیروزی تساوی "
    "مساوی باختیم بردیم پنالتی پنالتی\u200cها نتیجه نتیجهٔ نتیجه\u200cی غلبه مغلوب گل "
    "گله بازی مسابقه دیدار دربی داربی "
    "فینال نیمه\u200cنهایی لیگ ست هیچ سوت فوتبال والیبال هندبال بسکتبال فوتسال "
    "برتری متوقف حریف میزبان مهمان جام نبرد"
).split()
_CLUBS = (
    "پرسپولیس استقلال سپاهان تراکتور فولاد ذوب\u200cآهن سایپا پیکان ملوان رئال "
    "بارسلونا بارسا منچستر لیورپول چلسی آرسنال بایرن دورتموند یوونتوس میلان اینتر "
    "سیتی یونایتد"
).split()
_TEAMS = [
    *_CLUBS,
    *("ایران عراق ژاپن کره چین قطر عربستان امارات سوریه اردن آلمان فرانسه".split()),
    *("برزیل آرژانتین اسپانیا ایتالیا انگلیس پرتغال هلند آمریکا مراکش روسیه".split()),
    *("ترکیه ازبکستان استرالیا بلژیک کرواسی مکزیک مادرید لهستان صربستان".split()),
]
_COUNTED = (
    "سال ساله سالگی ماه ماهه روز روزه ساعت ساعته دقیقه ثانیه نفر نفره درصد هزار "
    "میلیون میلیارد تومان ریال دلار متر متری کیلومتر کیلوگرم کیلو گرم "
    "سانتی\u200cمتر بار مرتبه عدد تا هفته هفتگی بازیکن گل امتیاز"
).split()
_RATIO_WORDS = "نسبت مقیاس به\u200cنسبت ابعاد تصویر نسبتِ".split()
_SCORE = Guarded(
    rf"\d ?(?:{_DASH}|:) ?\d",
    rf"(?<![\d.:/\w-])(\d{{1,3}})( ?)(?:{_DASH}|:)\2(\d{{1,3}})(?![\d.:/\w%]|-\d)",
)
_MATCH = re.compile(f"{START}{any_of([*_MATCH_WORDS, *_CLUBS])}{END}")
_COUNTED_NEXT = re.compile(f" ?{any_of(_COUNTED)}{END}")
_TEAM_BEFORE = re.compile(f"{START}{any_of(_TEAMS)} $")
_TEAM_AFTER = re.compile(f" {any_of(_TEAMS)}{END}")
_SENTENCE_END = re.compile(r"[.!?؟؛\n]")
_CUED_RATIO = Guarded(
    r"\d ?[:/] ?\d",
    rf"({START}{any_of(_RATIO_WORDS)} )({NUMBER}) ?[:/] ?({NUMBER})(?![:/.]?\d)",
)
_STANDARD = 4  # digits
_RATIO = Guarded(
    r"\d ?:",
    r"(?<![\d:/])(\d+(?:\.\d+)?)(?: ?: ?)(\d+(?:\.\d+)?)((?::\d+(?:\.\d+)?)*)(?!:?\d)",
)
_CHAIN = Guarded(rf"\d{_DASH}\d", rf"(?<![\d.-])\d+(?:{_DASH}\d+){{2,}}(?![\d-])")
_UNIT_WORDS = (
    r"(?:درصد|درجه|متر|سانتی\u200cمتر|میلی\u200cمتر|کیلومتر|گرم|کیلوگرم|کیلو|لیتر|میلی\u200cلیتر|دلار|یورو|پوند|تومان|ریال|هزار|میلیون"
    r"|میلیارد|سال|روز|ماه|ساعت|دقیقه|ثانیه|نفر|گیگابایت|مگابایت|هرتز|وات|ولت|سانتی\u200cگراد|"
    r"درجه سانتی\u200cگراد)"
)
_RANGE = re.compile(
    rf"(\d(?: {_UNIT_WORDS} ?)?)"
    rf"(?:(?<=[\w ]){_DASH}{{1,2}}|(?<=\d) {_DASH}{{1,2}} | ?~ ?|\.\.)"
    r"(?=\d)"
)
_UNIT_RANGE = Guarded(rf"{_DASH} ?\d", rf"(\d {_UNIT_WORDS} ?){_DASH} ?(?=\d)")
_FIGURE = Guarded(
    rf"\d(?:{_DASH}|/)\d",
    rf"({START}(?:شکل|جدول|نمودار|رابطه|رابطهٔ|معادله|مثال|تمرین|قضیه|مسئله|تبصره|بند|ماده|مادهٔ|بخش"
    rf"|شماره(?: [{LETTERS}]+)?)"
    rf" \d{{1,3}})(?:{_DASH}|/)(\d{{1,3}})"
    r"(?![\d-])",
)
_FIGURE_POINT = Guarded(r"\d\.\d", rf"({START}(?:شکل|جدول|نمودار) \d+)\.(\d+)(?![\d.])")
# Days of the week and months on both sides of a dash.
_DAYS = rf"(?:(?:یک|دو|سه|چهار|پنج)?[ {ZWNJ}]?شنبه|جمعه)"
_MONTHS = any_of([*JALALI, *GREGORIAN])
_NAMED_RANGE = Guarded(
    _DASH,
    rf"({START}(?:{_DAYS}|{_MONTHS})) ?{_DASH} ?(?=(?:{_DAYS}|{_MONTHS}){END})",
)
_MODEL = Guarded(rf"\d{_DASH}\d", rf"([A-Za-z]\d+){_DASH}(?=\d)")
_DIFFERENCE = Guarded(
    rf"\d {_DASH} \d", rf"(?<![\d.])({NUMBER}) {_DASH} ({NUMBER})(?!\d|\.\d)"
)
# A school year or season: 99-1398 (typed from right to left), 1401-02.
_SEASON = Guarded(
    rf"\d\d ?{_DASH} ?\d\d",
    rf"(?<![\d./-])(?:(?P<late>\d\d) ?{_DASH} ?(?P<first>[12]\d{{3}})"
    rf"|(?P<year>[12]\d{{3}}) ?{_DASH} ?(?P<next>0\d))(?![\d/-]|\.\d)",
)
_EQUAL = Guarded(rf"\d{_DASH}\d", rf"(?<![\d.])(\d+)({_DASH})\1(?![\d.])")


def read_scores(text: str) -> str:
    r"""Read scores and ratios that the words around them tell from ranges and times.

    Example:
        >>> read_scores("پرسپولیس 3-2 برد")
        'پرسپولیس 3 بر 2 برد'
        >>> read_scores("نسبت 10:20 و 5-10 سال")
        'نسبت 10 به 20 و 5-10 سال'
    """
    text = _CUED_RATIO.sub(r"\1\2 به \3", text)
    return _SCORE.sub(_read_score, text)


def read_ranges(text: str) -> str:
    r"""Read ranges.

    Example:
        >>> read_ranges("5-10 و 50-50 و 4-4-2")
        '5 تا 10 و 50 50 و 4 4 2'
        >>> read_ranges("سال 99-1398")
        'سال 1398 تا 99'
    """
    text = _FIGURE_POINT.sub(r"\1 نقطه \2", _FIGURE.sub(r"\1 \2", text))
    text = _NAMED_RANGE.sub(r"\1 تا ", text)
    text = _MODEL.sub(r"\1 ", text)
    text = _CHAIN.sub(lambda m: re.sub(_DASH, " ", m.group()), text)
    text = _SEASON.sub(_read_season, text)
    text = _EQUAL.sub(r"\1 \1", text)
    text = _DIFFERENCE.sub(_read_difference, text)
    text = _RANGE.sub(r"\1 تا ", text)
    return _UNIT_RANGE.sub(r"\1 تا ", text)


def read_ratios(text: str) -> str:
    r"""Read the ratios that are left when times have been read.

    Example:
        >>> read_ratios("16:9")
        '16 به 9'
    """
    return _RATIO.sub(_read_ratio, text)


def _read_ratio(match: re.Match[str]) -> str:
    """Read a ratio; a standard and its year (9001:2015) are no ratio."""
    link = " " if min(len(match[1]), len(match[2])) >= _STANDARD else " به "
    return link.join([match[1], match[2], *match[3].split(":")[1:]])


def _read_difference(match: re.Match[str]) -> str:
    """Read a spaced dash after the larger number as a minus."""
    sign = "منهای" if float(match[1]) > float(match[2]) else "تا"
    return f"{match[1]} {sign} {match[2]}"


def _read_season(match: re.Match[str]) -> str:
    """Read two years that follow each other, the second one short."""
    year = int(match["year"] or match["first"])
    last = match["late"] or match["next"]
    if (year + 1) % 100 != int(last):
        return match.group()
    return f"{year} تا {year + 1 if last[0] == '0' else last}"


def _read_score(match: re.Match[str]) -> str:
    """Read two numbers as a score where a match is spoken of."""
    text, start, end = match.string, match.start(), match.end()
    before = text[max(0, start - _WINDOW) : start]
    after = text[end : end + _WINDOW]
    if _COUNTED_NEXT.match(after):
        return match.group()
    is_between_teams = _TEAM_BEFORE.search(before) and _TEAM_AFTER.match(after)
    before = _SENTENCE_END.split(before)[-1]
    after = _SENTENCE_END.split(after, maxsplit=1)[0]
    if is_between_teams or _MATCH.search(before) or _MATCH.search(after):
        return f"{match[1]} بر {match[3]}"
    return match.group()
