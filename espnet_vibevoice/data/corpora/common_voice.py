"""Common Voice fa: many speakers, mp3 at 48 kHz, CC0.

Source: commonvoice.mozilla.org, the columns from github.com/common-voice/cv-dataset
(README.md, CHANGELOG.md), looked at on 2026-11-20. Releases differ: ``accent`` became
``accents``, ``sentence_id``, ``sentence_domain`` and ``variant`` came later; only the
columns below are needed. An archive holds ``cv-corpus-<release>-<date>/fa/``::

    clips/common_voice_fa_<number>.mp3
    train.tsv dev.tsv test.tsv      each sentence once, sets without common speakers
    validated.tsv                   every clip with more votes for than against
    client_id  path  sentence  up_votes  down_votes  age  gender  accents  locale ...
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

TRAIN_LISTS = ("train", "validated")
_HELD_OUT = (("test", "test"), ("dev", "valid"))
_REQUIRED = ("client_id", "path", "sentence", "up_votes", "down_votes")
_SPEAKER_CHARS = 16  # of 128 hexadecimal ones


def open_common_voice(
    source: Path,
    train_list: str = "validated",
    min_up_votes: int = 2,
    max_down_votes: int = 0,
) -> Corpus:
    """Open one language of Common Voice.

    Args:
        source (Path): Folder with the lists, or one with a single such folder in it.
        train_list (str): validated: all good clips that are in neither dev nor test |
            train: the much smaller set of the release.
        min_up_votes (int): Fewer votes for a training clip are too few.
        max_down_votes (int): More votes against a training clip are too many.

    Raises:
        FileNotFoundError: The lists are not there.
        ValueError: A list lacks a column.
    """
    folder = _find_release(source)
    lists = [(folder / f"{name}.tsv", split) for name, split in _HELD_OUT]
    lists.append((folder / f"{train_list}.tsv", "train"))
    for path, _ in lists:
        _check_header(path)
    votes = (min_up_votes, max_down_votes)
    num_rows = sum(max(count_lines(path) - 1, 0) for path, _ in lists)
    return Corpus(num_rows, _read_lists(lists, votes))


def _find_release(source: Path) -> Path:
    found = sorted({path.parent for path in source.glob("test.tsv")})
    for pattern in ("fa/test.tsv", "*/fa/test.tsv", "*/*/fa/test.tsv"):
        found = found or sorted({path.parent for path in source.glob(pattern)})
    if len(found) != 1:
        raise FileNotFoundError(
            f"{source}: want the folder of one release with test.tsv, dev.tsv and "
            f"clips/, found {len(found)}: {[str(path) for path in found]}."
        )
    return found[0]


def _check_header(path: Path) -> None:
    missing = set(_REQUIRED) - set(tables.read_header(path, "\t"))
    if missing:
        raise ValueError(
            f"{path}:1: columns {sorted(missing)} are missing; wanted those of Common "
            f"Voice: {', '.join(_REQUIRED)}."
        )


def _read_lists(
    lists: list[tuple[Path, str]], votes: tuple[int, int]
) -> Iterator[CorpusRow]:
    held_out: set[str] = set()  # clips of dev and test, which validated has as well
    for path, split in lists:
        header = tables.read_header(path, "\t")
        for row in tables.read_named(path, "\t", header):
            if isinstance(row, RefusedRow):
                yield row
                continue
            number, values = row
            if split == "train" and values["path"] in held_out:
                continue
            if split != "train":
                held_out.add(values["path"])
            yield _read_row(path, number, values, split, votes)


def _read_row(
    path: Path,
    number: int,
    values: dict[str, str],
    split: str,
    votes: tuple[int, int],
) -> CorpusRow:
    clip = values["path"]
    where = f"{path.name}:{number}"
    if leaves_folder(clip) or os.path.basename(clip) != clip or not clip:
        return RefusedRow(where, "bad_path", clip, "name of a file in clips/")
    up, down = _to_count(values["up_votes"]), _to_count(values["down_votes"])
    if split == "train" and (up < votes[0] or down > votes[1]):
        limit = f"at least {votes[0]} for, at most {votes[1]} against"
        return RefusedRow(clip, "few_votes", f"{up} for, {down} against", limit)
    if "." not in clip:  # some releases leave the ending out
        clip = f"{clip}.mp3"
    return CorpusUtterance(
        name=clip.removesuffix(".mp3"),
        audio=path.parent / "clips" / clip,
        text=values["sentence"],
        speaker=values["client_id"][:_SPEAKER_CHARS] or None,
        split=split,
        quality={
            "up_votes": up,
            "down_votes": down,
            "gender": values.get("gender", ""),
            "age": values.get("age", ""),
        },
    )


def _to_count(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0
