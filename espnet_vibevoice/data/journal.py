"""What formatting has finished: one line per audio file, appended when it is whole.

A line holds utterance, fingerprint of source and options, samples, and size and time
of the written file. It counts only while all of them still hold, so neither a killed
process nor a changed source nor another number of jobs can pass off a wrong file.
"""

from pathlib import Path
from typing import NamedTuple

from espnet_vibevoice.data.atomic import explain_full_disk

_NAME = "journal.tsv"


class _Entry(NamedTuple):
    fingerprint: str
    num_samples: int
    size: int
    time_ns: int


class FormatJournal:
    """Look up and record finished audio files.

    Args:
        folder (Path): Folder with the job folders ``format.*``; all are read.
        job (int): Job that writes.
    """

    def __init__(self, folder: Path, job: int):
        self._path = folder / f"format.{job}" / _NAME
        self._entries: dict[str, list[_Entry]] = {}
        for path in sorted(folder.glob(f"format.*/{_NAME}")):
            self._read(path)

    def find(self, utt_id: str, fingerprint: str, path: Path) -> int | None:
        """Return the number of samples of a finished file, None if it is not."""
        if utt_id not in self._entries or not path.is_file():
            return None
        stat = path.stat()
        for entry in self._entries[utt_id]:
            now = _Entry(fingerprint, entry.num_samples, stat.st_size, stat.st_mtime_ns)
            if entry == now:
                return entry.num_samples
        return None

    def add(self, utt_id: str, fingerprint: str, path: Path, num_samples: int) -> None:
        """Record that the file of an utterance is whole."""
        stat = path.stat()
        fields = (utt_id, fingerprint, num_samples, stat.st_size, stat.st_mtime_ns)
        line = "\t".join(map(str, fields)) + "\n"
        with explain_full_disk(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                # Behind a line that a killed process left unfinished, start anew.
                file.write(b"" if _ends_with_newline(self._path) else b"\n")
                file.write(line.encode("utf-8"))

    def _read(self, path: Path) -> None:
        for raw in path.read_bytes().split(b"\n"):
            fields = raw.decode("utf-8", "replace").split("\t")
            if len(fields) == 5 and all(f.isdecimal() for f in fields[2:]):
                entry = _Entry(fields[1], *(int(f) for f in fields[2:]))
                self._entries.setdefault(fields[0], []).append(entry)


def _ends_with_newline(path: Path) -> bool:
    if path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
