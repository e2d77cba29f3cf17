"""What formatting has finished: one line per audio file, appended when it is whole.

A line holds utterance, fingerprint of source and options, what was measured, and size
and time of the written file. It counts only while all of them still hold, so neither a
killed process nor a changed source nor another number of jobs can pass off a wrong
file. Of the lines of other jobs only those of the wanted utterances are held.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from espnet_vibevoice.data.atomic import explain_full_disk

_NAME = "journal.tsv"
_NUM_FIELDS = 9  # utterance, fingerprint, size, time and five measures


class Measures(NamedTuple):
    """What formatting measured of one utterance, all in samples.

    Args:
        num_samples (int): Length of the written audio.
        trimmed_start (int): Cut off at the beginning, at the written rate.
        trimmed_end (int): Cut off at the end, at the written rate.
        num_clipped (int): Samples of the source at full scale, of all channels.
        num_source (int): Samples of the source, of all channels.
    """

    num_samples: int
    trimmed_start: int
    trimmed_end: int
    num_clipped: int
    num_source: int


class FormatJournal:
    """Look up and record finished audio files.

    Args:
        folder (Path): Folder with the job folders ``format.*``; all are read.
        job (int): Job that writes.
        utterances (Iterable[str]): Utterances that will be looked up.
    """

    def __init__(self, folder: Path, job: int, utterances: Iterable[str]):
        self._path = folder / f"format.{job}" / _NAME
        self._lines: dict[str, str] = {}
        paths = sorted(folder.glob(f"format.*/{_NAME}"))
        if paths:
            self._lines = dict.fromkeys(utterances, "")
        for path in paths:
            self._read(path)

    def find(self, utt_id: str, fingerprint: str, path: Path) -> Measures | None:
        """Return what was measured of a finished file, None if it is not finished."""
        line = self._lines.get(utt_id, "")
        if not line or not path.is_file():
            return None
        found, size, time_ns, *measures = line.split("\t")
        stat = path.stat()
        now = (fingerprint, stat.st_size, stat.st_mtime_ns)
        if (found, int(size), int(time_ns)) != now:
            return None
        return Measures(*map(int, measures))

    def add(
        self, utt_id: str, fingerprint: str, path: Path, measures: Measures
    ) -> None:
        """Record that the file of an utterance is whole."""
        stat = path.stat()
        fields = (utt_id, fingerprint, stat.st_size, stat.st_mtime_ns, *measures)
        line = "\t".join(map(str, fields)) + "\n"
        with explain_full_disk(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                # Behind a line that a killed process left unfinished, start anew.
                file.write(b"" if _ends_with_newline(self._path) else b"\n")
                file.write(line.encode("utf-8"))

    def _read(self, path: Path) -> None:
        """Keep the newest line of each wanted utterance."""
        with path.open("rb") as file:
            for raw in file:
                line = raw.decode("utf-8", "replace")
                fields = line.removesuffix("\n").split("\t")
                is_whole = line.endswith("\n") and len(fields) == _NUM_FIELDS
                if not is_whole or not all(f.isdecimal() for f in fields[2:]):
                    continue
                known = self._lines.get(fields[0])
                if known == "" or (
                    known is not None and int(known.split("\t")[2]) < int(fields[3])
                ):
                    self._lines[fields[0]] = "\t".join(fields[1:])


def _ends_with_newline(path: Path) -> bool:
    if path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
