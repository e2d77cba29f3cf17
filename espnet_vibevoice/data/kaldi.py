r"""Kaldi tables: one line per key, the value is the rest of the line.

Example of ``text``::

    fa_0001 salam
    fa_0002 hava khub ast

Only the line feed ends a line and only blanks separate key and value: Persian text
may hold characters such as U+2028 that ``str.splitlines`` would cut at.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.errors import summarize_faults

_BLANKS = " \t\r"
_SEPARATOR = re.compile(f"[{_BLANKS}]+")


def read_table(path: str | Path) -> dict[str, str]:
    """Read a Kaldi table in the order of its lines.

    Args:
        path (str | Path): UTF-8 file; each line is ``key value``, value may be empty.

    Returns:
        dict[str, str]: Value of each key, blanks at both ends removed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Bad UTF-8, a byte order mark, an empty line or a repeated key;
            the message has file and line number.
    """
    table: dict[str, str] = {}
    for number, (key, value) in enumerate(iterate_table(path), start=1):
        if key in table:
            first = next(n for n, k in enumerate(table, start=1) if k == key)
            raise ValueError(
                f"{path}:{number}: key {key!r} is already in line {first}. "
                "Keys must be unique: rename or remove one of them."
            )
        table[key] = value
    return table


def iterate_table(path: str | Path) -> Iterator[tuple[str, str]]:
    """Give keys and values one after the other, without holding the table.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As of :func:`read_table`, repeated keys aside.
    """
    for number, line in enumerate(iterate_lines(path), start=1):
        key, value = split_line(line)
        if not key:
            raise ValueError(
                f"{path}:{number}: a line must begin with a key, got {line[:40]!r}. "
                "Remove the line or write the key."
            )
        yield key, value


def read_lines(path: str | Path) -> list[str]:
    """Read a UTF-8 file as lines without their line ends.

    Raises:
        ValueError: Bad UTF-8 or a byte order mark, with file and line number.
    """
    return list(iterate_lines(path))


def iterate_lines(path: str | Path) -> Iterator[str]:
    """Give the lines of :func:`read_lines` one after the other."""
    with Path(path).open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.removesuffix(b"\n").decode("utf-8").rstrip("\r")
            except UnicodeDecodeError as err:
                raise ValueError(
                    f"{path}:{number}: not UTF-8 (byte {raw[err.start]:#04x} at "
                    f"column {err.start + 1}). Convert the file, e.g. with iconv."
                ) from err
            if number == 1 and line.startswith("\ufeff"):
                raise ValueError(
                    f"{path}:1: byte order mark before the first key. Save the file "
                    "as UTF-8 without it, e.g. with sed -i '1s/^\\xEF\\xBB\\xBF//'."
                )
            yield line


def count_lines(path: str | Path) -> int:
    """Count lines; one at the end without a line feed counts as well."""
    with Path(path).open("rb") as file:
        return sum(1 for _ in file)


def split_line(line: str) -> tuple[str, str]:
    """Split ``key value`` at the first blank or tab.

    Example:
        >>> split_line("fa_0001  salam ")
        ('fa_0001', 'salam')
    """
    if line[:1] in _BLANKS:  # also the empty line
        return "", ""
    key, *rest = _SEPARATOR.split(line, 1)
    return key, rest[0].rstrip(_BLANKS) if rest else ""


def write_table(path: str | Path, table: Mapping[str, object]) -> bool:
    """Write a Kaldi table sorted as ``LC_ALL=C sort`` does, atomically.

    A file that already has this content is left untouched, its time included.

    Args:
        path (str | Path): File to write.
        table (Mapping[str, object]): Values are written with ``str``.

    Returns:
        bool: True if the file was written.

    Raises:
        ValueError: A key that is empty or holds blanks, or a value with a line end.
    """
    faults = [
        repr(key)
        for key, value in table.items()
        if not key or any(char in " \t\r\n" for char in key) or "\n" in str(value)
    ]
    if faults:
        raise ValueError(
            f"{path}: keys must not be empty or hold blanks and values no line end, "
            f"got {summarize_faults(faults)}."
        )
    # The order of code points is the order of UTF-8 bytes.
    return write_lines(path, (format_row(key, table[key]) for key in sorted(table)))


def format_row(key: str, value: object) -> str:
    """Make a line of a table, without its line end.

    Example:
        >>> format_row("fa_0001", "")
        'fa_0001'
    """
    return f"{key} {value}".rstrip(_BLANKS)


def split_scp(lines: Sequence[str], nj: int) -> list[list[str]]:
    """Cut lines into at most ``nj`` parts of nearly equal size, in order.

    Args:
        lines (Sequence[str]): Lines of a table.
        nj (int): Wanted number of parts; there are fewer if lines are fewer.

    Returns:
        list[list[str]]: Non-empty parts whose sizes differ by one at most.

    Raises:
        ValueError: There are no lines, or ``nj`` is below 1.

    Example:
        >>> split_scp(["a", "b", "c"], 2)
        [['a', 'b'], ['c']]
    """
    parts, begin = [], 0
    for size in _divide(len(lines), nj):
        parts.append(list(lines[begin : begin + size]))
        begin += size
    return parts


def split_file(path: str | Path, nj: int, pattern: str) -> int:
    """Cut a table as :func:`split_scp` does, without holding it.

    Args:
        path (str | Path): Table.
        nj (int): Wanted number of parts; there are fewer if lines are fewer.
        pattern (str): Name of the parts; ``JOB`` becomes 1, 2, ...

    Returns:
        int: Number of parts.

    Raises:
        ValueError: There are no lines, ``nj`` is below 1, or bad UTF-8.
    """
    sizes = _divide(count_lines(path), nj)
    lines = iterate_lines(path)
    for job, size in enumerate(sizes, start=1):
        part = pattern.replace("JOB", str(job))
        write_lines(part, itertools.islice(lines, size))
    return len(sizes)


def _divide(count: int, nj: int) -> list[int]:
    """Sizes of at most ``nj`` parts, none empty, that differ by one at most."""
    if nj < 1 or count < 1:
        raise ValueError(
            f"Cannot split {count} lines into {nj} parts: both must be at least 1."
        )
    nj = min(nj, count)
    size, larger = divmod(count, nj)
    return [size + (index < larger) for index in range(nj)]


def invert_utt2spk(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Make ``spk2utt`` (utterances of a speaker, sorted) from ``utt2spk``.

    Example:
        >>> invert_utt2spk({"b": "s1", "a": "s1"})
        {'s1': 'a b'}
    """
    members: dict[str, list[str]] = {}
    for utt_id in sorted(utt2spk):
        members.setdefault(utt2spk[utt_id], []).append(utt_id)
    return {speaker: " ".join(members[speaker]) for speaker in sorted(members)}


def describe_ids(ids: Iterable[str], limit: int = 10) -> str:
    """Count and first ids in sorted order, e.g. ``12 (a, b, ...)``."""
    ordered = sorted(ids)
    shown = ", ".join(ordered[:limit])
    return f"{len(ordered)} ({shown}{', ...' if len(ordered) > limit else ''})"
