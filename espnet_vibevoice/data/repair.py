"""Mend a data directory that came damaged; drop by name what cannot be mended.

Mended, with a note: byte order marks, CRLF, empty lines, repeated equal lines, order.
Dropped: utterances whose id, text or other entries are ambiguous or not there, and
audio that a link takes out of the corpus. The list ``dropped.tsv`` of the directory
tells the reasons; running it again, or after it was killed, gives the same bytes.
"""

import functools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from espnet_vibevoice.data.data_dir import (
    Tables,
    check_required_files,
    list_table_names,
    subset_tables,
    utterances_by_file,
    write_data_dir,
)
from espnet_vibevoice.data.dropped import (
    FILE_NAME,
    Dropped,
    check_dropped_share,
    read_dropped_of,
    write_dropped,
)
from espnet_vibevoice.data.kaldi import split_line

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TABBED_ROW = re.compile(r"(\S+\t\S+)[ \t]+\S+")  # of utt2spk: two words are wanted
_BLANKS = re.compile(r"[ \t\r]+")
_WEAK_REASONS = ("missing_audio", "missing_text", "incomplete")
_REASON_OF_TABLE = {"wav.scp": "missing_audio", "text": "missing_text"}


@dataclass(frozen=True)
class RepairReport:
    """What was done.

    Args:
        num_kept (int): Utterances that are left.
        dropped (dict[str, Dropped]): Those that are not, by earlier repairs too.
        mended (list[str]): What was mended without loss, by file.
    """

    num_kept: int
    dropped: dict[str, Dropped]
    mended: list[str]


@dataclass
class DamagedTable:
    """A table as far as it can be read.

    Args:
        name (str): Name of its file.
        tabbed (frozenset[str]): Ids known to hold a tab; their rows are passed over.

    Attributes:
        rows (dict[str, str]): Good rows.
        faults (dict[str, Dropped]): Keys that must not be used.
        notes (dict[str, int]): What was mended, and in how many lines.
    """

    name: str
    tabbed: frozenset[str] = frozenset()
    rows: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Dropped] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    def note(self, what: str) -> None:
        """Count a line that was mended."""
        self.notes[what] = self.notes.get(what, 0) + 1

    def add(self, place: str, raw: bytes) -> None:
        """Take a line, without its end, into the rows or the faults."""
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as err:
            words = raw.decode("utf-8", "backslashreplace").split()
            found = f"{place}: byte {raw[err.start]:#04x} at column {err.start + 1}"
            self.faults[words[0]] = Dropped("not_utf8", found, "UTF-8")
            return
        key, value = split_line(line)
        if not key:
            self.faults[place] = Dropped("no_id", line[:40])
        elif "\0" in line:  # neither paths nor ids can hold one
            self.faults[key.replace("\0", "\\0")] = Dropped("null_byte", place)
        elif "\t" in line and "\t".join(_BLANKS.split(line, 2)[:2]) in self.tabbed:
            return
        elif self.name == "utt2spk" and (match := _TABBED_ROW.fullmatch(line.strip())):
            self.faults[match[1]] = Dropped("tab_in_id", f"{place}: {line!r}")
        elif self.name == "utt2spk" and _BLANKS.search(value):
            self.faults[key] = Dropped("bad_speaker", f"{place}: {value}", "one word")
        else:
            self._add_row(place, key, value)

    def _add_row(self, place: str, key: str, value: str) -> None:
        known = self.rows.get(key)
        if known is None:
            self.rows[key] = value
        elif known == value:
            self.note("repeated line removed")
        else:
            found = f"{place}: {value}; before: {known}"
            self.faults[key] = Dropped("duplicate_id", found, "one line")


def repair_data_dir(
    path: str | Path, max_dropped: float = 1.0, audio_root: str | None = "auto"
) -> RepairReport:
    """Keep the utterances that all tables have, sort them, and renew ``spk2utt``.

    Args:
        path (str | Path): Data directory to mend in place.
        max_dropped (float): Share of utterances that may be dropped.
        audio_root (str | None): Folder that links of ``wav.scp`` must not leave;
            ``auto`` for the folder that all audio of the set has in common, None to
            let them lead anywhere.

    Returns:
        RepairReport: What was kept, dropped and mended.

    Raises:
        FileNotFoundError: The folder or a required file is missing.
        ValueError: No utterance is left, or more are dropped than the share allows;
            no table is changed then.
    """
    path = Path(path)
    check_required_files(path)
    tables, faults, mended = _read_damaged_tables(path)
    if audio_root is not None:
        faults = find_outside_links(tables["wav.scp"], audio_root) | faults
    dropped = find_incomplete(tables) | faults
    kept = set(tables["utt2spk"]) - dropped.keys()
    if not kept:
        raise ValueError(
            f"{path}: no utterance is in all of {', '.join(tables)}. Check that "
            "these files use the same ids."
        )
    for utt_id, entry in read_dropped_of(path).items():
        is_weak = utt_id not in dropped or dropped[utt_id].reason in _WEAK_REASONS
        if utt_id not in kept and is_weak:  # killed while the tables were written
            dropped[utt_id] = entry
    if dropped or (path / FILE_NAME).is_file():
        write_dropped(path / FILE_NAME, dropped)
    check_dropped_share(
        dropped, len(kept) + len(dropped), max_dropped, path / FILE_NAME
    )
    write_data_dir(path, subset_tables(tables, kept))
    return RepairReport(len(kept), dropped, mended)


def read_damaged_table(
    path: str | Path, tabbed: frozenset[str] = frozenset()
) -> DamagedTable:
    """Read a table, whatever is in it.

    Args:
        path (str | Path): Table.
        tabbed (frozenset[str]): Ids known to hold a tab; their rows are passed over.
    """
    path = Path(path)
    table = DamagedTable(path.name, tabbed)
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1 and raw.startswith(_BYTE_ORDER_MARK):
                raw = raw.removeprefix(_BYTE_ORDER_MARK)
                table.note("byte order mark removed")
            if raw.endswith(b"\r\n"):
                table.note("CRLF turned into LF")
            raw = raw.rstrip(b"\r\n")
            if raw.strip():
                table.add(f"{path.name}:{number}", raw)
            else:
                table.note("empty line removed")
    for key in table.faults.keys() & table.rows.keys():
        del table.rows[key]
    return table


def find_incomplete(tables: Tables) -> dict[str, Dropped]:
    """Find utterances that a table lacks or that have an empty value."""
    keys = utterances_by_file(tables)
    found: dict[str, Dropped] = {}
    for utt_id in set().union(*keys.values()):
        for name, utterances in keys.items():
            reason = _REASON_OF_TABLE.get(name, "incomplete")
            if utt_id not in utterances:
                found.setdefault(utt_id, Dropped(reason, f"missing in {name}"))
            elif tables[name].get(utt_id, "audio") == "":
                raw_text = tables.get("text.raw", {}).get(utt_id, "")
                if name == "text" and raw_text:  # nothing of it could be read
                    found.setdefault(utt_id, Dropped("no_letters", raw_text))
                reason = "empty_text" if name == "text" else reason
                found.setdefault(utt_id, Dropped(reason, f"empty {name}"))
    return found


def find_outside_links(wav_scp: dict[str, str], root: str) -> dict[str, Dropped]:
    """Find audio files that links take out of a folder; see :func:`repair_data_dir`."""
    paths = {
        key: os.path.abspath(place)
        for key, place in wav_scp.items()
        if place and not place.endswith("|")
    }
    if not paths:
        return {}
    if root == "auto":
        root = os.path.commonpath({os.path.dirname(p) for p in paths.values()})
    real_root = os.path.realpath(root)
    found = {}
    for key, place in paths.items():
        real = os.path.join(_resolve(os.path.dirname(place)), os.path.basename(place))
        if os.path.islink(place):
            real = os.path.realpath(place)
        if os.path.commonpath((real, real_root)) != real_root:
            found[key] = Dropped("link_out_of_tree", f"{place} -> {real}", root)
    return found


def _read_damaged_tables(
    path: Path,
) -> tuple[Tables, dict[str, Dropped], list[str]]:
    """Read all tables: rows by name, faults by utterance, notes by file."""
    tables: Tables = {}
    faults: dict[str, Dropped] = {}
    mended = []
    first = read_damaged_table(path / "utt2spk")
    tabbed = frozenset(key for key in first.faults if "\t" in key)
    for name in list_table_names(path):
        is_first = name == "utt2spk"
        table = first if is_first else read_damaged_table(path / name, tabbed)
        tables[name] = table.rows
        faults = table.faults | faults
        mended += [f"{path / name}: {w}: {n}" for w, n in table.notes.items()]
    return tables, faults, mended


@functools.lru_cache(maxsize=1024)
def _resolve(folder: str) -> str:
    return os.path.realpath(folder)
