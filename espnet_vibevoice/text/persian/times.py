r"""Times of day.

Choices: "ده و سی دقیقه" (not "و نیم"); full hours without minutes; "sa'at" only where
it is written, or before minutes and seconds after a word for a duration; AM is "sobh",
PM "ba'd az zohr", 12 PM "zohr".
"""

import re

from espnet_vibevoice.text.persian.alphabet import DASHES, END, START, ZWNJ
from espnet_vibevoice.text.persian.guarded import Guarded
from espnet_vibevoice.text.persian.numbers import read_cardinal

_HALF = r"(?P<half>\s?[AaPp]\.?[Mm]\b\.?(?!\w))?"
_TIME = Guarded(
    r"\d:\d",
    r"(?<![\d:./])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)"
    rf"(?::(?P<second>[0-5]\d)(?:\.\d+)?)?Z?(?![\d:]){_HALF}(?P<word> ?دقیقه{END})?",
)
_UNTIL = Guarded(
    r":\d\d ?[-\u2010-\u2015\u2212]", rf"(?<=\d)(:\d\d) ?[{DASHES}] ?(?=\d{{1,2}}:\d\d)"
)
_AFTER_HOUR_WORD = Guarded(
    r"\d[./]\d\d",
    rf"{START}(?P<cue>ساعت(?:ِ|\u200cی)? )(?P<hour>[01]?\d|2[0-4])[./]"
    rf"(?P<minute>[0-5]\d)(?![\d/]|\.\d){_HALF}(?P<word> ?دقیقه{END})?",
)
_DURATION = Guarded(
    r"\d:\d\d:\d\d",
    rf"(?P<cue>{START}(?:رکورد|مدت|مدت{ZWNJ}زمان|زمان|طول)[^\d.،؛!?؟\n]{{0,20}})"
    r"(?<!\d)(?P<hour>\d\d?):(?P<minute>[0-5]\d):(?P<second>[0-5]\d)(?![:\d])",
)
_HOUR_HALF = Guarded(
    r"\d ?[AaPp]",
    r"(?<![\w.:])(?P<hour>1[0-2]|0?[1-9]) ?(?P<half>[AaPp]\.?[Mm]\b)(?![\w])",
)


def read_times(text: str) -> str:
    r"""Read times written with a colon; with a point or slash only after "sa'at".

    Example:
        >>> read_times("ساعت 10:30")
        'ساعت  ده و سی دقیقه '
        >>> read_times("ساعت 16/05، 08:00")
        'ساعت  شانزده و پنج دقیقه ،  هشت '
        >>> read_times("رکورد 2:01:09")
        'رکورد  دو ساعت و یک دقیقه و نه ثانیه '
    """
    text = _DURATION.sub(_read_duration, text)
    text = _UNTIL.sub(r"\1 تا ", text)
    text = _AFTER_HOUR_WORD.sub(lambda m: m["cue"] + _read_time(m, None), text)
    text = _TIME.sub(lambda m: _read_time(m, m["second"]), text)
    return _HOUR_HALF.sub(_read_hour_half, text)


def _read_time(match: re.Match[str], second: str | None) -> str:
    """Read hour, minutes, seconds and the half of the day."""
    parts = [read_cardinal(int(match["hour"]))]
    if int(match["minute"]):
        parts.append(f"{read_cardinal(int(match['minute']))} دقیقه")
    if second and int(second):
        parts.append(f"{read_cardinal(int(second))} ثانیه")
    half = f" {_name_half(match['half'], match['hour'])}" if match["half"] else ""
    return f" {' و '.join(parts)}{half} "


def _read_duration(match: re.Match[str]) -> str:
    """Read hours, minutes and seconds that a word before them calls a duration."""
    names = {"hour": "ساعت", "minute": "دقیقه", "second": "ثانیه"}
    parts = [
        f"{read_cardinal(int(match[part]))} {name}"
        for part, name in names.items()
        if int(match[part])
    ]
    return f"{match['cue']} {' و '.join(parts) or 'صفر ثانیه'} "


def _read_hour_half(match: re.Match[str]) -> str:
    """Read a full hour and the half of the day."""
    return f" {int(match['hour'])} {_name_half(match['half'], match['hour'])} "


def _name_half(typed: str, hour: str) -> str:
    """Name AM or PM; twelve PM is noon."""
    if typed.strip()[0] in "aA":
        return "صبح"
    return "ظهر" if hour == "12" else "بعد از ظهر"
