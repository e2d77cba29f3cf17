r"""Signs that stand alone: comparisons before a number, Greek letters, arrows, faces.

What is not in these tables is dropped by the last step, which counts it.
"""

import re

from espnet_vibevoice.text.persian.alphabet import NUMBER
from espnet_vibevoice.text.persian.currency import SYMBOLS as CURRENCIES
from espnet_vibevoice.text.persian.equations import OPERATORS, RELATIONS

GREEK = dict(
    zip(
        "αβγδεζηθικλνξοπρσςτυφχψω",
        "آلفا بتا گاما دلتا اپسیلون زتا اتا تتا یوتا کاپا لاندا نو کسی اومیکرون پی "
        "رو سیگما سیگما تاو اوپسیلون فی خی پسی امگا".split(),
        strict=True,
    )
)
_CAPITALS = {letter.upper(): name for letter, name in GREEK.items() if letter != "ς"}
SIGNS = {
    **GREEK,
    **_CAPITALS,
    **CURRENCIES,
    "µ": "مو",
    "Ω": "اهم",
    "%": "درصد",
    "‰": "در هزار",
    "&": "و",
    "@": "ات",
    "=": RELATIONS["="],
    "≠": RELATIONS["≠"],
    "≈": "تقریباً",
    "≤": RELATIONS["≤"],
    "≥": RELATIONS["≥"],
    "+": OPERATORS["+"],
    "×": "در",
    "÷": OPERATORS["÷"],
    "±": "مثبت منفی",
    "√": "جذر",
    "∞": "بی\u200cنهایت",
    "∑": "سیگما",
    "∫": "انتگرال",
    "∂": "مشتق جزئی",
    "∈": "عضو",
    "∉": "عضو نیست در",
    "⊂": "زیرمجموعه",
    "∪": "اجتماع",
    "∩": "اشتراک",
    "∅": "تهی",
    "∝": "متناسب با",
    "∴": "بنابراین",
    "∵": "زیرا",
    "∠": "زاویه",
    "∆": "دلتا",
    "△": "مثلث",
    "⊥": "عمود بر",
    "∥": "موازی با",
    "→": "به",
    # what goes on in a right-to-left line points left
    "←": "به",
    "⇒": "نتیجه می\u200cدهد",
    "⟶": "به",
    "➔": "به",
    "➜": "به",
    "°": "درجه",
    "′": "دقیقه",
    "″": "ثانیه",
    "§": "بند",
    "⁄": "روی",
}
_FACE = re.compile(
    r"(?<![^\s])(?:[:;]['`^o-]?[)(\]\[DPp3Oo*|/\\]+|=[)(\]\[DP]+|8-\)+|[)(]+[:;=]"
    r"|(?<![A-Za-z\d)] )<3+|\^_*\^|-_+-|:'\(+|[xX]D+)(?![^\s.!؟،])"
)
_ABOUT = re.compile(rf"(?<![\w)] )(?<![\w)])[~≈≃] ?(?={NUMBER})")
_COMPARED = {
    "<": "کمتر از",
    ">": "بیشتر از",
    "≤": "حداکثر",
    "≥": "حداقل",
    "<=": "حداکثر",
    ">=": "حداقل",
}
_COMPARISON = re.compile(r"(?<![\w)] )(?<![\w)])(<=|>=|[<>≤≥]) ?(?=[-\u2212]?\d)")
_LESS_OR_MORE = re.compile(r"(?<=[\w%]) ([<>])(?= ?[-\u2212]?\d)")
_LEFT_ARROW = re.compile(r"(?<=\w) ?<-+ ?(?=\w)")
_ARROW = re.compile(r"(?<=[\w ])[-=]+> ?")
_BLOOD = re.compile(r"(?<![A-Za-z0-9])(AB|A|B|O)([+-])(?![\w])")
_WARM = re.compile(r"(?<![\w.])(\d+)\+(?= ?(?:درجه|°))")
_AGES = re.compile(r"(?<![\w.])(3|7|12|13|15|16|18|21)\+(?!\s?[\d\w])")
_MORE_THAN_SAID = re.compile(r"((?:بیش|بیشتر) از |بالای |حداقل )(\d+)\+")
_MORE_THAN = re.compile(r"(?<![\w.+])(\d+(?:\.\d+)?)\+(?=$|[^\d\w+])")
_HASH_NUMBER = re.compile(r"(?:شماره )?#(?=\d)")
_LANGUAGES = (
    (re.compile(r"\bC\+\+(?!\+)"), "C پلاس پلاس"),
    (re.compile(r"\b([CF])#"), r"\1 شارپ"),
)
_AND_OR = re.compile(r"(?<![^\s])و ?/ ?یا(?![^\s.،؛؟!])")
_SIGN = re.compile(f"[{re.escape(''.join(SIGNS))}]")


def read_faces(text: str) -> str:
    """Take out faces made of punctuation.

    Example:
        >>> read_faces("سلام :) Windows XP (8 نفر)")
        'سلام  Windows XP (8 نفر)'
    """
    return _FACE.sub("", text)


def read_prefixes(text: str) -> str:
    r"""Read signs before or after a number that are no arithmetic; names with signs.

    Example:
        >>> read_prefixes("~20 نفر، <5، 100+ کالا")
        ' حدود 20 نفر،  کمتر از 5،  بیش از 100 کالا'
        >>> read_prefixes("سن > 18، C++ و O+ و 18+")
        'سن بزرگ\u200cتر از  18، C پلاس پلاس و O مثبت و  مثبت 18'
    """
    for pattern, reading in _LANGUAGES:
        text = pattern.sub(reading, text)
    text = _BLOOD.sub(lambda m: f"{m[1]} {'مثبت' if m[2] == '+' else 'منفی'}", text)
    text = _ABOUT.sub(" حدود ", text)
    text = _COMPARISON.sub(lambda m: f" {_COMPARED[m[1]]} ", text)
    text = _WARM.sub(r" مثبت \1", text)
    text = _LESS_OR_MORE.sub(lambda m: f" {RELATIONS[m[1]]} ", text)
    text = _AGES.sub(r" مثبت \1", text)
    text = _MORE_THAN_SAID.sub(r"\1\2", text)
    text = _MORE_THAN.sub(r" بیش از \1", text)
    text = _AND_OR.sub("و یا", text)
    return _HASH_NUMBER.sub(" شماره ", text)


def read_symbols(text: str) -> str:
    r"""Read the signs that are left, one by one.

    Example:
        >>> read_symbols("سیب & موز")
        'سیب  و  موز'
    """
    text = _LEFT_ARROW.sub(" از ", text)
    text = _ARROW.sub(" به ", text)
    return _SIGN.sub(lambda m: f" {SIGNS[m.group()]} ", text)
