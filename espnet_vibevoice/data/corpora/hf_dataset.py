"""Hugging Face datasets on disk, read with pyarrow alone.

``save_to_disk`` writes a folder per set, named in ``dataset_dict.json``, or one folder
for a dataset without sets::

    dataset_dict.json               {"splits": ["train", "test"]}
    train/state.json                {"_data_files": [{"filename": "data-...arrow"}]}
    train/data-00000-of-00001.arrow Arrow stream

A copy of a repository holds ``train-00000-of-00004.parquet``, at the top, in ``data``
or in a folder per set. Source: huggingface.co/docs/datasets and published folders,
looked at on 2026-11-20.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet_vibevoice.data.audio import AudioError
from espnet_vibevoice.data.corpora import arrow
from espnet_vibevoice.data.corpora.fields import find_fields
from espnet_vibevoice.data.corpora.utterance import EncodedAudio, RefusedRow, find_set


def find_files(folder: Path) -> list[tuple[Path, str | None]]:
    """List the files of a dataset, each with its set; empty if it is none.

    Raises:
        ValueError: ``dataset_dict.json`` or ``state.json`` is not as it should be.
    """
    if (folder / "dataset_dict.json").is_file():
        names = _read_json(folder / "dataset_dict.json", "splits")
        return [
            (path, find_set(str(name)))
            for name in names
            for path in _list_arrow(folder / str(name))
        ]
    if (folder / "state.json").is_file():
        return [(path, None) for path in _list_arrow(folder)]
    parts = [*folder.glob("*.parquet"), *folder.glob("*/*.parquet")]
    return [(path, _guess_set(path)) for path in sorted(parts)]


def count_rows(path: Path) -> int:
    """Count the rows of one file."""
    return arrow.count_rows(path)


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, object]] | RefusedRow]:
    """Read the rows of one file as our names of fields to values.

    Yields:
        tuple | RefusedRow: Row number from 1 and values, ``audio`` as content or path;
            refused rows have the reasons of :func:`.arrow.read_audio`.

    Raises:
        ValueError: It has no column of audio or none of text.
    """
    columns = arrow.read_columns(path)
    fields = find_fields(columns)
    missing = {"audio", "text"} - fields.keys()
    if missing:
        raise ValueError(
            f"{path}: no column for {' and '.join(sorted(missing))} among {columns}. "
            "Rename the columns to audio and text."
        )
    for number, row in enumerate(arrow.read_rows(path, list(fields.values())), 1):
        try:
            yield number, _read_values(row, fields)
        except AudioError as err:
            yield RefusedRow(f"{path.name}:{number}", err.reason, err.detail)


def _read_values(row: dict[str, Any], fields: dict[str, str]) -> dict[str, object]:
    values: dict[str, object] = {
        field: row[column].as_py()
        for field, column in fields.items()
        if field != "audio"
    }
    rate = values.get("fs")
    fs = int(rate) if isinstance(rate, int | float) else None
    audio: EncodedAudio | str | None = arrow.read_audio(row[fields["audio"]], fs)
    return {**values, "audio": audio}


def _list_arrow(folder: Path) -> list[Path]:
    state = folder / "state.json"
    try:
        return [folder / str(e["filename"]) for e in _read_json(state, "_data_files")]
    except (KeyError, TypeError) as err:
        raise ValueError(
            f"{state}: _data_files has no names of files. Save the dataset again."
        ) from err


def _read_json(path: Path, key: str) -> list[Any]:
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))[key])
    except (json.JSONDecodeError, KeyError, TypeError, FileNotFoundError) as err:
        raise ValueError(
            f"{path}: want JSON with a list {key!r}. Save the dataset again."
        ) from err


def _guess_set(path: Path) -> str | None:
    """Tell the set by the begin of the name (``train-00000-of-00004``) or folder."""
    return find_set(path.stem.split("-")[0]) or find_set(path.parent.name)
