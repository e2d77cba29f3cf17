"""Turns of a script, ``Speaker N: ...``, as texts of several speakers are written."""

import re
from collections import Counter
from collections.abc import Callable

from espnet_vibevoice.text.persian.normalizer import Reading

SPEAKER_TAG = re.compile(r"\bSpeaker\s+(\d+)\s*:", re.IGNORECASE)


def read_turns(text: str, read: Callable[[str], Reading]) -> Reading:
    """Read each turn of a script; a text that begins with no turn is read as a whole.

    Args:
        text (str): Script on one or many lines, or a plain text.
        read (Callable): Reads what is said.

    Returns:
        Reading: A script on one line, or the plain text as it was read.

    Example:
        >>> from espnet_vibevoice.text.persian.normalizer import read_text
        >>> read_turns("Speaker 1: صفحه ۳ Speaker 2: ۴؟", read_text).text
        'Speaker 1: صفحه سه Speaker 2: چهار؟'
    """
    if SPEAKER_TAG.match(text.lstrip()) is None:
        return read(text)
    _, *pieces = SPEAKER_TAG.split(text)
    dropped: Counter[str] = Counter()
    turns = []
    for number, said in zip(pieces[::2], pieces[1::2], strict=True):
        reading = read(said)
        dropped.update(reading.dropped)
        turns.append(f"Speaker {number}: {reading.text}")
    return Reading(" ".join(turns), dropped)
