"""From the rows of a corpus to data directories: judge, normalise, split, write.

A row is listed in ``dropped.tsv`` with its reason, the found and the wanted value, or
it is written; nothing else happens to it. What the normaliser could not read is listed
in ``unknown_characters.tsv``.
"""

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.corpora.index import CorpusIndex, IndexedUtterance
from espnet_vibevoice.data.corpora.progress import PassProgress
from espnet_vibevoice.data.corpora.splits import SplitOptions, assign_sets
from espnet_vibevoice.data.corpora.utterance import (
    CHOSEN_REASONS,
    Corpus,
    CorpusUtterance,
    EncodedAudio,
    RefusedRow,
    make_speaker_id,
    make_utterance_id,
)
from espnet_vibevoice.data.corpora.write import write_audio, write_reports, write_sets
from espnet_vibevoice.data.sentences import find_text_key
from espnet_vibevoice.text import describe_dropped, read_text

logger = logging.getLogger(__name__)
_INDEX = ".corpus.sqlite"
# What would end a line of a table, or split it where some reader splits lines.
_LINE_BREAKS = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_MAX_SHOWN = 100


@dataclass(frozen=True)
class PrepareOptions:
    """How a corpus is prepared.

    Args:
        prefix (str): Begins all ids: letters, digits and underscores.
        data_dir (Path): Where the data directories go.
        audio_dir (Path): Where audio that the corpus keeps in tables goes.
        splits (SplitOptions): How sets are made.
        max_dropped (float): Fail if a larger share of rows is faulty. Rows that were
            left out on purpose (CHOSEN_REASONS) do not count.
    """

    prefix: str
    data_dir: Path
    audio_dir: Path
    splits: SplitOptions = SplitOptions()
    max_dropped: float = 0.01

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Za-z0-9_]+", self.prefix):
            raise ValueError(
                f"--prefix {self.prefix!r}: want letters, digits and underscores."
            )


def prepare_corpus(corpus: Corpus, options: PrepareOptions) -> dict[str, int]:
    """Write the data directories of a corpus.

    Args:
        corpus (Corpus): The corpus, open for reading.
        options (PrepareOptions): How.

    Returns:
        dict[str, int]: Utterances of each set.

    Raises:
        ValueError: Too many rows are faulty, or a set is empty.
    """
    with CorpusIndex(options.data_dir / _INDEX) as index:
        num_rows = _fill(index, corpus, options)
        index.finish_adding()
        try:
            _check_faults(index, num_rows, options)
            assign_sets(index, options.splits)
        finally:
            write_reports(index, options.data_dir)
        counts = write_sets(index, options.data_dir)
        reasons = ", ".join(f"{n} {r}" for r, n in index.count_reasons().items())
        logger.info("%d rows: %s; dropped: %s", num_rows, counts, reasons or "none")
    return counts


def _fill(index: CorpusIndex, corpus: Corpus, options: PrepareOptions) -> int:
    progress = PassProgress("rows read", corpus.num_rows)
    for row in corpus.rows:
        if isinstance(row, CorpusUtterance):
            row = _add(index, row, options)
        if isinstance(row, RefusedRow):
            index.refuse(row)
        progress.update()
    return progress.done


def _add(
    index: CorpusIndex, utterance: CorpusUtterance, options: PrepareOptions
) -> RefusedRow | None:
    """Add an utterance to the index, or tell why not."""
    speaker = utterance.speaker
    utt_id = make_utterance_id(options.prefix, speaker, utterance.name)
    if index.has(utt_id):
        return RefusedRow(utt_id, "duplicate_id", utterance.name, "an id of its own")
    raw_text = _LINE_BREAKS.sub(" ", utterance.text).strip()
    if not raw_text:
        return RefusedRow(utt_id, "empty_text", "no text", "a sentence")
    reading = read_text(raw_text)
    text_key = find_text_key(reading.text)
    if not text_key:
        return RefusedRow(utt_id, "no_letters", raw_text[:_MAX_SHOWN], "letters")
    audio = _place_audio(utterance.audio, utt_id, options.audio_dir)
    if isinstance(audio, RefusedRow):
        return audio
    index.add(
        IndexedUtterance(
            utt_id=utt_id,
            audio=audio,
            raw_text=raw_text,
            text=reading.text,
            text_key=text_key,
            speaker=utt_id
            if speaker is None
            else make_speaker_id(options.prefix, speaker),
            split=utterance.split,
            quality=dict(utterance.quality),
            voice_prompts=utterance.voice_prompts,
        )
    )
    if reading.dropped:
        index.note_unknown(utt_id, describe_dropped(reading.dropped))
    return None


def _place_audio(
    audio: Path | EncodedAudio, utt_id: str, audio_dir: Path
) -> str | RefusedRow:
    """Return the path for wav.scp; audio that is inside a table is written there."""
    if isinstance(audio, EncodedAudio):
        return str(write_audio(audio, utt_id, audio_dir))
    path = str(audio)
    if not os.path.isfile(path):
        return RefusedRow(utt_id, "missing_audio", path, "a file")
    if path.endswith("|") or path != path.strip() or _LINE_BREAKS.search(path):
        # wav.scp would take it for a command, or cut it.
        return RefusedRow(utt_id, "bad_path", repr(path), "no | or blank at its ends")
    return path


def _check_faults(index: CorpusIndex, num_rows: int, options: PrepareOptions) -> None:
    if num_rows == 0:
        raise ValueError("The corpus has no rows. Check --source.")
    faults = {
        reason: count
        for reason, count in index.count_reasons().items()
        if reason not in CHOSEN_REASONS
    }
    total = sum(faults.values())
    if total <= options.max_dropped * num_rows:
        return
    reason, count = next(iter(faults.items()))
    example = next(row for row in index.list_refused() if row.reason == reason)
    raise ValueError(
        f"{total} of {num_rows} rows ({total / num_rows:.1%}) cannot be used, more "
        f"than --max_dropped {options.max_dropped:g}. The largest reason is {reason} "
        f"({count}), e.g. {example.name}: {example.value}, wanted {example.limit}. All "
        f"are in {options.data_dir}/dropped.tsv."
    )
