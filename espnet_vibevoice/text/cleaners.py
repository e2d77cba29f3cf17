"""ESPnet's ``--cleaner`` for our models: what a text becomes before it is tokenised.

The same function prepares transcripts and reads what a user types, so that both give
the same tokens. Applied to its own result it changes nothing.
"""

from collections.abc import Callable

from espnet_vibevoice.text.persian.normalizer import Reading, read_text
from espnet_vibevoice.text.turns import read_turns

Cleaner = Callable[[str], Reading]


def keep_text(text: str) -> Reading:
    """Leave a text as it is."""
    return Reading(text)


def read_persian(text: str) -> Reading:
    """Write a Persian text, or each turn of a script, as it is read aloud."""
    return read_turns(text, read_text)


CLEANERS: dict[str, Cleaner] = {"none": keep_text, "persian": read_persian}


def find_cleaner(name: str | None) -> Cleaner:
    """Return the cleaner of a name.

    Args:
        name (str | None): Name; None, as ESPnet writes it, means ``none``.

    Returns:
        Cleaner: Takes a text, gives it as it is to be tokenised, and the characters
        that were dropped.

    Raises:
        ValueError: There is no such cleaner.

    Example:
        >>> find_cleaner("persian")("صفحه ۳").text
        'صفحه سه'
    """
    try:
        return CLEANERS["none" if name is None else name]
    except KeyError as err:
        raise ValueError(
            f"cleaner is {name}, VibeVoice models have {' and '.join(CLEANERS)}: give "
            "--cleaner persian for Persian texts, --cleaner none to leave texts alone"
        ) from err
