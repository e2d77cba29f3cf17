"""One utterance of one system with all that was found out about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from espnet_vibevoice.score.columns import (
    FAILED,
    INCOMPLETE,
    OK,
    READING_SUFFIXES,
    list_recognizer_columns,
    name_of_recognizer,
)
from espnet_vibevoice.score.error_rates import TextScore


@dataclass(frozen=True)
class ScoredUtterance:
    """What is known of one utterance of one system.

    Attributes:
        utterance (str): Id.
        speaker (str): Id; empty if unknown.
        system (str): natural | resynthesis | synthesis.
        wav (str): Path; empty if there is none.
        has_audio (bool): Whether the audio could be read.
        reasons (tuple[str, ...]): Why values are missing that any audio has; empty
            if none is.
        notes (tuple[str, ...]): Why values are missing that this audio cannot have,
            e.g. a pitch where nothing is voiced.
        seconds (float | None): Duration.
        texts (Mapping): Recogniser to reading of the ZWNJ to comparison; a
            recogniser without a hypothesis is left out.
        reference (str): As compared; empty if there is none.
        measures (Mapping): Measure to value; those without a value are left out.
        faults (tuple[str, ...] | None): Of `columns.FAULTS`; None if not judged.
    """

    utterance: str
    speaker: str
    system: str
    wav: str
    has_audio: bool
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    texts: Mapping[str, Mapping[str, TextScore]] = field(default_factory=dict)
    reference: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] | None = None

    @property
    def status(self) -> str:
        """Ok, failed (no audio) or incomplete (some value is missing)."""
        if not self.has_audio:
            return FAILED
        return INCOMPLETE if self.reasons else OK

    def make_row(self, recognizers: tuple[str, ...]) -> dict[str, str]:
        """Write it as a row of ``utterances.tsv``.

        Args:
            recognizers (tuple[str, ...]): Names; the first one gives ``cer``.
        """
        row = {
            "utterance": self.utterance,
            "speaker": self.speaker,
            "system": self.system,
            "status": self.status,
            "reason": "; ".join((*self.reasons, *self.notes)),
            "wav": self.wav,
            "seconds": "" if self.seconds is None else f"{self.seconds:.3f}",
            "reference": self.reference,
            "faults": "" if self.faults is None else ",".join(self.faults),
        }
        for number, name in enumerate(recognizers):
            texts = self.texts.get(name)
            if texts is None:
                continue
            cells = _describe_first(texts) if number == 0 else _describe_other(texts)
            if number:
                known = list_recognizer_columns(name)
                cells = {name_of_recognizer(name, key): cells[key] for key in cells}
                assert set(cells) <= set(known), (cells, known)
            row |= cells
        return row | {name: _write(value) for name, value in self.measures.items()}


def _describe_other(texts: Mapping[str, TextScore]) -> dict[str, str]:
    score = texts["kept"]
    return {
        "hypothesis": score.hypothesis,
        "cer": _write(score.characters.rate),
        "wer": _write(score.words.rate),
    }


def _describe_first(texts: Mapping[str, TextScore]) -> dict[str, str]:
    cells = _describe_other(texts)
    score = texts["kept"]
    for unit, counts in (("char", score.characters), ("word", score.words)):
        cells[f"{unit}_reference"] = str(counts.reference_length)
        cells[f"{unit}_substitutions"] = str(counts.substitutions)
        cells[f"{unit}_insertions"] = str(counts.insertions)
        cells[f"{unit}_deletions"] = str(counts.deletions)
    for reading, suffix in READING_SUFFIXES.items():
        cells[f"cer{suffix}"] = _write(texts[reading].characters.rate)
        cells[f"wer{suffix}"] = _write(texts[reading].words.rate)
    return cells


def _write(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
