r"""HTML and Markdown: what is written between the marks stays, the marks go."""

import html
import re

_TAGS = (
    "a abbr b big blockquote body br button center cite code dd del div dl dt em "
    "font footer form h1 h2 h3 h4 h5 h6 head header hr html i img input ins label "
    "li link main mark meta nav ol option p pre q s section select small span "
    "strike strong sub sup table tbody td tfoot th thead time title tr tt u ul "
    "video wbr"
).split()
_INLINE = "a|abbr|b|big|cite|code|em|font|i|ins|mark|s|small|span|strong|sub|u|wbr"
_ATTRIBUTES = r"(?:\s[^<>=]*+(?:=[^<>]*+)?)?"
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE}){_ATTRIBUTES}/?>", re.IGNORECASE)
_SUPERSCRIPT = re.compile(r"<sup>(?=[-+]?\d)", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{'|'.join(_TAGS)}){_ATTRIBUTES}/?>|<!doctype[^<>]*+>", re.I)
_HIDDEN = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))

_LINK = re.compile(r"!?\[([^\[\]\n]*+)\] ?(?:\([^()\n]*+\)|\[[^\[\]\n]*+\])")
_FOOTNOTE = re.compile(
    r"\[(?:\d{1,3}|[۰-۹]{1,3}|(?:یادداشت|پانویس|و) \d{1,3}|نیازمند منبع|\^\d+)\]"
)
_LINES = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|[-*•▪●◦‣–][ \t]+(?=\S)|>+[ \t]*(?![\s\d۰-۹])"
    r"|(?:(?:- ?){3,}|(?:\* ?){3,}|(?:_ ?){3,}|={3,})[ \t]*$)",
    re.MULTILINE,
)
_POWER = re.compile(r"(?<=\d)\*\*(?=\d)")
_PAIRS = re.compile(r"\*\*+|(?<![\w@])__+|__+(?![\w@])|~~+|``+|`(?=[^`]*+`)|(?<=\S)`")
_EMPHASIS = re.compile(
    r"(?<![\w*.)])\*(?=[^\s*\d])|(?<=[^\s*\d])\*(?![\w*])|(?<![\w@./])_(?=[^\W_])"
    r"|(?<=[^\W_])_(?![\w@./])"
)


def remove_html(text: str) -> str:
    r"""Resolve entities; drop tags, comments, scripts and styles.

    Example:
        >>> remove_html("<b>سیب</b> &amp; موز<br>هلو")
        'سیب & موز هلو'
    """
    text = html.unescape(html.unescape(text)) if "&" in text else text
    if "<" not in text:
        return text
    for opening, closing in _HIDDEN:
        text = _cut_between(text, opening, closing)
    text = _SUPERSCRIPT.sub("^", text)
    return _TAG.sub(" ", _INLINE_TAG.sub("", text))


def _cut_between(text: str, opening: str, closing: str) -> str:
    """Cut out everything from an opening to its closing, in linear time."""
    folded = text.lower()
    if len(folded) != len(text) or opening not in folded:
        return text
    kept = []
    position = 0
    while (start := folded.find(opening, position)) >= 0:
        end = folded.find(closing, start)
        if end < 0:
            break
        kept.append(text[position:start])
        position = end + len(closing)
    return " ".join([*kept, text[position:]])


def remove_markdown(text: str) -> str:
    r"""Keep the text of links and emphasis; drop headings, bullets, footnote marks.

    Example:
        >>> remove_markdown("[متن](https://example.com) **مهم** است.[1]")
        'متن مهم است.'
    """
    text = _LINK.sub(r"\1", text)
    text = _FOOTNOTE.sub("", text)
    text = _LINES.sub("", text)
    text = _POWER.sub("^", text)
    return _EMPHASIS.sub("", _PAIRS.sub("", text))
