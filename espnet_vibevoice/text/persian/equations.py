r"""Simple equations: numbers, one-letter names and the signs between them.

Choices: + is "be alave", - "menha", × "zarb dar", ÷ "taqsim bar", = "mosavi". Without a
relation sign × between numbers is "dar" (a dimension) and - a range; in an equation a
slash is a division unless a/b looks like a fraction.
"""

import re

from espnet_vibevoice.text.persian.fractions import is_fraction, read_fraction
from espnet_vibevoice.text.persian.numbers import read_ordinal

OPERATORS = {
    "+": "به علاوه",
    "-": "منهای",
    "\u2212": "منهای",
    "\u2013": "منهای",
    "×": "ضرب در",
    "*": "ضرب در",
    "÷": "تقسیم بر",
    "/": "تقسیم بر",
    "±": "به علاوه منهای",
}
RELATIONS = {
    "=": "مساوی",
    "≠": "نامساوی",
    "≈": "تقریباً مساوی",
    "≃": "تقریباً مساوی",
    "<": "کوچک\u200cتر از",
    ">": "بزرگ\u200cتر از",
    "≤": "کوچک\u200cتر یا مساوی",
    "≥": "بزرگ\u200cتر یا مساوی",
    "<=": "کوچک\u200cتر یا مساوی",
    ">=": "بزرگ\u200cتر یا مساوی",
    "!=": "نامساوی",
    "==": "مساوی",
    "≡": "هم\u200cارز",
    "∈": "عضو",
    "∝": "متناسب با",
}
_TERM = (
    r"(?:√ ?)?(?:\d+(?:\.\d+)?(?:[A-Za-zπθαβ]{1,2}(?![A-Za-z]))?"
    r"|[A-Za-zπθαβλ](?![A-Za-z])|[?؟])"
    r"(?:\^[+-]?(?:\d+|[a-z]))?!?"
)
_OPERAND = (
    rf"(?:(?:\d{{1,9}}(?=\())?[-\u2212+]?\({{0,2}}[-\u2212]?{_TERM}"
    r"(?: ?[%°])?\){0,2}(?:(?<=\))\^[+-]?\d+)?)"
)
_RELATION = "(?:<=|>=|!=|==|[=≠≈≃<>≤≥≡])"
_OPERATOR = r"[-+\u2212\u2013×*÷/±]"
_SPAN = re.compile(
    rf"(?<![A-Za-z\d.]){_OPERAND}(?: ?(?:{_RELATION}|{_OPERATOR}) ?{_OPERAND}){{1,40}}"
    rf"(?: ?=)?(?![A-Za-z\d])"
)
_HAS_RELATION = re.compile("[=≠≈≃<>≤≥≡]")
_HAS_OPERATOR = re.compile("[+÷±]")
_NAMED_PRODUCT = re.compile("[A-LN-Za-ln-zπ)] ?[×*]|[×*] ?[A-LN-Za-ln-zπ(]")
_FRACTION = re.compile(r"(?<![\d.])(\d+)/(\d+)(?![\d.])")
_FACTORIAL = re.compile(r"(?<=\d)!(?==)")
_CALL = re.compile(r"(?<![A-Za-z])([A-Za-z]{1,4})\(([^()\n]{1,20})\)")
_SIGN = re.compile(
    r"(?P<unary>(?:(?<=^)|(?<=[=<>≤≥≠(+×÷*/])|(?<=[=<>≤≥≠(+×÷*/] ))"
    r"[-\u2212](?=\d|\w|√))"
    rf"|(?P<relation>{_RELATION})|(?P<operator>{_OPERATOR})"
)
_COEFFICIENT = re.compile(r"(?<=\d)(?=[A-Za-zπθαβ])")
_BRACKETS = re.compile("[()]")
_NTH_ROOT = re.compile(r"(?:(?<=\s)|(?<=^)|(?<=[=+(]))\^(\d{1,2})√ ?(?=[\w(])")
_ROOT = re.compile(r"([√∛]) ?(?=[\w(])")


def read_equations(text: str) -> str:
    r"""Read equations and comparisons; leaves the numbers to later steps.

    Example:
        >>> " ".join(read_equations("2+2=4").split())
        '2 به علاوه 2 مساوی 4'
        >>> " ".join(read_equations("5 - 3 = 2، 5-10").split())
        '5 منهای 3 مساوی 2 ، 5-10'
    """
    text = _CALL.sub(r"\1 \2 ", text)
    text = _SPAN.sub(_read_span, text)
    text = _NTH_ROOT.sub(lambda m: f" ریشه {read_ordinal(int(m[1]))} ", text)
    return _ROOT.sub(lambda m: " جذر " if m[1] == "√" else " ریشه سوم ", text)


def _read_span(match: re.Match[str]) -> str:
    """Read one equation; a span of dashes or slashes alone is none."""
    span = match.group()
    has_relation = _HAS_RELATION.search(span) is not None
    if not (has_relation or _HAS_OPERATOR.search(span) or _NAMED_PRODUCT.search(span)):
        return span
    span = _FACTORIAL.sub(" فاکتوریل ", span)
    span = _FRACTION.sub(_read_small_fraction, span)
    span = _SIGN.sub(_read_sign, span)
    span = _COEFFICIENT.sub(" ", _BRACKETS.sub(" ", span))
    span = span.replace("?", " چند ").replace("؟", " چند ")
    return f" {span.replace('!', ' فاکتوریل ')} "


def _read_small_fraction(match: re.Match[str]) -> str:
    """Read a/b in an equation if it looks like a fraction or a decimal."""
    if "0" in (match[1][0], match[2][0]):
        return f"{match[1]}.{match[2]}"
    if is_fraction(match[1], match[2]):
        return read_fraction(match[1], match[2])
    return match.group()


def _read_sign(match: re.Match[str]) -> str:
    """Read a minus before an operand, a relation or an operator."""
    if match["unary"]:
        return " منفی "
    if match["relation"]:
        return f" {RELATIONS[match['relation']]} "
    return f" {OPERATORS[match['operator']]} "
