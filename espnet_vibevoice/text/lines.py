"""Lines of text through the Persian front end: plain ones and Kaldi ``text`` files."""

import collections
import logging
import unicodedata
from collections.abc import Iterable, Iterator

from espnet_vibevoice.text.persian.normalizer import describe_dropped, read_text

_LOGGER = logging.getLogger(__name__)


def decode_lines(file: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode the lines of a file, without their line ends.

    Args:
        file (Iterable[bytes]): An open file.
        name (str): What to call it in an error.

    Raises:
        ValueError: A line is not UTF-8; names the file, the line and the byte.
    """
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as err:
            raise ValueError(
                f"{name}:{number}: byte {err.start + 1} (0x{line[err.start]:02x}) is "
                "not UTF-8. Convert the file, e.g. with iconv -f windows-1256 -t utf-8"
            ) from err


def normalize_lines(
    lines: Iterable[str],
    name: str,
    has_ids: bool,
    dropped: collections.Counter[str],
) -> Iterator[str]:
    """Normalise lines one by one; log what each has lost.

    Args:
        lines (Iterable[str]): Lines without line ends.
        name (str): What to call the file in the log.
        has_ids (bool): Keep the first column: an utterance id as in Kaldi.
        dropped (Counter): Gets the characters that could not be read.

    Yields:
        str: The id, if any, and the reading.
    """
    for number, line in enumerate(lines, 1):
        place, text = f"{name}:{number}", line
        if has_ids:
            # Not a part of the id: the byte order mark.
            columns = line.lstrip("\ufeff").split(maxsplit=1)
            place, text = [*columns, "", ""][:2]
        reading = read_text(text)
        if reading.dropped:
            lost = describe_dropped(reading.dropped)
            _LOGGER.warning("%s: dropped, no reading is known: %s", place, lost)
            dropped.update(reading.dropped)
        yield f"{place} {reading.text}".strip() if has_ids else reading.text


def format_dropped(dropped: collections.Counter[str]) -> list[str]:
    r"""Make a table of dropped characters: count, code point, character, name.

    Example:
        >>> format_dropped(collections.Counter("бб"))
        ['2\tU+0431\tб\tCYRILLIC SMALL LETTER BE']
    """
    return [
        f"{count}\tU+{ord(character):04X}\t{character}\t"
        f"{unicodedata.name(character, 'no name')}"
        for character, count in dropped.most_common()
    ]
