"""Measures that were computed before: one line of JSON per utterance, appended.

A line counts while the audio files it was computed from have the size and time of
change they had then, and while the method is the same. A killed process leaves at most
one line cut off, which does not count.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from espnet_vibevoice.data.atomic import explain_full_disk


def fingerprint_files(*paths: str | Path) -> str:
    """Size and time of change of files; ``missing`` for one that is not there."""
    return " ".join(_fingerprint(path) for path in paths)


def _fingerprint(path: str | Path) -> str:
    try:
        status = os.stat(path)
    except OSError:  # also a path that is no path, e.g. a command with a pipe
        return "missing"
    return f"{status.st_size}:{status.st_mtime_ns}"


METHOD = "signal 1"  # of measures of the signal: raise when figures change


class MeasureJournal:
    """Look up and record measures of utterances.

    Args:
        path (Path): File; need not exist yet.
        method (str): What computed them; lines of another method do not count.
    """

    def __init__(self, path: Path, method: str):
        self._path = path
        self._method = method
        self._lines: dict[str, tuple[str, dict[str, Any]]] = {}
        if path.is_file():
            with path.open("rb") as file:
                self._read(file)

    def find(self, utt_id: str, fingerprint: str) -> dict[str, Any] | None:
        """Return what was measured, None if nothing was or the audio is another."""
        found, measures = self._lines.get(utt_id, ("", {}))
        return measures if found == fingerprint else None

    def add(self, utt_id: str, fingerprint: str, measures: Mapping[str, Any]) -> None:
        """Record what was measured of an utterance.

        Args:
            utt_id (str): Utterance id.
            fingerprint (str): As of `fingerprint_files`, taken before measuring.
            measures (Mapping): Finite numbers and texts.

        Raises:
            OSError: It cannot be written, e.g. the disk is full.
        """
        self._lines[utt_id] = (fingerprint, dict(measures))
        line = {
            "utterance": utt_id,
            "audio": fingerprint,
            "method": self._method,
            "measures": dict(measures),
        }
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        with explain_full_disk(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                # behind a line that a killed process left unfinished, start anew
                is_fresh = file.tell() == 0 or self._ends_with_newline()
                file.write(f"{'' if is_fresh else chr(10)}{text}\n".encode())

    def _ends_with_newline(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _read(self, lines: Iterable[bytes]) -> None:
        for raw in lines:
            try:
                line = json.loads(raw)
            except ValueError:  # cut off
                continue
            if line["method"] == self._method:
                self._lines[line["utterance"]] = (line["audio"], line["measures"])
