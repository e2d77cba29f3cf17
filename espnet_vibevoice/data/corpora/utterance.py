"""What every parser gives: one utterance, or the row it could not take and why."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SETS = ("train", "valid", "test")
_SET_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
_UNSAFE_IN_SPEAKER = re.compile(r"[^A-Za-z0-9_]+")
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_ID_CHARS = 64
_DIGEST_CHARS = 10


@dataclass(frozen=True)
class EncodedAudio:
    """Audio that a corpus keeps inside its tables.

    Args:
        content (bytes): A whole audio file, as it was encoded.
        suffix (str): Ending of its name, e.g. ``.wav``.
    """

    content: bytes
    suffix: str


@dataclass(frozen=True)
class CorpusUtterance:
    """One utterance of any corpus.

    Args:
        name (str): What identifies it in the corpus, e.g. the name of its file.
        audio (Path | EncodedAudio): Where its audio is.
        text (str): Transcript as the corpus has it.
        speaker (str | None): Name in the corpus; None where nobody knows.
        split (str | None): ``train``, ``valid`` or ``test`` if the corpus says so.
        quality (Mapping): What the corpus says of it; becomes tables ``utt2<field>``.
        voice_prompts (tuple[str, ...]): Audio files to take the voice from.
    """

    name: str
    audio: Path | EncodedAudio
    text: str
    speaker: str | None
    split: str | None = None
    quality: Mapping[str, str | int | float] = field(default_factory=dict)
    voice_prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefusedRow:
    """A row of a corpus that gives no utterance.

    Args:
        name (str): Name of the utterance, or the file and line where it has none.
        reason (str): Short machine-readable reason, e.g. ``bad_row``.
        value (str): What was found.
        limit (str): What was wanted.
    """

    name: str
    reason: str
    value: str
    limit: str = ""


# What a recipe leaves out on purpose; all other reasons are faults of a corpus.
CHOSEN_REASONS = frozenset(
    {
        "low_match_quality",
        "high_cer",
        "few_votes",
        "unwanted_speaker",
        "duplicate_text",
        "speaker_in_other_set",
    }
)

CorpusRow = CorpusUtterance | RefusedRow


@dataclass(frozen=True)
class Corpus:
    """A corpus that is open for reading.

    Args:
        num_rows (int): Rows to come, refused ones included.
        rows (Iterator): The rows, in the same order every time.
    """

    num_rows: int
    rows: Iterator[CorpusRow]


def find_set(name: str) -> str | None:
    """Tell which set a corpus means by a name; None if it is no name of a set.

    Example:
        >>> find_set("Validation")
        'valid'
    """
    return _SET_NAMES.get(name.strip().lower())


def make_speaker_id(prefix: str, speaker: str) -> str:
    """Make an id of letters, digits and underscores; different names stay different.

    Example:
        >>> make_speaker_id("fa", "ariana_Male1")
        'fa_ariana_Male1'
    """
    return f"{prefix}_{_shorten(speaker, _UNSAFE_IN_SPEAKER)}"


def make_utterance_id(prefix: str, speaker: str | None, name: str) -> str:
    """Make an id that begins with its speaker, as Kaldi's sorting asks.

    The hyphen behind the speaker sorts before all that a speaker's id can hold, so
    that utterances in order are speakers in order.

    Args:
        prefix (str): Begins all ids of a corpus, letters, digits and underscores.
        speaker (str | None): Speaker in the corpus; unknown ones are left out.
        name (str): What identifies the utterance in the corpus.

    Example:
        >>> make_utterance_id("fa", "s 1", "wavs/0001")
        'fa_s_1_0001540519-wavs_0001_73113b8781'
    """
    begin = prefix if speaker is None else make_speaker_id(prefix, speaker)
    return f"{begin}-{_shorten(name, _UNSAFE_IN_NAME)}"


def _shorten(text: str, unsafe: re.Pattern[str]) -> str:
    """Replace what an id must not hold; what changed gets a digest of the original."""
    safe = unsafe.sub("_", text)[-_MAX_ID_CHARS:]
    if safe == text and safe:
        return safe
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:_DIGEST_CHARS]
    return f"{safe[_DIGEST_CHARS + 1 - _MAX_ID_CHARS :]}_{digest}"
