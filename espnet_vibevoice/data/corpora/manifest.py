r"""Anyone's own data: JSONL, CSV, TSV, ``file|text`` lists, Hugging Face datasets.

A sample line of JSONL; only ``audio`` and ``text`` are required::

    {"audio": "wavs/1.wav", "text": "<sentence>", "speaker": "sara",
     "voice_prompts": ["wavs/7.wav"], "duration": 3.2, "dataset_id": "mine"}

Relative paths begin at the folder of the manifest. A leading ``Speaker 0:``, as other
VibeVoice trainers have it, is taken off; a dialogue of several speakers is refused.
A folder may hold one file per set (``train.jsonl``, ``dev.tsv``, ...).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from espnet_vibevoice.data.corpora import hf_dataset, tables
from espnet_vibevoice.data.corpora.audio_paths import AudioFinder, strip_ending
from espnet_vibevoice.data.corpora.fields import find_fields
from espnet_vibevoice.data.corpora.lists import read_list
from espnet_vibevoice.data.corpora.utterance import (
    Corpus,
    CorpusRow,
    CorpusUtterance,
    EncodedAudio,
    RefusedRow,
    find_set,
)
from espnet_vibevoice.data.kaldi import count_lines

_JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
_TAG = re.compile(r"\s*Speaker\s*(\d+)\s*:\s*")


def open_manifest(source: Path, default_speaker: str | None = None) -> Corpus:
    """Open a manifest.

    Args:
        source (Path): A file, a folder with one file per set, or a dataset that was
            saved by ``save_to_disk`` or as Parquet.
        default_speaker (str | None): Speaker of rows that name none; without it each
            of them is its own speaker.

    Raises:
        FileNotFoundError: There is nothing to read.
        ValueError: A file is not what its name says.
    """
    files = [source] if source.is_file() else []
    if source.is_dir() and not files:
        datasets = hf_dataset.find_files(source)
        if datasets:
            num_rows = sum(hf_dataset.count_rows(part) for part, _ in datasets)
            return Corpus(num_rows, _read_datasets(source, datasets, default_speaker))
        suffixes = (*_JSON_SUFFIXES, *tables.TABLE_SUFFIXES)
        files = [p for p in sorted(source.iterdir()) if p.suffix.lower() in suffixes]
        named = [p for p in files if find_set(p.stem) is not None]
        files = named or files
    if not files or (len(files) > 1 and find_set(files[0].stem) is None):
        raise FileNotFoundError(
            f"{source}: want a manifest (.jsonl, .csv, .tsv, .txt), a folder with one "
            "for each set (train.jsonl, ...) or a dataset saved to disk; found "
            f"{[p.name for p in files] or 'none'}."
        )
    num_rows = sum(count_lines(path) for path in files)
    return Corpus(num_rows, _read_files(files, default_speaker))


def _read_files(files: list[Path], default_speaker: str | None) -> Iterator[CorpusRow]:
    for path in files:
        finder = AudioFinder(path.parent)
        is_json = path.suffix.lower() in _JSON_SUFFIXES
        rows = _read_json_lines(path) if is_json else read_list(path, finder)
        split = find_set(path.stem)
        yield from _make_utterances(path.name, rows, finder, split, default_speaker)


def _read_datasets(
    source: Path, files: list[tuple[Path, str | None]], default_speaker: str | None
) -> Iterator[CorpusRow]:
    finder = AudioFinder(source)
    for path, split in files:
        rows = hf_dataset.read_rows(path)
        name = str(path.relative_to(source))
        yield from _make_utterances(name, rows, finder, split, default_speaker)


def _make_utterances(
    name: str,
    rows: Iterable[tuple[int, Mapping[str, object]] | RefusedRow],
    finder: AudioFinder,
    split: str | None,
    default_speaker: str | None,
) -> Iterator[CorpusRow]:
    """Make utterances of the numbered rows of one file."""
    for row in rows:
        if isinstance(row, RefusedRow):
            yield row
        else:
            number, values = row
            where = f"{name}:{number}"
            yield make_utterance(where, values, finder, split, default_speaker)


def _read_json_lines(
    path: Path,
) -> Iterator[tuple[int, dict[str, object]] | RefusedRow]:
    with tables.open_text(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path.name}:{number}"
            if tables.has_bad_bytes(line):
                yield RefusedRow(where, "bad_encoding", "bytes not UTF-8", "UTF-8")
                continue
            if not line.strip():
                continue
            row = _parse_row(where, line)
            yield row if isinstance(row, RefusedRow) else (number, row)


def _parse_row(where: str, line: str) -> dict[str, object] | RefusedRow:
    """Read our fields of one line of JSON."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as err:
        return RefusedRow(where, "bad_row", str(err), "a JSON object per line")
    if not isinstance(values, dict):
        found = f"JSON {type(values).__name__}"
        return RefusedRow(where, "bad_row", found, "a JSON object per line")
    row = {name: values[field] for name, field in find_fields(values).items()}
    # JSON can name half of a pair of surrogates, which no file can hold.
    if "\\u" in line and tables.has_bad_bytes(json.dumps(row, ensure_ascii=False)):
        return RefusedRow(where, "bad_encoding", "half of a surrogate pair", "UTF-8")
    return row


def make_utterance(
    where: str,
    values: Mapping[str, object],
    finder: AudioFinder,
    split: str | None,
    default_speaker: str | None,
) -> CorpusRow:
    """Make an utterance of a row.

    Args:
        where (str): File and line, for what is refused.
        values (Mapping): Our names of fields to values.
        finder (AudioFinder): Finds the files that it names.
        split (str | None): Set of the whole file.
        default_speaker (str | None): Speaker of rows that name none.

    Returns:
        CorpusRow: The utterance, or a refused row: ``missing_audio``, ``bad_row``,
            ``unknown_set`` or ``several_speakers``.
    """
    audio, text = values.get("audio"), values.get("text")
    name = str(values.get("id") or "").strip()
    if isinstance(audio, Mapping):
        audio = audio.get("path")
    if not isinstance(audio, EncodedAudio):
        audio = str(audio or "").strip()
        if not audio:
            return RefusedRow(where, "missing_audio", "no audio", "a path")
        name = name or strip_ending(audio)
        audio = finder.guess(audio)
    if not isinstance(text, str):
        found = f"text is {type(text).__name__}"
        return RefusedRow(where, "bad_row", found, "a string")
    set_name = str(values.get("split") or "")
    if set_name and find_set(set_name) is None:
        return RefusedRow(where, "unknown_set", set_name, "train, valid or test")
    tags = set(_TAG.findall(text))
    if len(tags) > 1:
        found = f"speakers {', '.join(sorted(tags))}"
        return RefusedRow(where, "several_speakers", found, "one speaker")
    return CorpusUtterance(
        name=name or where,
        audio=audio,
        text=_TAG.sub("", text, count=1) if _TAG.match(text) else text,
        speaker=_name_speaker(values, default_speaker),
        split=find_set(set_name) if set_name else split,
        quality={"duration": str(values["duration"])} if "duration" in values else {},
        voice_prompts=_list_prompts(values.get("voice_prompts"), finder),
    )


def _name_speaker(values: Mapping[str, object], default: str | None) -> str | None:
    """Return the speaker, told apart from one of the same name in another dataset."""
    speaker = values.get("speaker")
    name = default if speaker is None or str(speaker).strip() == "" else str(speaker)
    dataset = str(values.get("dataset_id") or "").strip()
    return f"{dataset}_{name.strip()}" if name and dataset else name


def _list_prompts(value: object, finder: AudioFinder) -> tuple[str, ...]:
    """Read one path, a list of paths, or the JSON of such a list (in a table)."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = [value]  # a file whose name begins with a bracket
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return ()
    paths = (path for path in value if isinstance(path, str) and path.strip())
    return tuple(str(finder.guess(path.strip())) for path in paths)
