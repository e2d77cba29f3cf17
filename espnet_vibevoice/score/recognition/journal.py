"""What recognition has finished: one line per utterance, appended as it is heard.

A line holds utterance, fingerprint (of the audio and of the recogniser) and text. It
counts only while the fingerprint still holds, so a killed job goes on where it was and
neither a changed wav nor another model or number of jobs can pass off an old text.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from espnet_vibevoice.data.atomic import explain_full_disk
from espnet_vibevoice.data.audio_source import AudioSource
from espnet_vibevoice.data.stamp import fingerprint_path
from espnet_vibevoice.score.model_specs import RecognizerSpec

_RULES = 1  # raised when the same audio and recogniser give another text than before
_NUM_FIELDS = 3


def fingerprint_recognizer(spec: RecognizerSpec) -> str:
    """Identify a recogniser by its specification and the files of its model."""
    files = {str(path): fingerprint_path(path) for path in spec.files}
    if spec.model is not None and Path(spec.model).is_dir():
        files[spec.model] = fingerprint_path(spec.model)
    wanted = {**asdict(spec), "name": None, "recipe": None}
    content = json.dumps([_RULES, wanted, files], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class RecognitionJournal:
    """Look up and record recognised utterances.

    Args:
        folder (Path): Where the journals of all jobs lie; all are read.
        job (int): Job that writes.
        recognizer (str): Of :func:`fingerprint_recognizer`.
        sources (Iterable[AudioSource]): Utterances that will be looked up.
    """

    def __init__(
        self,
        folder: Path,
        job: int,
        recognizer: str,
        sources: Iterable[AudioSource],
    ):
        self._path = folder / f"journal.{job}.tsv"
        self._wanted = {
            source.utt_id: f"{recognizer}-{source.fingerprint()}" for source in sources
        }
        self._texts: dict[str, str] = {}
        for path in sorted(folder.glob("journal.*.tsv")):
            self._read(path)

    def find(self, utt_id: str) -> str | None:
        """Return the text of an utterance; None if it has not been recognised."""
        return self._texts.get(utt_id)

    def add(self, utt_id: str, text: str) -> None:
        """Record the text of an utterance: one line, without tabs."""
        line = "\t".join((utt_id, self._wanted[utt_id], text))
        with explain_full_disk(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                # A killed process may have left an unfinished line; empty ones are
                # skipped.
                file.write(f"\n{line}\n".encode())
        self._texts[utt_id] = text

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:
            for raw in file:
                line = raw.decode("utf-8", "replace")
                fields = line.removesuffix("\n").split("\t")
                if not line.endswith("\n") or len(fields) != _NUM_FIELDS:
                    continue
                utt_id, fingerprint, text = fields
                if self._wanted.get(utt_id) == fingerprint:
                    self._texts[utt_id] = text
