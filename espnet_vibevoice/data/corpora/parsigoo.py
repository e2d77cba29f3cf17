"""ParsiGoo: six voices, about 4.9 h at 22.05 kHz; its licence statements conflict.

Source: the card of huggingface.co/datasets/Kamtera/ParsiGoo (``datasets.zip``), looked
at on 2026-11-20: a folder for each of ariana_Female1, ariana_Male1, ariana_Male2,
moujeze_Female1, edge_Dilara and edge_Farid. The card says CC0 in its head and
CC BY-SA 4.0 in its text. The inside of the archive could not be looked at, so a
voice's list (``metadata.csv``, ``*.txt``, ``*.tsv``) may have its columns in any
order, with its audio beside it or in ``wavs``.

edge_Dilara and edge_Farid have the names of voices of a commercial synthesiser and are
left out unless they are asked for.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from espnet_vibevoice.data.corpora import tables
from espnet_vibevoice.data.corpora.audio_paths import (
    AudioFinder,
    leaves_folder,
    strip_ending,
)
from espnet_vibevoice.data.corpora.lists import read_list
from espnet_vibevoice.data.corpora.utterance import (
    Corpus,
    CorpusRow,
    CorpusUtterance,
    RefusedRow,
)
from espnet_vibevoice.data.kaldi import count_lines

SYNTHETIC_VOICES = ("edge_Dilara", "edge_Farid")
_MAX_DEPTH = 4


def open_parsigoo(
    source: Path, unwanted_speakers: Collection[str] = SYNTHETIC_VOICES
) -> Corpus:
    """Open the unpacked corpus.

    Args:
        source (Path): Folder below which the folders of the voices are.
        unwanted_speakers (Collection[str]): Voices to leave out.

    Raises:
        FileNotFoundError: No folder has a list.
        ValueError: A list has no files or no text.
    """
    lists = _find_lists(source)
    if not lists:
        raise FileNotFoundError(
            f"{source}: no folder of a voice with a list (metadata.csv) in it. Unpack "
            "datasets.zip here."
        )
    num_rows = sum(count_lines(path) for path in lists)
    return Corpus(num_rows, _read_lists(lists, frozenset(unwanted_speakers)))


def _find_lists(source: Path) -> list[Path]:
    """Find one list per folder, ``metadata.*`` before others."""
    found: dict[Path, Path] = {}
    for depth in range(1, _MAX_DEPTH + 1):
        for path in sorted(source.glob("*/" * depth + "*")):
            if path.suffix.lower() not in tables.TABLE_SUFFIXES:
                continue
            if path.parent not in found or path.stem == "metadata":
                found[path.parent] = path
    # Archives made on a Mac bring a shadow of each file.
    return sorted(path for path in found.values() if "__MACOSX" not in path.parts)


def _read_lists(lists: list[Path], unwanted: frozenset[str]) -> Iterator[CorpusRow]:
    for path in lists:
        speaker = path.parent.name
        finder = AudioFinder(path.parent)
        for row in read_list(path, finder):
            if isinstance(row, RefusedRow):
                yield RefusedRow(
                    f"{speaker}/{row.name}", row.reason, row.value, row.limit
                )
                continue
            number, values = row
            if speaker in unwanted:
                where = f"{speaker}/{path.name}:{number}"
                yield RefusedRow(where, "unwanted_speaker", speaker, "a human voice")
                continue
            name = values["audio"].strip()
            if leaves_folder(name):
                where = f"{speaker}/{path.name}:{number}"
                yield RefusedRow(where, "bad_path", name, f"a file below {speaker}/")
                continue
            yield CorpusUtterance(
                name=strip_ending(Path(name).name),
                audio=finder.guess(name),
                text=values["text"],
                speaker=speaker,
            )
