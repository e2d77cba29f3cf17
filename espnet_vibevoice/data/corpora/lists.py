"""CSV, TSV and ``file|text`` lists of files and texts, with a header or without.

Seen without one: ``file|text``, ``file|text|normalised text`` (LJSpeech), ``text|file``
and ``file|speaker|text``; the first rows decide.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from espnet_vibevoice.data.corpora import tables
from espnet_vibevoice.data.corpora.audio_paths import AudioFinder, looks_like_audio
from espnet_vibevoice.data.corpora.fields import find_fields
from espnet_vibevoice.data.corpora.utterance import RefusedRow

_SAMPLE_ROWS = 50


def read_list(
    path: Path, finder: AudioFinder
) -> Iterator[tuple[int, dict[str, str]] | RefusedRow]:
    """Read the rows of a list as our names of fields to values.

    Yields:
        tuple | RefusedRow: Line number and values, ``audio`` and ``text`` among them;
            ``bad_row`` where the number of columns differs.

    Raises:
        ValueError: No column looks like files, or there is no column of texts.
    """
    delimiter = tables.find_delimiter(path)
    header = tables.read_header(path, delimiter)
    fields = find_fields(header)
    if {"audio", "text"} <= fields.keys():
        for row in tables.read_named(path, delimiter, header):
            if isinstance(row, RefusedRow):
                yield row
            else:
                number, values = row
                yield number, {field: values[fields[field]] for field in fields}
        return
    columns, width = find_columns(path, delimiter, finder)
    for row in tables.read_table(path, delimiter):
        if isinstance(row, RefusedRow):
            yield row
        elif len(row.fields) != width:
            found = f"{len(row.fields)} columns"
            where = f"{path.name}:{row.number}"
            yield RefusedRow(where, "bad_row", found, f"{width} columns")
        else:
            yield row.number, {name: row.fields[i] for name, i in columns.items()}


def find_columns(
    path: Path, delimiter: str, finder: AudioFinder
) -> tuple[dict[str, int], int]:
    """Find out what the columns of a list without a header hold.

    Returns:
        tuple[dict[str, int], int]: Position of ``audio``, ``text`` and, where there
            is one, ``speaker``; and the number of columns.

    Raises:
        ValueError: No column looks like files, or there is no other column.
    """
    rows = [
        row.fields
        for row in itertools.islice(tables.read_table(path, delimiter), _SAMPLE_ROWS)
        if isinstance(row, tables.TableRow)
    ]
    width = len(rows[0]) if rows else 0
    columns = [[row[i].strip() for row in rows if i < len(row)] for i in range(width)]
    shares = [_share_of_files(column, finder) for column in columns]
    if width < 2 or max(shares) < 0.5:
        raise ValueError(
            f"{path}: want rows like file|text, or a header that names the columns "
            f"audio and text; the first rows have {width} columns, none of which are "
            "audio files."
        )
    audio = shares.index(max(shares))
    others = [i for i in range(width) if i != audio]
    text = _find_text(columns, others)
    found = {"audio": audio, "text": text}
    rest = [i for i in others if i != text]
    if len(rest) == 1 and not any(" " in value for value in columns[rest[0]]):
        found["speaker"] = rest[0]
    return found, width


def _share_of_files(column: list[str], finder: AudioFinder) -> float:
    """Share of values that are audio files, by their ending or because they exist."""
    hits = sum(looks_like_audio(v) or finder.find(v) is not None for v in column)
    return hits / max(len(column), 1)


def _find_text(columns: list[list[str]], others: list[int]) -> int:
    """Return the first column of several words; else the one with the longest."""
    for i in others:
        if sum(" " in value for value in columns[i]) * 2 > len(columns[i]):
            return i
    return max(others, key=lambda i: sum(map(len, columns[i])))
