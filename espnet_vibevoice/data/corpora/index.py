"""The rows of a corpus on disk while it is prepared, so that memory does not grow.

A temporary SQLite file answers what needs all rows at once: is this id taken, which
set has this sentence, what comes next in the order of ids.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from espnet_vibevoice.data.corpora.utterance import RefusedRow

_BATCH = 20_000
# Temporary results stay in memory only up to this size (negative: KiB).
_SETTINGS = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16384;"
_TABLES = """
CREATE TABLE utterances (
    utt_id TEXT PRIMARY KEY, audio TEXT, raw_text TEXT, text TEXT, text_key TEXT,
    speaker TEXT, split TEXT, quality TEXT, prompts TEXT, group_key TEXT
) WITHOUT ROWID;
CREATE TABLE refused (name TEXT, reason TEXT, value TEXT, wanted TEXT);
CREATE TABLE unknown (utt_id TEXT, characters TEXT);
"""
_INDICES = """
CREATE INDEX by_text ON utterances (text_key, split);
CREATE INDEX by_speaker ON utterances (speaker, split);
CREATE INDEX by_split ON utterances (split, utt_id);
"""


@dataclass(frozen=True)
class IndexedUtterance:
    """An utterance as it will be written.

    Args:
        utt_id (str): Id, beginning with its speaker.
        audio (str): Path for ``wav.scp``.
        raw_text (str): Transcript as the corpus has it, on one line.
        text (str): Transcript as it is read.
        text_key (str): What two transcripts share if they are the same sentence.
        speaker (str): Speaker for ``utt2spk``.
        split (str | None): Its set; None where that is still open.
        quality (dict): What the corpus says of it.
        voice_prompts (tuple[str, ...]): Audio files to take the voice from.
    """

    utt_id: str
    audio: str
    raw_text: str
    text: str
    text_key: str
    speaker: str
    split: str | None
    quality: dict[str, str | int | float]
    voice_prompts: tuple[str, ...] = ()


class CorpusIndex:
    """The rows of one corpus in a temporary file, removed on leaving ``with``.

    Args:
        path (Path): File to make; what an interrupted run left there is removed.
    """

    def __init__(self, path: Path):
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(_SETTINGS + _TABLES)
        self.connection.execute("BEGIN")
        self.quality_fields: set[str] = set()
        self._num_written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.connection.close()
        self._path.unlink(missing_ok=True)

    def has(self, utt_id: str) -> bool:
        """Tell whether an id is taken."""
        query = "SELECT 1 FROM utterances WHERE utt_id = ?"
        return self.connection.execute(query, (utt_id,)).fetchone() is not None

    def add(self, utterance: IndexedUtterance) -> None:
        """Add an utterance whose id is not taken."""
        prompts = json.dumps(utterance.voice_prompts) if utterance.voice_prompts else ""
        row = (
            utterance.utt_id,
            utterance.audio,
            utterance.raw_text,
            utterance.text,
            utterance.text_key,
            utterance.speaker,
            utterance.split,
            json.dumps(utterance.quality),
            prompts,
        )
        self.connection.execute(
            "INSERT INTO utterances VALUES (?,?,?,?,?,?,?,?,?,NULL)", row
        )
        self.quality_fields |= utterance.quality.keys()
        self._flush()

    def refuse(self, row: RefusedRow) -> None:
        """List a row that gives no utterance."""
        values = (row.name, row.reason, row.value, row.limit)
        self.connection.execute("INSERT INTO refused VALUES (?,?,?,?)", values)
        self._flush()

    def note_unknown(self, utt_id: str, characters: str) -> None:
        """List what could not be read in the text of an utterance."""
        row = (utt_id, characters)
        self.connection.execute("INSERT INTO unknown VALUES (?,?)", row)

    def finish_adding(self) -> None:
        """Build what the questions about all rows need."""
        self.connection.execute("COMMIT")
        self.connection.executescript(_INDICES)

    def count(self, split: str) -> int:
        """Number of utterances in a set."""
        query = "SELECT COUNT(*) FROM utterances WHERE split = ?"
        return self.connection.execute(query, (split,)).fetchone()[0]

    def count_reasons(self) -> dict[str, int]:
        """Number of refused rows per reason, the most frequent reason first."""
        query = (
            "SELECT reason, COUNT(*) AS n FROM refused GROUP BY reason "
            "ORDER BY n DESC, reason"
        )
        return dict(self.connection.execute(query))

    def count_unknown(self) -> int:
        """Number of texts with characters that could not be read."""
        return self.connection.execute("SELECT COUNT(*) FROM unknown").fetchone()[0]

    def list_unknown(self) -> Iterator[tuple[str, str]]:
        """Utterances and what could not be read, in the order of ids."""
        return iter(self.connection.execute("SELECT * FROM unknown ORDER BY utt_id"))

    def has_prompts(self, split: str) -> bool:
        """Tell whether an utterance of a set names voice prompts."""
        query = "SELECT 1 FROM utterances WHERE split = ? AND prompts != '' LIMIT 1"
        return self.connection.execute(query, (split,)).fetchone() is not None

    def list_refused(self) -> Iterator[RefusedRow]:
        """Refused rows in the order of their names."""
        query = "SELECT * FROM refused ORDER BY name, reason, value"
        return (RefusedRow(*row) for row in self.connection.execute(query))

    def list_utterances(self, split: str) -> Iterator[IndexedUtterance]:
        """Utterances of a set in the order of their ids, as LC_ALL=C sort has it."""
        query = (
            "SELECT utt_id, audio, raw_text, text, text_key, speaker, split, quality, "
            "prompts FROM utterances WHERE split = ? ORDER BY utt_id"
        )
        for row in self.connection.execute(query, (split,)):
            prompts = tuple(json.loads(row[8])) if row[8] else ()
            yield IndexedUtterance(*row[:7], json.loads(row[7]), prompts)

    def list_speakers(self, split: str) -> Iterator[tuple[str, str]]:
        """Speaker and utterance of a set, in the order of both."""
        query = (
            "SELECT speaker, utt_id FROM utterances WHERE split = ? "
            "ORDER BY speaker, utt_id"
        )
        return iter(self.connection.execute(query, (split,)))

    def find_by_audio(self, split: str, paths: Iterable[str]) -> str | None:
        """Return the first utterance of a set with one of these audio files."""
        self.connection.execute(
            "CREATE INDEX IF NOT EXISTS by_audio ON utterances (audio, split)"
        )
        query = "SELECT utt_id FROM utterances WHERE audio = ? AND split = ?"
        for path in paths:
            found = self.connection.execute(query, (path, split)).fetchone()
            if found is not None:
                return found[0]
        return None

    def _flush(self) -> None:
        self._num_written += 1
        if self._num_written % _BATCH == 0:
            self.connection.execute("COMMIT")
            self.connection.execute("BEGIN")
