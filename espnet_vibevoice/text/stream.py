"""Tokens of a text that arrives in pieces, the same as of the whole text.

The tokenizer looks at words, punctuation and white space one by one; a space that
follows anything else always opens a new one of these. So all text before the last
such space can be encoded, once it is known that more than white space follows.
"""

import re
from collections.abc import Iterable, Iterator

from espnet_vibevoice.text.tokenizer import TextTokenizer

_LAST_BOUNDARY = re.compile(r".*\S(?= \s*\S)", re.DOTALL)


def tokenize_pieces(
    tokenizer: TextTokenizer, pieces: Iterable[str]
) -> Iterator[list[int]]:
    """Encode a text piece by piece; the ids together are those of the whole text.

    A text without spaces is held back until it ends.

    Args:
        tokenizer (TextTokenizer): The base's tokenizer.
        pieces (Iterable[str]): Pieces of the text, cut anywhere. It is asked for the
            next one only when the ids of those before have been taken.

    Yields:
        list[int]: Ids of the next words; the last one ends with the newline.

    Raises:
        TypeError: If a piece is no string.
        ValueError: If there is nothing to speak in the whole text.
    """
    held, is_speakable = "", False
    for piece in pieces:
        if not isinstance(piece, str):
            raise TypeError(
                f"a piece of text is {type(piece).__name__}, wanted str. Give token "
                "ids without a tokenizer, or strings with one."
            )
        held += piece
        if not is_speakable:
            held = held.lstrip()
        boundary = _LAST_BOUNDARY.match(held)
        # At the start, words are held back until there is something to speak.
        if boundary and (is_speakable or tokenizer.is_speakable(boundary[0])):
            is_speakable = True
            held = held[boundary.end() :]
            yield tokenizer.encode_part(boundary[0])
    if not is_speakable:
        yield tokenizer.encode(held)
    else:
        yield tokenizer.encode_part(held.rstrip() + "\n")
