r"""E-mail addresses, web addresses, file names, hashtags, mentions.

Choices: @ is "at", the point "dat", the slash "eslash", _ in an address "anderlayn", -
"khatt-e tire"; the scheme, the query and the fragment of an address are not read; a
hashtag is "heshteg" and its words, a mention "at" and the name; www stays as typed.
"""

import re
from urllib.parse import unquote

from espnet_vibevoice.text.persian.alphabet import VOWEL_MARKS, ZWNJ

_TOP_LEVELS = frozenset(
    "com net org ir edu gov io co me info uk de fr app dev ai tv us ca blog shop "
    "xyz biz ac cloud online site tech eu ru cn jp tr ae nl it es ch se no pl gl ly "
    "to im id link live news store pro mobi tel wiki".split()
)
_EXTENSIONS = frozenset(
    "pdf doc docx xls xlsx ppt pptx txt csv json xml html htm jpg jpeg png gif svg "
    "mp3 mp4 wav flac ogg mkv avi zip rar gz tar exe apk py js ts sh cpp java ipynb "
    "md yaml yml log psd ai net srt epub".split()
)
_STOP = r"\s<>\"«»()\[\]{}،؛“”"
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])(?:mailto:)?([A-Za-z0-9._%+-]++@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++)"
)
_URL = re.compile(rf"(?:https?|ftp)://([^{_STOP}]++)", re.IGNORECASE)
_HOST = re.compile(
    rf"(?<![A-Za-z0-9.@_/-])([A-Za-z0-9_-]++(?:\.[A-Za-z0-9-]++)++)(:\d{{2,5}})?([/?][^{_STOP}]*+)?"
)
_NUMERIC_HOST = re.compile(r"\d+(?:\.\d+){3}")
_TAIL = ".,;:!?؟…'*_~"
_HASHTAG = re.compile(
    rf"(?<![\w&])#([\w{VOWEL_MARKS}{ZWNJ}]*[^\W\d_][\w{VOWEL_MARKS}{ZWNJ}]*)"
)
_MENTION = re.compile(r"(?<![\w.])@([^\W_](?:[\w.]*\w)?)")
_PARTS = {
    ".": " دات ",
    "/": " اسلش ",
    "-": " خط تیره ",
    "_": " آندرلاین ",
    "@": " ات ",
    "+": " پلاس ",
    ":": " پورت ",
    "~": " ",
    "=": " ",
    "&": " ",
    "%": " ",
}
_PART = re.compile("[-./_@+:~=&%]")


def read_web(text: str) -> str:
    r"""Read addresses, hashtags and mentions.

    Example:
        >>> read_web("info@example.com")
        ' info ات example دات com '
        >>> read_web("https://example.ir/about?q=1")
        ' example دات ir اسلش about '
        >>> read_web("#زبان_فارسی @ali")
        ' هشتگ زبان فارسی   ات ali '
    """
    if "@" in text:
        text = _EMAIL.sub(lambda m: _spell(m[1]), text)
    if "//" in text:
        text = _URL.sub(_read_url, text)
    if "." in text:
        text = _HOST.sub(_read_host, text)
    if "#" in text:
        text = _HASHTAG.sub(lambda m: f" هشتگ {m[1].replace('_', ' ')} ", text)
    if "@" in text:
        text = _MENTION.sub(_read_mention, text)
    return text


def _spell(address: str) -> str:
    """Read an address part by part; closing punctuation stays behind it."""
    body = address.rstrip(_TAIL)
    return f" {_PART.sub(lambda m: _PARTS[m.group()], body)} {address[len(body) :]}"


def _read_url(match: re.Match[str]) -> str:
    """Read an address with a scheme."""
    address = match[1]
    body = address.rstrip(_TAIL)
    if _NUMERIC_HOST.match(body):
        return f" {address} "
    return _spell(_shorten(body)) + address[len(body) :]


def _shorten(address: str) -> str:
    """Leave out query, fragment and closing slash; decode escaped letters."""
    path = re.split("[?#]", address, maxsplit=1)[0]
    return unquote(path, errors="ignore").rstrip("/")


def _read_host(match: re.Match[str]) -> str:
    """Read a name with points if it ends like a host or a file."""
    host, port, path = match[1], match[2] or "", match[3] or ""
    labels = host.split(".")
    last = labels[-1].lower()
    if labels[0].isdigit() and len(labels) == 2 and not path:
        return match.group()
    if last in _TOP_LEVELS or labels[0].lower() == "www":
        body = (host + port + path).rstrip(_TAIL)
        tail = (host + port + path)[len(body) :]
        return _spell(_shorten(body)) + tail
    if last in _EXTENSIONS and not path:
        return f" {host.replace('.', ' دات ').replace('_', ' ')} "
    return match.group()


def _read_mention(match: re.Match[str]) -> str:
    """Read the name of an account."""
    return f" ات {match[1].replace('_', ' ').replace('.', ' دات ')} "
