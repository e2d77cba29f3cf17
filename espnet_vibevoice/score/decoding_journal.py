"""What decoding knows of each utterance: how fast it was spoken, or why it was not.

A job appends a JSON line for each utterance before it writes its wav, so a wav never
lacks its line. Of several lines of an utterance the last counts; the rest of a line
that a killed job left behind is passed over.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.atomic import explain_full_disk
from espnet_vibevoice.data.files import write_lines

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, kw_only=True)
class DecodingRecord:
    """What became of one utterance.

    Args:
        utterance (str): Utterance id.
        reason (str): Why it was not spoken; empty if it was.
        elapsed_sec (float): Time it took; of a batch its share by the speech in it.
        audio_sec (float): Speech made.
        first_audio_sec (float | None): Time from its text to its first samples, where
            that was measured.
        batch_size (int): Batch size that was asked for.
        device (str): What it was computed on.
    """

    utterance: str
    reason: str = ""
    elapsed_sec: float = 0.0
    audio_sec: float = 0.0
    first_audio_sec: float | None = None
    batch_size: int = 1
    device: str = ""


def append_records(path: Path, records: Iterable[DecodingRecord]) -> None:
    """Add records to a journal.

    Args:
        path (Path): The journal; its folder is made.
        records (Iterable[DecodingRecord]): What to add.

    Raises:
        OSError: If it cannot be written.
    """
    lines = "".join(f"{_format(record)}\n" for record in records)
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(lines)


def read_records(path: Path) -> dict[str, DecodingRecord]:
    """Read a journal.

    Args:
        path (Path): The journal; need not exist.

    Returns:
        dict[str, DecodingRecord]: The last record of each utterance, by its id.
    """
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            fields = json.loads(line)
        except ValueError:  # the rest of a line that a killed job was writing
            continue
        found[fields["utterance"]] = DecodingRecord(**fields)
    return found


def write_records(path: Path, records: Mapping[str, DecodingRecord]) -> None:
    """Replace a journal by these records, atomically; nothing cut off is left."""
    write_lines(path, map(_format, records.values()))


def _format(record: DecodingRecord) -> str:
    return json.dumps(dataclasses.asdict(record), ensure_ascii=False)
