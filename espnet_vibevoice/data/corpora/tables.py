"""Rows of CSV, TSV and ``file|text`` lists, streamed, with or without a header.

Sample rows: of a TSV with a header, of Common Voice (cut), of a list without one::

    client_id	path	sentence	up_votes	down_votes
    9f2c...	common_voice_fa_1.mp3	<sentence>	2	0
    wavs/0001.wav|<sentence>

Comma-separated files have quotes as in RFC 4180; in the others a quotation mark is a
character like any other.
"""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.corpora.audio_paths import looks_like_audio
from espnet_vibevoice.data.corpora.fields import find_fields
from espnet_vibevoice.data.corpora.utterance import RefusedRow

_SURROGATE = re.compile("[\ud800-\udfff]")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = {".tsv": "\t", ".csv": ",|;\t", ".txt": "|\t", ".list": "|\t"}
TABLE_SUFFIXES = tuple(_DELIMITERS)


@dataclass(frozen=True)
class TableRow:
    """One row.

    Args:
        number (int): Its line in the file, from 1 (of the last line, if it has many).
        fields (list[str]): Values.
    """

    number: int
    fields: list[str]


def find_delimiter(path: Path) -> str:
    """Find out what separates the fields, by the first line.

    It is the mark that sets an audio file or a known name of a column apart, else the
    first mark: texts hold some of these marks, too.

    Raises:
        ValueError: The ending of the name is not known, or no mark is there.
    """
    if path.suffix.lower() not in _DELIMITERS:
        raise ValueError(f"{path}: want a name ending in {', '.join(TABLE_SUFFIXES)}.")
    with open_text(path) as file:
        first = file.readline()
    marks = _DELIMITERS[path.suffix.lower()]
    found = [mark for mark in marks if mark in first]
    if not found:
        names = " or ".join(repr(mark) for mark in marks)
        raise ValueError(
            f"{path}:1: no {names} in {first[:60]!r}: want columns audio and text, "
            "with a header or as file|text."
        )
    return min(found, key=lambda mark: _rank_delimiter(mark, first, found))


def _rank_delimiter(mark: str, line: str, marks: list[str]) -> tuple[bool, int]:
    """Tell how unlikely it is that a mark separates the fields of a line."""
    fields = [field.strip().strip('"') for field in line.split(mark)]
    whole = [field for field in fields if not any(m in field for m in marks)]
    is_known = bool(find_fields(whole)) or any(map(looks_like_audio, whole))
    return not is_known, line.index(mark)


def open_text(path: Path) -> "TextLines":
    """Open a UTF-8 file whose lines end in a line feed only; a mark is skipped.

    Bytes that are not UTF-8 become lone surrogates; see :func:`has_bad_bytes`.

    Raises:
        ValueError: It is UTF-16.
    """
    with path.open("rb") as file:
        if file.read(2) in _UTF16_MARKS:
            raise ValueError(f"{path}: UTF-16. Save it as UTF-8, e.g. with iconv.")
    return TextLines(path)


class TextLines:
    """Lines of an open text file; use it in a ``with`` statement."""

    def __init__(self, path: Path):
        self._file = path.open(
            encoding="utf-8-sig", errors="surrogateescape", newline="\n"
        )

    def __enter__(self) -> "TextLines":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        return self._file

    def readline(self) -> str:
        """Return the next line with its end; empty behind the last one."""
        return self._file.readline()


def has_bad_bytes(text: str) -> bool:
    """Tell whether a text was not UTF-8, or has half of a surrogate pair."""
    return _SURROGATE.search(text) is not None


def read_table(path: Path, delimiter: str) -> Iterator[TableRow | RefusedRow]:
    """Read the rows of a file; empty lines are skipped.

    Yields:
        TableRow | RefusedRow: ``bad_encoding`` where it is not UTF-8, ``bad_row``
            where quotes or line ends are wrong.
    """
    with open_text(path) as file:
        rows = _read_quoted(file) if delimiter == "," else _read_plain(file, delimiter)
        for number, fields, fault in rows:
            where = f"{path.name}:{number}"
            if fault is not None:
                yield RefusedRow(where, "bad_row", fault, "fields and quotes in order")
            elif has_bad_bytes("".join(fields)):
                yield RefusedRow(where, "bad_encoding", "bytes not UTF-8", "UTF-8")
            elif any(field.strip() for field in fields):
                yield TableRow(number, fields)


def read_named(
    path: Path, delimiter: str, header: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]] | RefusedRow]:
    """Read rows as name to value; the first row of the file must be this header.

    Yields:
        tuple | RefusedRow: Line number and values; ``bad_row`` where the number of
            fields differs.
    """
    for row in itertools.islice(read_table(path, delimiter), 1, None):
        if isinstance(row, RefusedRow):
            yield row
        elif len(row.fields) != len(header):
            found, wanted = f"{len(row.fields)} fields", f"{len(header)} fields"
            yield RefusedRow(f"{path.name}:{row.number}", "bad_row", found, wanted)
        else:
            yield row.number, dict(zip(header, row.fields, strict=True))


def read_header(path: Path, delimiter: str) -> list[str]:
    """Read the first row.

    Raises:
        ValueError: There is none, or it is not UTF-8.
    """
    first = next(read_table(path, delimiter), None)
    if not isinstance(first, TableRow):
        raise ValueError(f"{path}: want rows of columns, got {first or 'nothing'}.")
    return [field.strip() for field in first.fields]


def _read_plain(
    file: TextLines, delimiter: str
) -> Iterator[tuple[int, list[str], str | None]]:
    for number, line in enumerate(file, start=1):
        yield number, line.rstrip("\r\n").split(delimiter), None


def _read_quoted(file: TextLines) -> Iterator[tuple[int, list[str], str | None]]:
    rows = csv.reader(iter(file), strict=True)
    while True:
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as err:
            yield rows.line_num, [], str(err)
            continue
        yield rows.line_num, fields, None
