"""The transcripts of a data directory as they are read aloud, cleaned once.

``text`` becomes what the model is given, ``text.raw`` keeps what the corpus had. Both
end as the same bytes however often that is repeated or killed: ``text.raw`` is written
before ``text``, and a hidden record tells whose files are there:

- ``text`` as it was left here follows ``text.raw`` and the rules;
- another ``text``, alone or beside a ``text.raw`` made here, is the raw text;
- a ``text.raw`` that was not made here is the corpus's own and stays as it is.
"""

import collections
import filecmp
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from espnet_vibevoice.data.atomic import open_atomic
from espnet_vibevoice.data.files import write_lines, write_text
from espnet_vibevoice.data.kaldi import count_lines, format_row, iterate_table
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.data.stamp import fingerprint_path
from espnet_vibevoice.text import cleaners, describe_dropped
from espnet_vibevoice.text.cleaners import find_cleaner
from espnet_vibevoice.text.lines import format_dropped
from espnet_vibevoice.text.tokenizer import TextTokenizer

TABLES = {
    "unknown_characters.tsv": "utterance\tcharacters",
    "dropped_characters.tsv": "count\tcode_point\tcharacter\tname",
    "no_letters.tsv": "utterance\ttext",
}
_RECORD = ".cleaned"
_NEXT_TEXT = ".text.cleaned"
_RULES = Path(cleaners.__file__).parent / "persian"
_NOTHING = "."
_LONG_LIST = 5000  # lines; more take longer than a second


@dataclass
class CleaningReport:
    """What cleaning did to a set.

    Args:
        utterances (int): Texts that were cleaned.
        changed (int): Those that are not as the corpus had them.
        emptied (dict[str, str]): Utterances without a letter left: raw text.
        losses (dict[str, str]): Utterances that lost characters: which ones.
        dropped (Counter): Characters that could not be read, with their counts.
    """

    utterances: int = 0
    changed: int = 0
    emptied: dict[str, str] = field(default_factory=dict)
    losses: dict[str, str] = field(default_factory=dict)
    dropped: collections.Counter[str] = field(default_factory=collections.Counter)


@dataclass(frozen=True)
class _Record:
    """How the texts were cleaned, and fingerprints of what was left."""

    cleaner: str
    rules: str
    is_raw_ours: bool
    raw: str
    text: str


def clean_data_dir(folder: str | Path, cleaner: str) -> CleaningReport | None:
    """Clean the transcripts of a data directory unless that is done.

    What is lost is listed: ``unknown_characters.tsv`` by utterance,
    ``dropped_characters.tsv`` by character, ``no_letters.tsv`` where nothing to speak
    is left. Such utterances stay, with a full stop as their text if it would be empty:
    the directory stays valid, and filtering drops texts without letters.

    Args:
        folder (str | Path): Data directory; only its texts are read and written.
        cleaner (str): Name, see `find_cleaner`.

    Returns:
        CleaningReport | None: What was done; None if nothing was to be done.

    Raises:
        FileNotFoundError: There is no ``text``.
        ValueError: There is no such cleaner, or ``text`` is no table.
    """
    folder = Path(folder)
    find_cleaner(cleaner)
    text, raw = folder / "text", folder / "text.raw"
    if not text.is_file():
        raise FileNotFoundError(f"{text} is missing. Run the script that makes it.")
    before = _read_record(folder)
    if before is None and cleaner == "none":
        return None
    source, is_raw_ours = _find_source(before, text, raw)
    if before is not None and before == _describe(cleaner, is_raw_ours, raw, text):
        return None
    report = CleaningReport()
    with open_atomic(folder / _NEXT_TEXT) as file:
        for row in _clean_rows(source, cleaner, report):
            file.write(f"{row}\n".encode())
    _write_tables(folder, report)
    if is_raw_ours and source == text:
        with text.open("rb") as old, open_atomic(raw, keep_equal=True) as new:
            shutil.copyfileobj(old, new)
    record = _describe(cleaner, is_raw_ours, raw, folder / _NEXT_TEXT)
    write_text(folder / _RECORD, json.dumps(asdict(record), indent=1) + "\n")
    if filecmp.cmp(folder / _NEXT_TEXT, text, shallow=False):
        (folder / _NEXT_TEXT).unlink()
    else:
        os.replace(folder / _NEXT_TEXT, text)
    return report


def drop_stale_raw(folder: str | Path) -> bool:
    """Remove a ``text.raw`` that was made here of another ``text`` than is there now.

    To be called before anything that wants all tables to have the same utterances.

    Args:
        folder (str | Path): Data directory whose ``text`` may have been put anew.

    Returns:
        bool: Whether it was removed.
    """
    text, raw = Path(folder) / "text", Path(folder) / "text.raw"
    before = _read_record(Path(folder))
    if before is None or not (before.is_raw_ours and text.is_file() and raw.is_file()):
        return False
    if before.text == _fingerprint(text) or before.raw != _fingerprint(raw):
        return False
    raw.unlink()
    return True


def _find_source(before: _Record | None, text: Path, raw: Path) -> tuple[Path, bool]:
    """Tell which file holds the raw text, and whether text.raw is made here."""
    if not raw.is_file():
        return text, True
    raw_now, text_now = _fingerprint(raw), _fingerprint(text)
    if before is not None and before.text == text_now:
        return (raw, True) if before.is_raw_ours else (text, False)
    if before is not None and before.raw == raw_now:
        return text, before.is_raw_ours
    # Equal files: killed before the record was written, or nothing to keep apart.
    return text, raw_now == text_now


def _clean_rows(source: Path, cleaner: str, report: CleaningReport) -> Iterator[str]:
    """Clean a table line by line; note what is lost."""
    clean = find_cleaner(cleaner)
    count = count_lines(source)
    progress = Progress(count) if count > _LONG_LIST else None
    for utt_id, words in iterate_table(source):
        reading = clean(words)
        report.utterances += 1
        report.changed += reading.text != words
        if reading.dropped:
            report.losses[utt_id] = describe_dropped(reading.dropped)
            report.dropped.update(reading.dropped)
        if not TextTokenizer.is_speakable(reading.text):
            report.emptied[utt_id] = words
        yield format_row(utt_id, reading.text or _NOTHING)
        if progress is not None:
            progress.update()


def _write_tables(folder: Path, report: CleaningReport) -> None:
    """List what was lost; a table without rows is removed."""
    contents: tuple[Iterable[str], ...] = (
        [f"{utt_id}\t{lost}" for utt_id, lost in report.losses.items()],
        format_dropped(report.dropped),
        [f"{utt_id}\t{words}" for utt_id, words in report.emptied.items()],
    )
    for (name, header), rows in zip(TABLES.items(), contents, strict=True):
        if rows:
            write_lines(folder / name, [header, *rows])
        else:
            (folder / name).unlink(missing_ok=True)


def _describe(cleaner: str, is_raw_ours: bool, raw: Path, text: Path) -> _Record:
    """Describe the files as they are, cleaned by the rules as they are."""
    return _Record(
        cleaner=cleaner,
        rules=fingerprint_path(_RULES),
        is_raw_ours=is_raw_ours,
        raw=_fingerprint(raw) if raw.is_file() else "missing",
        text=_fingerprint(text),
    )


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_record(folder: Path) -> _Record | None:
    """Read what was written last; a record of another version counts as none."""
    path = folder / _RECORD
    if not path.is_file():
        return None
    try:
        return _Record(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError):
        return None
