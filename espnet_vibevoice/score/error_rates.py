"""Error rates of characters and words, counted by jiwer on texts of one spelling.

Both sides go through the same preparation, so that an error is something heard, not a
way of typing. Spaces count as characters, as in ESPnet's ``score_cer`` (``<space>``)
and in jiwer, and so does a zero width non-joiner (ZWNJ) where it is kept.
"""

import functools
import re
from dataclasses import dataclass

import jiwer

from espnet_vibevoice.text import normalize_persian
from espnet_vibevoice.text.persian.alphabet import END, MARKS, VOWEL_MARKS, WORD, ZWNJ

ZWNJ_READINGS = ("kept", "merged", "space")
_MARKS = re.compile(f"[{re.escape(MARKS)}]")
_VOWEL_MARKS = re.compile(f"[{VOWEL_MARKS}]")
_EZAFE_YEH = re.compile(rf"(?<=[{WORD}]ه){ZWNJ}ی{END}")
_REPLACEMENT = {"kept": ZWNJ, "merged": "", "space": " "}
# The second pass settles what lost marks bring side by side; more are rare.
_MAX_PASSES = 8


@dataclass(frozen=True)
class EditCounts:
    """How a hypothesis differs from its reference, in characters or in words.

    Counts of several utterances add up: the rate of a sum is the rate of the set.

    Example:
        >>> (EditCounts(hits=3, deletions=1) + EditCounts(hits=4)).rate
        0.125
    """

    hits: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    @property
    def reference_length(self) -> int:
        """Characters or words of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions together."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float | None:
        """Errors per unit of the reference; may exceed 1; None without reference."""
        length = self.reference_length
        return self.errors / length if length else None

    def __add__(self, other: "EditCounts") -> "EditCounts":
        return EditCounts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )


@dataclass(frozen=True)
class TextScore:
    """One utterance compared.

    Attributes:
        reference (str): What was to be said, as compared.
        hypothesis (str): What was recognised, as compared; empty for nothing.
        characters (EditCounts): Edits of characters, spaces included.
        words (EditCounts): Edits of words, i.e. of what spaces divide.
    """

    reference: str
    hypothesis: str
    characters: EditCounts
    words: EditCounts


@dataclass(frozen=True)
class WordEdit:
    """One step of an alignment: a word, or a character, on one side or on both.

    Attributes:
        kind (str): ``equal``, ``substitute``, ``insert`` or ``delete``.
        reference (str): Piece of the reference; empty for ``insert``.
        hypothesis (str): Piece of the hypothesis; empty for ``delete``.
    """

    kind: str
    reference: str
    hypothesis: str


def prepare_text(text: str, zwnj: str = "kept") -> str:
    r"""Bring a text into the spelling in which both sides are compared.

    Our own normaliser first: it reads digits and signs, gives each letter one form
    and sets the ZWNJ where it is sure of it. Then what cannot be heard, or what
    writers and recognisers leave out at will, goes: punctuation, vowel marks, and the
    ezafe after a silent heh, which has three spellings of one sound (heh with hamza
    above, heh with ZWNJ and yeh, bare heh). Latin letters become lower case. This
    runs until nothing changes, so that a prepared text stays as it is.

    Args:
        text (str): Any text, e.g. of a corpus or of a recogniser.
        zwnj (str): ``kept``, ``merged`` (removed, the parts joined) or ``space``.

    Returns:
        str: Words with single spaces; empty if nothing in the text can be said.

    Raises:
        ValueError: ``zwnj`` is none of these.

    Example:
        >>> prepare_text("خانۀ ۲ نفر، Café!")
        'خانه دو نفر cafe'
        >>> prepare_text("می روم", zwnj="merged")
        'میروم'
    """
    if zwnj not in _REPLACEMENT:
        raise ValueError(
            f"zwnj: got {zwnj!r}, wanted one of {', '.join(ZWNJ_READINGS)}"
        )
    return " ".join(_prepare(text).replace(ZWNJ, _REPLACEMENT[zwnj]).split())


@functools.lru_cache(maxsize=4096)  # each text is prepared for three readings
def _prepare(text: str) -> str:
    """Prepare a text, ZWNJ kept."""
    for _ in range(_MAX_PASSES):
        before = text
        text = _VOWEL_MARKS.sub("", normalize_persian(text).lower())
        text = _EZAFE_YEH.sub("", _MARKS.sub(" ", text))
        text = " ".join(text.split())
        if text == before:
            break
    return text


def score_text(reference: str, hypothesis: str, zwnj: str = "kept") -> TextScore:
    """Prepare both texts alike and count their differences.

    Args:
        reference (str): What was to be said.
        hypothesis (str): What was recognised; an empty one is all deletions.
        zwnj (str): See :func:`prepare_text`.

    Returns:
        TextScore: Both texts as compared, and the edits.

    Raises:
        ValueError: Nothing of the reference is left to compare with: it has no rate.
    """
    spoken = prepare_text(reference, zwnj)
    if not spoken:
        raise ValueError(
            f"reference {reference!r} has no word to compare with, so it has no error "
            "rate. Give its text, or leave the utterance out"
        )
    heard = prepare_text(hypothesis, zwnj)
    return TextScore(
        reference=spoken,
        hypothesis=heard,
        characters=_count(jiwer.process_characters(spoken, heard)),
        words=_count(jiwer.process_words(spoken, heard)),
    )


def _count(output: jiwer.CharacterOutput | jiwer.WordOutput) -> EditCounts:
    return EditCounts(
        hits=output.hits,
        substitutions=output.substitutions,
        insertions=output.insertions,
        deletions=output.deletions,
    )


def align_words(reference: str, hypothesis: str) -> list[WordEdit]:
    """Align two prepared texts word by word, for a reader to see what differs.

    Args:
        reference (str): Text as compared, e.g. of a :class:`TextScore`.
        hypothesis (str): Text as compared.

    Returns:
        list[WordEdit]: Steps in the order of the text, one word each.

    Example:
        >>> [edit.kind for edit in align_words("a b c", "a x")]
        ['equal', 'substitute', 'delete']
    """
    return _align(reference.split(), hypothesis.split())


def align_characters(reference: str, hypothesis: str) -> list[WordEdit]:
    """Align two prepared texts, or two words, character by character.

    Returns:
        list[WordEdit]: Steps in the order of the text, one character each.
    """
    return _align(list(reference), list(hypothesis))


def _align(reference: list[str], hypothesis: list[str]) -> list[WordEdit]:
    if not reference:  # older releases of jiwer refuse it
        return [WordEdit("insert", "", piece) for piece in hypothesis]
    output = jiwer.process_words(
        [""],
        [""],
        reference_transform=lambda _: [reference],
        hypothesis_transform=lambda _: [hypothesis],
    )
    edits: list[WordEdit] = []
    for chunk in output.alignments[0]:
        spoken = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        heard = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        blanks = [""] * max(len(spoken), len(heard))
        pairs = zip(spoken or blanks, heard or blanks, strict=True)
        edits.extend(WordEdit(chunk.type, *pair) for pair in pairs)
    return edits
