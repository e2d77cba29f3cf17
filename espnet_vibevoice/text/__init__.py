"""Text: the Persian front end, tokenizer loading."""

from espnet_vibevoice.text.persian.normalizer import (
    Reading,
    describe_dropped,
    normalize_persian,
    read_text,
)
from espnet_vibevoice.text.persian.sentences import split_sentences

__all__ = [
    "Reading",
    "describe_dropped",
    "normalize_persian",
    "read_text",
    "split_sentences",
]
