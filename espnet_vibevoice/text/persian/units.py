r"""Units of measure, percent, exponents, dimensions.

Choices: Academy spelling (centimetre with a non-joiner, kilometre joined); a unit over
another is "bar"; squared and cubed lengths are "moraba" and "moka'ab"; the exponent of
anything else is "be tavan-e".
"""

import re

from espnet_vibevoice.text.persian.alphabet import DASHES, END, NUMBER, ZWNJ, any_of
from espnet_vibevoice.text.persian.guarded import Guarded

UNITS = {
    # length
    "nm": "نانومتر",
    "µm": "میکرومتر",
    "mm": "میلی\u200cمتر",
    "cm": "سانتی\u200cمتر",
    "dm": "دسی\u200cمتر",
    "m": "متر",
    "km": "کیلومتر",
    "ft": "فوت",
    "inch": "اینچ",
    "in": "اینچ",
    "yd": "یارد",
    "mi": "مایل",
    # mass
    "µg": "میکروگرم",
    "mcg": "میکروگرم",
    "mg": "میلی\u200cگرم",
    "g": "گرم",
    "gr": "گرم",
    "kg": "کیلوگرم",
    "kgf": "کیلوگرم نیرو",
    "lb": "پوند",
    "lbs": "پوند",
    "oz": "اونس",
    "ton": "تن",
    # volume, area
    "ml": "میلی\u200cلیتر",
    "mL": "میلی\u200cلیتر",
    "cl": "سانتی\u200cلیتر",
    "l": "لیتر",
    "L": "لیتر",
    "lit": "لیتر",
    "cc": "سی\u200cسی",
    "ha": "هکتار",
    # time
    "ns": "نانوثانیه",
    "µs": "میکروثانیه",
    "ms": "میلی\u200cثانیه",
    "s": "ثانیه",
    "sec": "ثانیه",
    "min": "دقیقه",
    "h": "ساعت",
    "hr": "ساعت",
    "hrs": "ساعت",
    # speed and rates
    "kmh": "کیلومتر بر ساعت",
    "km/h": "کیلومتر بر ساعت",
    "kph": "کیلومتر بر ساعت",
    "mph": "مایل بر ساعت",
    "rpm": "دور در دقیقه",
    "bpm": "ضربه در دقیقه",
    "fps": "فریم بر ثانیه",
    "bps": "بیت بر ثانیه",
    "kbps": "کیلوبیت بر ثانیه",
    "Kbps": "کیلوبیت بر ثانیه",
    "Mbps": "مگابیت بر ثانیه",
    "Gbps": "گیگابیت بر ثانیه",
    # data
    "KB": "کیلوبایت",
    "kB": "کیلوبایت",
    "MB": "مگابایت",
    "GB": "گیگابایت",
    "TB": "ترابایت",
    "PB": "پتابایت",
    "Kb": "کیلوبیت",
    "Mb": "مگابیت",
    "Gb": "گیگابیت",
    "px": "پیکسل",
    "MP": "مگاپیکسل",
    "dpi": "نقطه در اینچ",
    # electricity, energy, force
    "V": "ولت",
    "kV": "کیلوولت",
    "mV": "میلی\u200cولت",
    "A": "آمپر",
    "mA": "میلی\u200cآمپر",
    "Ah": "آمپر ساعت",
    "mAh": "میلی\u200cآمپر ساعت",
    "W": "وات",
    "mW": "میلی\u200cوات",
    "kW": "کیلووات",
    "MW": "مگاوات",
    "GW": "گیگاوات",
    "Wh": "وات ساعت",
    "kWh": "کیلووات ساعت",
    "MWh": "مگاوات ساعت",
    "Ω": "اهم",
    "kΩ": "کیلواهم",
    "MΩ": "مگااهم",
    "µF": "میکروفاراد",
    "J": "ژول",
    "kJ": "کیلوژول",
    "MJ": "مگاژول",
    "cal": "کالری",
    "kcal": "کیلوکالری",
    "N": "نیوتن",
    "kN": "کیلونیوتن",
    "Nm": "نیوتن متر",
    "hp": "اسب بخار",
    "HP": "اسب بخار",
    "Pa": "پاسکال",
    "hPa": "هکتوپاسکال",
    "kPa": "کیلوپاسکال",
    "MPa": "مگاپاسکال",
    "GPa": "گیگاپاسکال",
    "bar": "بار",
    "psi": "پی\u200cاس\u200cآی",
    "atm": "اتمسفر",
    "mmHg": "میلی\u200cمتر جیوه",
    "eV": "الکترون\u200cولت",
    # waves, light, others
    "Hz": "هرتز",
    "kHz": "کیلوهرتز",
    "KHz": "کیلوهرتز",
    "MHz": "مگاهرتز",
    "GHz": "گیگاهرتز",
    "dB": "دسی\u200cبل",
    "lm": "لومن",
    "lx": "لوکس",
    "cd": "کاندلا",
    "mol": "مول",
    "mmol": "میلی\u200cمول",
    "ppm": "پی\u200cپی\u200cام",
    "°C": "درجه سانتی\u200cگراد",
    "° C": "درجه سانتی\u200cگراد",
    "°F": "درجه فارنهایت",
    "°K": "درجه کلوین",
    "ºC": "درجه سانتی\u200cگراد",
    "℃": "درجه سانتی\u200cگراد",
    "Bq": "بکرل",
    "Sv": "سیورت",
    "IU": "واحد بین\u200cالمللی",
    "dl": "دسی\u200cلیتر",
    "dL": "دسی\u200cلیتر",
}
_VARIANTS = {
    "Km": "km",
    "KM": "km",
    "Kg": "kg",
    "KG": "kg",
    "CM": "cm",
    "Cm": "cm",
    "MM": "mm",
    "ML": "ml",
    "Ml": "ml",
    "mhz": "MHz",
    "ghz": "GHz",
    "gb": "GB",
    "mb": "MB",
    "mah": "mAh",
    "MAH": "mAh",
    "KW": "kW",
    "KWh": "kWh",
    "Lit": "lit",
    "Km/h": "km/h",
    "KM/H": "km/h",
}
# One letter in a row of Latin words is no unit: these need to touch their number.
_TOUCHING = {"in", "h", "N", "A", "min", "ha", "cd", "mi"}
_SQUARED = ("متر", "فوت", "اینچ", "مایل", "یارد")
_NAME = any_of([*UNITS, *_VARIANTS])
_UNIT = re.compile(
    rf"(?<![A-Za-z\d.])(?P<number>\d+(?:\.\d+)?)(?P<gap> {{0,2}})"
    rf"(?P<unit>{_NAME})(?:\^?(?P<power>[23]))?"
    rf"(?: ?/ ?(?P<per>{_NAME})(?:\^?(?P<per_power>[23]))?)?(?![A-Za-z0-9])"
)
_LATIN_WORD = re.compile("[A-Za-z] $")  # Note 10s, iPhone 5s
_KELVIN = re.compile(r"(?<![\w.-])(\d\d+(?:\.\d+)?) ?K(?!\w)")
_PERSIAN_POWER = Guarded(r"\^", r"(متر|فوت|اینچ|(?<=\d)م|(?<=\d )م)\^?([23])(?!\d)")
_PERSIAN_PER = Guarded(
    "/",
    rf"((?:متر|گرم|لیتر|وات|مایل|نفر|تومان|ریال|دلار|واحد|بیت|بایت)) ?/ ?"
    rf"(ساعت|ثانیه|دقیقه|روز|ماه|سال|متر|کیلومتر|کیلوگرم|کیلو|لیتر|نفر|تن|هکتار|بشکه|اونس){END}",
)
_PERCENT_BEFORE = re.compile(rf"[%٪] ?({NUMBER})(?![\d%٪]|\.\d)")
_PERCENT_BEFORE_RANGE = Guarded(
    rf"\d ?[{DASHES}] ?\d", rf"%({NUMBER}) ?[{DASHES}] ?({NUMBER})(?![\d%]| %|\.\d)"
)
_PERCENT = re.compile(rf"(?<=\d) ?%(?:{ZWNJ}?(ی){END})?")
_PERMILLE = re.compile(r"(?<=\d) ?‰")
_COORDINATE = Guarded(
    "°", r"(?<!\d)(\d+) ?° ?(\d+) ?[′'](?: ?(\d+(?:\.\d+)?) ?(?:″|\"|''))?"
)
_FEET = Guarded("['′]", r"(?<![\d.])(\d)['′] ?(1[01]|\d)(?:\"|″|'')")
_DEGREE_BEFORE = Guarded("°", rf"(?<![\d\w] )(?<![\d\w])° ?({NUMBER})")
_DEGREE = re.compile(r"° ?")
_INCH = re.compile(r"(?<=\d)(?:\"|″|'')(?![\w])")
_DIMENSION = re.compile(r"(?<=[\d]) ?[x×*X] ?(?=\d)")
_SCIENTIFIC = Guarded(
    r"\d[eE]",
    rf"(?<![\w.])({NUMBER})[eE]([+-]?)(\d{{1,3}})(?![\w.])",
)
_TIMES_TEN = Guarded(r"10\^", r"(?<=\d) ?[×xX*] ?(?=10\^)")
_POWER = re.compile(r"(?<=[\w)]) ?\^ ?\(?([+-]?)(\w+)\)?")


def read_percent(text: str) -> str:
    r"""Read percent signs before and after a number.

    Example:
        >>> read_percent("%20 تا 30%")
        ' 20 درصد  تا 30 درصد '
    """
    text = _PERCENT_BEFORE_RANGE.sub(r"\1 تا \2%", text)
    text = _PERMILLE.sub(
        " در هزار ", _PERCENT.sub(lambda m: f" درصد{m[1] or ''} ", text)
    )
    return _PERCENT_BEFORE.sub(r" \1 درصد ", text)


def read_units(text: str) -> str:
    r"""Read units after a number, and their exponents and quotients.

    Example:
        >>> read_units("5 km/h، 20°C، 3 m^2")
        '5 کیلومتر بر ساعت ، 20 درجه سانتی\u200cگراد ، 3 متر مربع '
    """
    text = _DEGREE_BEFORE.sub(r"\1°", text)
    text = _COORDINATE.sub(_read_coordinate, text)
    text = _FEET.sub(r"\1 فوت و \2 اینچ ", text)
    text = _KELVIN.sub(r"\1 کلوین ", _UNIT.sub(_read_unit, text))
    text = _PERSIAN_POWER.sub(_read_persian_power, text)
    text = _PERSIAN_PER.sub(r"\1 بر \2", text)
    text = text.replace("″", " اینچ ")
    if text.count('"') % 2:
        text = _INCH.sub(" اینچ ", text)
    return _DEGREE.sub(" درجه ", text)


def read_powers(text: str) -> str:
    r"""Read exponents and, between numbers, the sign of dimensions.

    Example:
        >>> read_powers("10^-3"), read_powers("3×4 متر")
        ('10 به توان منفی 3 ', '3 در 4 متر')
        >>> read_powers("1e6")
        '1 ضرب در 10 به توان 6 '
    """
    text = _SCIENTIFIC.sub(r"\1×10^\2\3", text)
    text = _TIMES_TEN.sub(" ضرب در ", text)
    text = _DIMENSION.sub(" در ", text)
    return _POWER.sub(_read_power, text)


def _read_power(match: re.Match[str]) -> str:
    """Read an exponent with its sign."""
    sign = {"-": "منفی ", "+": "مثبت ", "": ""}[match[1]]
    return f" به توان {sign}{match[2]} "


def _raise(name: str, power: str | None) -> str:
    """Name the square or cube of a unit."""
    if power is None:
        return name
    if name.endswith(_SQUARED):
        return f"{name} {'مربع' if power == '2' else 'مکعب'}"
    if name == "ثانیه" and power == "2":
        return "مجذور ثانیه"
    return f"{name} به توان {'دو' if power == '2' else 'سه'}"


def _read_unit(match: re.Match[str]) -> str:
    """Read a unit; a letter that may be a word of its own only without a gap."""
    unit = _VARIANTS.get(match["unit"], match["unit"])
    before = match.string[max(0, match.start() - 2) : match.start()]
    is_model = len(unit) == 1 and not match["gap"] and _LATIN_WORD.search(before)
    if is_model or (match["gap"] and unit in _TOUCHING):
        return match.group()
    name = _raise(UNITS[unit], match["power"])
    if match["per"]:
        per = UNITS[_VARIANTS.get(match["per"], match["per"])]
        name = f"{name} بر {_raise(per, match['per_power'])}"
    return f"{match['number']} {name} "


def _read_persian_power(match: re.Match[str]) -> str:
    """Read a Persian unit with an exponent; one letter behind a number is the metre."""
    return _raise("متر" if match[1] == "م" else match[1], match[2])


def _read_coordinate(match: re.Match[str]) -> str:
    """Read degrees, minutes and seconds of arc."""
    seconds = f" و {match[3]} ثانیه" if match[3] else ""
    return f"{match[1]} درجه و {match[2]} دقیقه{seconds} "
