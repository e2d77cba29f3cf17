"""ManaTTS: one Persian narrator, about 114 h at 44.1 kHz, CC0.

Source: huggingface.co/datasets/MahtaFetrat/Mana-TTS (its parts are named
``dataset/dataset_part_*.parquet``) and, for the columns, ``sample_data/metadata.csv``
in MahtaFetrat/ManaTTS-Persian-Speech-Dataset on GitHub, looked at on 2026-11-20. Audio
is a list of samples with its rate in ``samplerate``; converted copies keep encoded
bytes instead, which are taken as well.

Sample row (transcript left out)::

    file name   duration  match quality  CER     search type  ASRs         samplerate
    40-87.wav   4.596     HIGH           0.0417  1            ['Wav2Vec']  44100

Match quality is HIGH, MIDDLE or REJECT, CER that of recognisers against the transcript.
"""

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from espnet_vibevoice.data.audio import AudioError
from espnet_vibevoice.data.corpora import arrow
from espnet_vibevoice.data.corpora.utterance import (
    Corpus,
    CorpusRow,
    CorpusUtterance,
    EncodedAudio,
    RefusedRow,
)

_SPEAKER = "mana"
_NAME, _TEXT, _QUALITY, _CER = "file name", "transcript", "match quality", "CER"
_REQUIRED = (_NAME, _TEXT, _QUALITY, _CER, "audio")
_RATE = "samplerate"


def open_manatts(
    source: Path,
    match_quality: Collection[str] = ("HIGH", "MIDDLE"),
    max_cer: float = 0.1,
) -> Corpus:
    """Open the Parquet parts of ManaTTS.

    Args:
        source (Path): Folder with the parts, or with a folder ``dataset`` of them.
        match_quality (Collection[str]): What to take.
        max_cer (float): Higher character error rates go.

    Raises:
        FileNotFoundError: There are no parts.
        ValueError: A part lacks a column.
    """
    parts = sorted(source.glob("*.parquet")) or sorted(source.glob("dataset/*.parquet"))
    if not parts:
        raise FileNotFoundError(
            f"{source}: no *.parquet here or in dataset/. Get the parts of "
            "MahtaFetrat/Mana-TTS (see README.md of the recipe)."
        )
    for part in parts:
        missing = set(_REQUIRED) - set(arrow.read_columns(part))
        if missing:
            raise ValueError(
                f"{part}: columns {sorted(missing)} are missing; wanted those of "
                f"ManaTTS: {', '.join(_REQUIRED)}."
            )
    rows = _read_parts(parts, frozenset(match_quality), max_cer)
    return Corpus(sum(arrow.count_rows(part) for part in parts), rows)


def _read_parts(
    parts: list[Path], wanted: frozenset[str], max_cer: float
) -> Iterator[CorpusRow]:
    for part in parts:
        available = set(arrow.read_columns(part))
        columns = [*_REQUIRED, *({_RATE, "duration"} & available)]
        for row in arrow.read_rows(part, sorted(columns)):
            yield _read_row(row, wanted, max_cer)


def _read_row(row: dict[str, Any], wanted: frozenset[str], max_cer: float) -> CorpusRow:
    name = str(row[_NAME].as_py())
    quality, cer = str(row[_QUALITY].as_py()), _to_float(row[_CER].as_py())
    if quality not in wanted:
        limit = " or ".join(sorted(wanted))
        return RefusedRow(name, "low_match_quality", quality, limit)
    if not cer <= max_cer:  # not a number counts as too high
        return RefusedRow(name, "high_cer", f"{cer:.4f}", f"{max_cer:g}")
    try:
        rate = row[_RATE].as_py() if _RATE in row else None
        audio = arrow.read_audio(row["audio"], rate)
    except AudioError as err:
        return RefusedRow(name, err.reason, err.detail)
    if not isinstance(audio, EncodedAudio):
        found = f"path {audio}" if audio else "none"
        return RefusedRow(name, "missing_audio", found, "samples or bytes")
    return CorpusUtterance(
        name=name.removesuffix(".wav"),
        audio=audio,
        text=str(row[_TEXT].as_py() or ""),
        speaker=_SPEAKER,
        quality={"match_quality": quality, "cer": f"{cer:.4f}"},
    )


def _to_float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan
