r"""Letters, digits and invisible characters in one form each.

One translation table that fills itself: a character is looked up once in the
Unicode data, then in a dictionary. Ezafe over heh is written as two code points, heh
U+0647 and hamza above U+0654, since the single code point U+06C0 is another letter
for most fonts and tokenizers. Digits become ASCII until they are read. What no rule
knows stays, for the last step to drop and count.
"""

import re
import unicodedata

from espnet_vibevoice.text.persian.alphabet import (
    HAMZA_ABOVE,
    LETTERS,
    VOWEL_MARKS,
    ZWNJ,
)

_LETTER_VARIANTS = {
    # Arabic and older Persian coding
    "ي": "ی",
    "ى": "ی",
    "ك": "ک",
    "ة": "ه",
    "ۀ": "ه" + HAMZA_ABOVE,
    "إ": "ا",
    "ٱ": "ا",
    "ٲ": "ا",
    "ٳ": "ا",
    "ٵ": "ا",
    "ٶ": "ؤ",
    "ٸ": "ئ",
    # Urdu, Kurdish, Pashto, Uyghur letters by their Persian neighbours
    "ے": "ی",
    "ۓ": "ئ",
    "ې": "ی",
    "ۍ": "ی",
    "ێ": "ی",
    "ۂ": "ه" + HAMZA_ABOVE,
    "ۃ": "ه",
    "ہ": "ه",
    "ھ": "ه",
    "ە": "ه",
    "ۿ": "ه",
    "ڪ": "ک",
    "ڭ": "گ",
    "ڤ": "و",
    "ۆ": "و",
    "ۇ": "و",
    "ۈ": "و",
    "ۋ": "و",
    "ڕ": "ر",
    "ړ": "ر",
    "ڑ": "ر",
    "ږ": "ژ",
    "ڵ": "ل",
    "ٹ": "ت",
    "ټ": "ت",
    "ڈ": "د",
    "ډ": "د",
    "ں": "ن",
    "ٮ": "ب",
    "ٯ": "ق",
    "ڡ": "ف",
}
# Unicode names of letters whose variants (with dots, rings, tails) look like these.
_BASES = {
    "ALEF": "ا",
    "BEH": "ب",
    "DOTLESS BEH": "ب",
    "PEH": "پ",
    "TEH": "ت",
    "TTEH": "ت",
    "TEHEH": "ت",
    "THEH": "ث",
    "JEEM": "ج",
    "TCHEH": "چ",
    "HAH": "ح",
    "KHAH": "خ",
    "DAL": "د",
    "DDAL": "د",
    "THAL": "ذ",
    "REH": "ر",
    "RREH": "ر",
    "ZAIN": "ز",
    "JEH": "ژ",
    "SEEN": "س",
    "SHEEN": "ش",
    "SAD": "ص",
    "DAD": "ض",
    "TAH": "ط",
    "ZAH": "ظ",
    "AIN": "ع",
    "GHAIN": "غ",
    "FEH": "ف",
    "DOTLESS FEH": "ف",
    "QAF": "ق",
    "KAF": "ک",
    "KEHEH": "ک",
    "SWASH KAF": "ک",
    "NG": "گ",
    "GAF": "گ",
    "GUEH": "گ",
    "NGOEH": "گ",
    "RNOON": "ن",
    "DDAHAL": "د",
    "DUL": "د",
    "LAM": "ل",
    "MEEM": "م",
    "NOON": "ن",
    "NOON GHUNNA": "ن",
    "HEH": "ه",
    "HEH DOACHASHMEE": "ه",
    "HEH GOAL": "ه",
    "WAW": "و",
    "OE": "و",
    "U": "و",
    "YU": "و",
    "VE": "و",
    "YEH": "ی",
    "FARSI YEH": "ی",
    "E": "ی",
    "YEH BARREE": "ی",
    "AE": "ه",
}
_SIGNS = {
    "\u00ac": ZWNJ,  # NOT SIGN: what old fonts used for the non-joiner
    "\u200b": " ",  # ZERO WIDTH SPACE
    "\u0640": "",  # TATWEEL
    "\u0656": "\u0650",  # SUBSCRIPT ALEF: a long kasra
    "\u0657": "\u064f",  # INVERTED DAMMA
    "\u066a": "%",
    "\ufe6a": "%",
    "\u2030": "‰",
    "\u066d": "*",
    "\u06d4": ".",
    "\u00b5": "µ",
    "\u03bc": "µ",
    "\u2126": "Ω",
    "\u212a": "K",
    "\u212b": "Å",
    "\u2103": "°C",
    "\u2109": "°F",
    "\u00ba": "°",
    "\u02da": "°",
    "\u2032": "′",
    "\u2033": "″",
    "\u2044": "⁄",
    "\u2215": "⁄",
    "\u2236": ":",
    "\u22c5": "×",
    "\u2715": "×",
    "\u2716": "×",
    "\u2a09": "×",
    "\u2795": "+",
    "\u2796": "\u2212",
    "\u2797": "÷",
    "\u0609": "‰",
    "\u2116": "شماره ",
    "\u2122": "",  # trade marks are not read
    "\u00ae": "",
    "\u00a9": "",
    "\ufdfa": " صلی الله علیه و آله و سلم ",
    "\ufdfb": " جل جلاله ",
    "\ufdfd": " بسم الله الرحمن الرحیم ",
    "\ufdfc": " ریال ",
    "ß": "ss",
    "æ": "ae",
    "Æ": "Ae",
    "œ": "oe",
    "Œ": "Oe",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "ı": "i",
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "þ": "th",
}
# Compatibility forms that mean their plain counterparts: letterlike and roman
# numerals, enclosed numbers, presentation forms, wide forms, mathematical letters.
_COMPATIBLE = (
    (0x2000, 0x200A),
    (0x2080, 0x209C),
    (0x2100, 0x214F),
    (0x2150, 0x218B),
    (0x2460, 0x24FF),
    (0x3000, 0x303F),
    (0x3200, 0x33FF),
    (0xFB00, 0xFB06),
    (0xFB50, 0xFDFF),
    (0xFE50, 0xFEFF),
    (0xFF00, 0xFFEF),
    (0x1D400, 0x1D7FF),
    (0x1EE00, 0x1EEFF),
    (0x1F100, 0x1F16F),
)
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUPERSCRIPT_RUN = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_FRACTION = re.compile("[\u00bc-\u00be\u2150-\u215e\u2189]")
_LONE_TATWEEL = re.compile(
    f"(?<![{LETTERS}{VOWEL_MARKS}\u0640])\u0640+(?![{LETTERS}\u0640])"
)
_HAMZA_SPELLINGS = (
    (re.compile(f"ی{HAMZA_ABOVE}"), "ئ"),
    (re.compile(f"هء(?![{LETTERS}])"), f"ه{HAMZA_ABOVE}"),
    (re.compile(rf"([{VOWEL_MARKS}])\1+"), r"\1"),
    # no Persian word begins with hamza on alef: the typist meant alef
    (re.compile(f"(?<![{LETTERS}{VOWEL_MARKS}{ZWNJ}])أ"), "ا"),
)


class CharacterTable(dict[int, str]):
    """A table for ``str.translate`` that computes each character once."""

    def __missing__(self, code: int) -> str:
        replacement = _replace_character(chr(code))
        self[code] = replacement
        return replacement


def _replace_character(character: str) -> str:
    """Return the one form of a character; unknown ones are returned as they are."""
    if character in _LETTER_VARIANTS:
        return _LETTER_VARIANTS[character]
    if character in _SIGNS:
        return _SIGNS[character]
    if character in VOWEL_MARKS or character == ZWNJ or character == "\n":
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    code = ord(character)
    if any(first <= code <= last for first, last in _COMPATIBLE):
        plain = unicodedata.normalize("NFKC", character)
        if plain != character:
            # Isolated vowel marks have a space or a tatweel as their base.
            plain = plain.strip(" ") or " "
            return "".join(map(_replace_character, plain))
    look_alike = _find_look_alike(character)
    if look_alike is not None:
        return look_alike
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp") or character in "\t\r\v\f\x1c\x1d\x1e\x85":
        return " "
    if category in ("Cc", "Cf", "Mn", "Me"):
        return ""
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() and base.isalpha() else character


def _find_look_alike(character: str) -> str | None:
    """Return the Persian letter that an Arabic-script letter is a variant of."""
    if character in LETTERS:
        return character
    name = unicodedata.name(character, "")
    if not name.startswith("ARABIC LETTER "):
        return None
    base = re.split(" WITH | ABOVE", name.removeprefix("ARABIC LETTER "))[0]
    return _BASES.get(base)


_TABLE = CharacterTable()


def unify_characters(text: str) -> str:
    r"""Bring letters, digits, spaces and invisible characters to one form.

    Exponents become ``^`` and digits, vulgar fractions keep the fraction slash.

    Example:
        >>> unify_characters("علي و كتاب ۱۲ m² ½")
        'علی و کتاب 12 m^2  1⁄2 '
    """
    text = unicodedata.normalize("NFC", text)
    if "\u0640" in text:
        text = _LONE_TATWEEL.sub("\u2013", text)  # typed as a dash: no letter beside it
    text = _SUPERSCRIPT_RUN.sub(_write_exponent, text)
    text = _FRACTION.sub(_write_fraction, text)
    text = unicodedata.normalize("NFC", text.translate(_TABLE))
    for pattern, replacement in _HAMZA_SPELLINGS:
        text = pattern.sub(replacement, text)
    return text


def _write_exponent(match: re.Match[str]) -> str:
    """Write a run of superscripts as ``^`` and plain signs."""
    return "^" + "".join(_SUPERSCRIPTS[c] for c in match.group())


def _write_fraction(match: re.Match[str]) -> str:
    """Write a vulgar fraction as two numbers around the fraction slash."""
    return " " + unicodedata.normalize("NFKC", match.group()) + " "
