r"""Telephone and card numbers, identity codes, addresses of machines, versions.

Choices: mobile numbers in groups 4-3-2-2, other telephone numbers the area code and
pairs; card numbers and codes named by a cue word digit by digit; number plates of cars
with "Iran" before the region; the point of a version or machine address is "noqte".
"""

import re

from espnet_vibevoice.text.persian.alphabet import END, LETTERS, START, ZWNJ, any_of
from espnet_vibevoice.text.persian.guarded import Guarded
from espnet_vibevoice.text.persian.numbers import (
    read_cardinal,
    read_digits,
    read_group,
    read_integer,
)

_GAP = "[ .\u2010\u2011\u2013-]?"
_SERVICE = Guarded(r"\d#", r"(?<![\w*])\*\d{1,6}(?:\*\d{1,16})*#")
_COUNTRY = r"(?P<country>\+ ?98|0098)"
_MOBILE = Guarded(
    r"\d(?:[ .()\u2010\u2011\u2013-]{0,3}\d){7}",
    rf"(?<![\d+/.,])(?:{_COUNTRY}{_GAP}\(?0?\)?|\(?0)(?P<operator>9\d\d)\)?{_GAP}(?P<three>\d{{3}})"
    rf"{_GAP}(?P<first>\d\d){_GAP}(?P<second>\d\d)(?!\d)",
)
_LANDLINE = Guarded(
    r"\d(?:[ .()\u2010\u2011\u2013-]{0,3}\d){7}",
    rf"(?<![\d+/.,])\(?(?:{_COUNTRY}{_GAP}|0)(?P<area>[1-8]\d)\)?[ -]{{0,3}}"
    rf"(?P<number>\d{{4}}{_GAP}\d{{4}}|\d\d{_GAP}\d\d{_GAP}\d\d{_GAP}\d\d)"
    r"(?:-(?P<last>\d\d?))?(?!\d)",
)
_FOREIGN = Guarded(
    r"\+\d",
    r"(?<![\w+])\+(?P<code>\d{1,3})(?P<groups>(?:[ -]\(?\d{2,4}\)?){2,5})(?!\d)",
)
_AFTER_CUE = Guarded(
    r"\d{4}",
    rf"{START}(?:تلفن|تماس|فکس|نمابر|دورنگار|تلفکس)[^\d.،؛!?\n]{{0,20}}[ :]"
    rf"(?P<number>\d{{4}}{_GAP}\d{{4}}|\d{{8}})(?!\d)",
)
_BEFORE_CUE = Guarded(
    r"\d{8} ", rf"(?<![\d.,/+-])(\d{{8}})(?= (?:تماس|زنگ|پیامک){END})"
)
_CARD = Guarded(
    r"\d{4}[ -]\d{4}",
    r"(?<![\d.,/-])(\d{4})([ -])(\d{4})\2(\d{4})\2(\d{4})(?![\d/]|[.,-]\d)",
)
_PLATE = Guarded(
    r"\d{3} ?[-\u2013] ?\d\d",
    rf"(?<!\d)(\d\d) ?(الف|[{LETTERS}]) ?(\d{{3}}) ?[-\u2013] ?(\d\d)(?![\d.,/])",
)
_IBAN = Guarded("IR", r"(?<![A-Za-z0-9])IR ?(\d\d(?: ?\d{4}){5} ?\d\d)(?!\d)")
_CODE_CUE = Guarded(
    r"\d{5}|\d-\d",
    rf"{START}(?:شابک|ISBN|صندوق پستی"
    rf"|کد|کدپستی|کد{ZWNJ}پستی|کدملی|کد{ZWNJ}ملی|شناسه|شناسهٔ|سریال|بارکد|رمز|پین|رهگیری|پیگیری"
    rf"|شماره(?:{ZWNJ}ی|ٔ)? (?:ملی|شناسنامه|حساب|سریال|دانشجویی|پرونده|سفارش|قرارداد"
    rf"|بیمه|شبا|مشتری|پرسنلی|مرجع|فاکتور|پاسپورت|گذرنامه|موبایل|کارت|اشتراک|قبض))"
    rf"{END}(?P<between>[^\d.،؛!?\n]{{0,25}})(?<![\d+])"
    r"(?P<digits>\d{5} \d{5}|\d{3,10}-\d{3,10}|\d+(?:-\d+){2,5}|\d{5,30})"
    r"(?!\d|[.,/-]\d)",
)
_ADDRESS = Guarded(
    r"\d\.\d+\.\d", r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?::(\d+))?(?!\.?\d)"
)
_SOFTWARE = (
    "نسخه نسخهٔ نسخه\u200cی ورژن ویرایش پایتون جاوا لینوکس اوبونتو کروم فایرفاکس "
    "جنگو iOS Android Python Java Node Linux Ubuntu macOS Chrome Firefox PHP Django "
    "version Version ver Kotlin Go Rust PyTorch TensorFlow CUDA GPT "
    "USB HDMI Bluetooth بلوتوث"
).split()
_VERSION = Guarded(
    r"\d\.\d|[vVr]\.? ?\d",
    rf"(?P<cue>{START}{any_of(_SOFTWARE)}[ :-])?"
    r"(?<![A-Za-z0-9.])(?P<v>[vV](?:er(?:sion)?)?\.? ?)?(?P<number>\d+(?:\.\d+)*)"
    r"(?![\d%A-Za-z/]|\.\d)",
)


def read_codes(text: str) -> str:
    r"""Read numbers that are names, not quantities.

    Example:
        >>> read_codes("0912 123 4567")
        ' صفر نهصد و دوازده صد و بیست و سه چهل و پنج شصت و هفت '
        >>> read_codes("کد پستی 12345-67890")
        'کد پستی  یک دو سه چهار پنج شش هفت هشت نه صفر '
    """
    text = _SERVICE.sub(_read_service, text)
    text = _MOBILE.sub(_read_mobile, text)
    text = _LANDLINE.sub(_read_landline, text)
    text = _FOREIGN.sub(_read_foreign, text)
    text = _IBAN.sub(lambda m: f"IR {read_digits(m[1].replace(' ', ''))} ", text)
    text = _CARD.sub(lambda m: f" {read_digits(m[1] + m[3] + m[4] + m[5])} ", text)
    text = _PLATE.sub(r"\1 \2 \3 ایران \4", text)
    text = _AFTER_CUE.sub(_read_local, text)
    text = _BEFORE_CUE.sub(lambda m: _read_groups(_cut(m[1], 2)), text)
    text = _CODE_CUE.sub(_read_code, text)
    return _ADDRESS.sub(_read_address, text)


def read_versions(text: str) -> str:
    r"""Read versions after a cue, a "v" or with more than one point.

    Example:
        >>> read_versions("پایتون 3.11"), read_versions("v2.5"), read_versions("2.5")
        ('پایتون  سه نقطه یازده ', ' نسخه دو نقطه پنج ', '2.5')
    """
    return _VERSION.sub(_read_version, text)


def _cut(digits: str, size: int) -> list[str]:
    """Cut digits into groups from the left."""
    return [digits[i : i + size] for i in range(0, len(digits), size)]


def _read_groups(groups: list[str]) -> str:
    """Read groups of digits one after another."""
    return f" {' '.join(map(read_group, groups))} "


def _read_country(match: re.Match[str]) -> str:
    """Read the code of Iran, or the zero that replaces it."""
    if match["country"] is None:
        return ""
    return "مثبت نود و هشت " if match["country"][0] == "+" else "صفر صفر نود و هشت "


def _read_service(match: re.Match[str]) -> str:
    """Read a service code of mobile networks."""
    spoken = match.group().replace("*", " ستاره ").replace("#", " مربع ")
    return re.sub(r"\d+", lambda m: read_group(m.group()), spoken)


def _read_mobile(match: re.Match[str]) -> str:
    """Read a mobile number."""
    zero = "" if match["country"] else "0"
    groups = [zero + match["operator"], match["three"], match["first"], match["second"]]
    return f" {_read_country(match)}{_read_groups(groups).lstrip()}"


def _read_landline(match: re.Match[str]) -> str:
    """Read an area code and eight digits in pairs."""
    zero = "" if match["country"] else "0"
    pairs = _cut(re.sub(r"\D", "", match["number"]), 2)
    words = _read_groups([zero + match["area"], *pairs]).lstrip()
    last = f"تا {read_group(match['last'])} " if match["last"] else ""
    return f" {_read_country(match)}{words}{last}"


def _read_foreign(match: re.Match[str]) -> str:
    """Read a number with another country's code in its typed groups."""
    groups = re.findall(r"\d+", match["groups"])
    return f" مثبت {_read_groups([match['code'], *groups]).lstrip()}"


def _read_local(match: re.Match[str]) -> str:
    """Read eight digits after a word for telephone in pairs."""
    before = match.group()[: -len(match["number"])]
    return before + _read_groups(_cut(re.sub(r"\D", "", match["number"]), 2))


def _read_code(match: re.Match[str]) -> str:
    """Read the digits after a word for a code one by one."""
    before = match.group()[: -len(match["digits"])]
    return f"{before} {read_digits(re.sub('[ -]', '', match['digits']))} "


def _read_address(match: re.Match[str]) -> str:
    """Read an internet address of numbers, with its port."""
    numbers = [read_cardinal(int(part)) for part in match[1].split(".")]
    port = f" پورت {read_integer(match[2])}" if match[2] else ""
    return f" {' نقطه '.join(numbers)}{port} "


def _read_version(match: re.Match[str]) -> str:
    """Read a version; numbers that are none are left alone."""
    cue, v, number = match["cue"], match["v"], match["number"]
    points = number.count(".")
    if not (points > 1 or v or (cue and points)):
        return match.group()
    name = cue or ("نسخه " if v else "")
    words = " نقطه ".join(map(read_integer, number.split(".")))
    return f"{name if cue else ' ' + name}{' ' if cue else ''}{words} "
