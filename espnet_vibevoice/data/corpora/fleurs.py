"""FLEURS fa_ir: read sentences of many unnamed speakers, wav at 16 kHz, CC-BY-4.0.

Source: huggingface.co/datasets/google/fleurs, ``data/fa_ir``: the loader's column order
(no header) and the archives, looked at on 2026-11-20::

    train.tsv dev.tsv test.tsv
    audio/train.tar.gz              holds train/<file>; unpack it to audio/train
    id  file  raw_text  text  chars  num_samples  gender

``text`` is lower case without punctuation, so ``raw_text`` is taken. A sentence has up
to three recordings. Nobody tells who speaks: each utterance is its own speaker.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from espnet_vibevoice.data.corpora import tables
from espnet_vibevoice.data.corpora.audio_paths import leaves_folder
from espnet_vibevoice.data.corpora.utterance import (
    Corpus,
    CorpusRow,
    CorpusUtterance,
    RefusedRow,
)
from espnet_vibevoice.data.kaldi import count_lines

_SPLITS = {"train": "train", "dev": "valid", "test": "test"}
_COLUMNS = ("id", "file", "raw_text", "text", "chars", "num_samples", "gender")


def open_fleurs(source: Path) -> Corpus:
    """Open one language of FLEURS.

    Args:
        source (Path): Folder with the three lists, or one with ``fa_ir`` or
            ``data/fa_ir`` in it.

    Raises:
        FileNotFoundError: A list is not there.
    """
    candidates = [source, source / "fa_ir", source / "data" / "fa_ir"]
    folder = next((f for f in candidates if (f / "train.tsv").is_file()), source)
    missing = [f"{s}.tsv" for s in _SPLITS if not (folder / f"{s}.tsv").is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder}: {', '.join(missing)} missing; want train.tsv, dev.tsv and "
            "test.tsv of FLEURS beside the folder audio."
        )
    num_rows = sum(count_lines(folder / f"{split}.tsv") for split in _SPLITS)
    return Corpus(num_rows, _read_lists(folder))


def _read_lists(folder: Path) -> Iterator[CorpusRow]:
    for split, set_name in _SPLITS.items():
        path = folder / f"{split}.tsv"
        audio = _find_audio(folder, split)
        for row in tables.read_table(path, "\t"):
            if isinstance(row, RefusedRow):
                yield row
                continue
            where = f"{path.name}:{row.number}"
            if len(row.fields) != len(_COLUMNS):
                found = f"{len(row.fields)} columns"
                yield RefusedRow(where, "bad_row", found, f"{len(_COLUMNS)} columns")
                continue
            values = dict(zip(_COLUMNS, row.fields, strict=True))
            yield _read_row(where, values, audio, set_name)


def _find_audio(folder: Path, split: str) -> Path:
    nested = folder / "audio" / split / split
    return nested if nested.is_dir() else folder / "audio" / split


def _read_row(
    where: str, values: dict[str, str], audio: Path, set_name: str
) -> CorpusRow:
    name = values["file"]
    if leaves_folder(name) or os.path.basename(name) != name or not name:
        return RefusedRow(where, "bad_path", name, f"name of a file in {audio.name}/")
    return CorpusUtterance(
        name=f"{values['id']}_{name.removesuffix('.wav')}",
        audio=audio / name,
        text=values["raw_text"],
        speaker=None,
        split=set_name,
        quality={"gender": values["gender"].lower()},
    )
