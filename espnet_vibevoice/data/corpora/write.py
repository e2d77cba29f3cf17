"""Write data directories row by row, each file whole or not at all.

A file that would not change is left alone, so that later stages see what is new.
"""

import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from espnet_vibevoice.data.atomic import open_atomic, write_bytes_atomic
from espnet_vibevoice.data.corpora.index import CorpusIndex, IndexedUtterance
from espnet_vibevoice.data.corpora.utterance import SETS, EncodedAudio
from espnet_vibevoice.data.data_dir import list_table_names
from espnet_vibevoice.data.dropped import Dropped, write_dropped
from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import format_row

logger = logging.getLogger(__name__)
_NO_VALUE = "-"
_NUM_SHARDS = 256

Value = Callable[[IndexedUtterance], str]


def write_audio(audio: EncodedAudio, utt_id: str, audio_dir: Path) -> Path:
    """Write audio as it was encoded, below one of a few hundred folders.

    Returns:
        Path: The file; one with this content already is not touched.
    """
    shard = sum(utt_id.encode()) % _NUM_SHARDS
    path = audio_dir / f"{shard:02x}" / f"{utt_id}{audio.suffix}"
    if not is_equal_file(path, audio.content):
        write_bytes_atomic(path, audio.content)
    return path


def is_equal_file(path: Path, content: bytes) -> bool:
    """Tell whether a file has this content; its size is looked at first."""
    if not path.is_file() or path.stat().st_size != len(content):
        return False
    return path.read_bytes() == content


def write_sets(index: CorpusIndex, data_dir: Path) -> dict[str, int]:
    """Write the data directories of all sets; tables of an earlier run are removed.

    Returns:
        dict[str, int]: Utterances of each set that has any.
    """
    counts = {name: index.count(name) for name in SETS}
    for name in SETS:
        folder = data_dir / name
        tables = _list_tables(index, name) if counts[name] else {}
        for table, value in tables.items():
            write_lines(folder / table, _make_rows(index, name, value))
        if tables:
            _write_spk2utt(folder / "spk2utt", index.list_speakers(name))
        elif folder.is_dir():
            (folder / "spk2utt").unlink(missing_ok=True)
        stale = set(list_table_names(folder)) - set(tables) if folder.is_dir() else ()
        for table in stale:
            (folder / table).unlink()
    return {name: count for name, count in counts.items() if count}


def write_reports(index: CorpusIndex, data_dir: Path) -> None:
    """Write ``dropped.tsv`` and ``unknown_characters.tsv``."""
    dropped: dict[str, Dropped] = {}
    numbers: dict[str, int] = {}  # many rows can have one name
    for row in index.list_refused():
        name = base = " ".join(row.name.split()) or _NO_VALUE
        while name in dropped:
            numbers[base] = numbers.get(base, 1) + 1
            name = f"{base}#{numbers[base]}"
        dropped[name] = Dropped(row.reason, row.value, row.limit)
    write_dropped(data_dir / "dropped.tsv", dropped)
    rows = (f"{utt_id}\t{found}" for utt_id, found in index.list_unknown())
    write_lines(
        data_dir / "unknown_characters.tsv",
        itertools.chain(["utterance\tcharacters"], rows),
    )
    unknown = index.count_unknown()
    if unknown:
        logger.warning(
            "characters that could not be read were left out of %d texts: see %s",
            unknown,
            data_dir / "unknown_characters.tsv",
        )


def _list_tables(index: CorpusIndex, split: str) -> dict[str, Value]:
    """Name and value of each table of a set, ``spk2utt`` aside."""
    tables: dict[str, Value] = {
        "wav.scp": lambda utterance: utterance.audio,
        "text": lambda utterance: utterance.text,
        "text.raw": lambda utterance: utterance.raw_text,
        "utt2spk": lambda utterance: utterance.speaker,
    }
    for field in sorted(index.quality_fields):
        tables[f"utt2{field}"] = _read_quality(field)
    if index.has_prompts(split):
        tables["utt2prompt"] = _find_prompt(index, split)
    return tables


def _read_quality(field: str) -> Value:
    def read(utterance: IndexedUtterance) -> str:
        words = str(utterance.quality.get(field, "")).split()
        return " ".join(words) or _NO_VALUE

    return read


def _find_prompt(index: CorpusIndex, split: str) -> Value:
    """Name the utterance of the same set whose audio is the prompt."""

    def find(utterance: IndexedUtterance) -> str:
        found = index.find_by_audio(split, utterance.voice_prompts)
        return found or _NO_VALUE

    return find


def _make_rows(index: CorpusIndex, split: str, value: Value) -> Iterator[str]:
    for utterance in index.list_utterances(split):
        yield format_row(utterance.utt_id, value(utterance))


def _write_spk2utt(path: Path, pairs: Iterator[tuple[str, str]]) -> None:
    """Write one line per speaker in pieces: it can name a million utterances."""
    with open_atomic(path, keep_equal=True) as file:
        for speaker, rows in itertools.groupby(pairs, key=lambda pair: pair[0]):
            file.write(speaker.encode())
            for _, utt_id in rows:
                file.write(f" {utt_id}".encode())
            file.write(b"\n")
