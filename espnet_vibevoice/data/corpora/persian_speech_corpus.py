"""Persian Speech Corpus: one speaker of Tehran, about 2.5 h, CC BY-NC-SA 4.0.

Source: fa.persianspeechcorpus.com (``persian-speech-corpus.zip``). The format of the
transcripts is that of its sister for Arabic, as its README states it; published
readers of the Persian one agree and tell that a few wavs are missing. Looked at on
2026-11-20::

    wav/<name>.wav  lab/  textGrid/
    orthographic-transcript.txt     "<name>.wav" "<sentence>"
    phonetic-transcript.txt         not read

The Arabic one is in Buckwalter's Latin letters, the Persian one in Persian script. A
sentence without any letter of that script is refused, not guessed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from espnet_vibevoice.data.corpora import tables
from espnet_vibevoice.data.corpora.audio_paths import AudioFinder, leaves_folder
from espnet_vibevoice.data.corpora.utterance import (
    Corpus,
    CorpusRow,
    CorpusUtterance,
    RefusedRow,
)
from espnet_vibevoice.data.kaldi import count_lines

_TRANSCRIPTS = "orthographic-transcript.txt"
_SPEAKER = "psc"
_LINE = re.compile(r'^\s*(?:"([^"]+)"|(\S+))\s+(?:"(.*)"|(.*\S))\s*$')
_ARABIC_SCRIPT = re.compile("[\u0620-\u064a\u0671-\u06d3\ufb50-\ufdfb\ufe70-\ufefc]")


def open_persian_speech_corpus(source: Path) -> Corpus:
    """Open the unpacked corpus.

    Args:
        source (Path): Folder with the transcripts, or one with that folder in it.

    Raises:
        FileNotFoundError: The transcripts are not there.
    """
    found = sorted([*source.glob(_TRANSCRIPTS), *source.glob(f"*/{_TRANSCRIPTS}")])
    if not found:
        raise FileNotFoundError(
            f"{source}: no {_TRANSCRIPTS} here or in a folder below. Unpack "
            "persian-speech-corpus.zip here."
        )
    return Corpus(count_lines(found[0]), _read_lines(found[0]))


def _read_lines(path: Path) -> Iterator[CorpusRow]:
    finder = AudioFinder(path.parent)
    with tables.open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _read_line(f"{path.name}:{number}", line, finder)


def _read_line(where: str, line: str, finder: AudioFinder) -> CorpusRow:
    if tables.has_bad_bytes(line):
        return RefusedRow(where, "bad_encoding", "bytes not UTF-8", "UTF-8")
    match = _LINE.match(line)
    if match is None:
        return RefusedRow(where, "bad_row", line[:60], '"name.wav" "sentence"')
    name, text = match[1] or match[2], match[3] if match[3] is not None else match[4]
    if leaves_folder(name):
        return RefusedRow(where, "bad_path", name, "name of a file in wav/")
    if text.strip() and not _ARABIC_SCRIPT.search(text):
        return RefusedRow(name, "not_persian_script", text[:60], "Persian letters")
    return CorpusUtterance(
        name=name.removesuffix(".wav"),
        audio=finder.guess(name),
        text=text,
        speaker=_SPEAKER,
    )
