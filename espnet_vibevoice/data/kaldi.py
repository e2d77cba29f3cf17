r"""Kaldi tables: one line per key, the value is the rest of the line.

Example of ``text``::

    fa_0001 salam
    fa_0002 hava khub ast

Only the line feed ends a line and only blanks separate key and value: Persian text
may hold characters such as U+2028 that ``str.splitlines`` would cut at.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.errors import summarize_faults

_BLANKS = " \t\r"


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
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        key, value = split_line(line)
        if not key:
            raise ValueError(
                f"{path}:{number}: a line must begin with a key, got {line[:40]!r}. "
                "Remove the line or write the key."
            )
        if key in table:
            raise ValueError(
                f"{path}:{number}: key {key!r} is already in line {first_line[key]}. "
                "Keys must be unique: rename or remove one of them."
            )
        table[key] = value
        first_line[key] = number
    return table


def read_lines(path: str | Path) -> list[str]:
    """Read a UTF-8 file as lines without their line ends.

    Raises:
        ValueError: Bad UTF-8 or a byte order mark, with file and line number.
    """
    lines = []
    for number, raw in enumerate(Path(path).read_bytes().split(b"\n"), start=1):
        try:
            lines.append(raw.decode("utf-8").rstrip("\r"))
        except UnicodeDecodeError as err:
            raise ValueError(
                f"{path}:{number}: not UTF-8 (byte {raw[err.start]:#04x} at column "
                f"{err.start + 1}). Convert the file, e.g. with iconv."
            ) from err
    if lines[-1] == "":
        lines.pop()
    if lines and lines[0].startswith("\ufeff"):
        raise ValueError(
            f"{path}:1: byte order mark before the first key. Save the file as "
            "UTF-8 without it, e.g. with sed -i '1s/^\\xEF\\xBB\\xBF//'."
        )
    return lines


def split_line(line: str) -> tuple[str, str]:
    """Split ``key value`` at the first blank or tab.

    Example:
        >>> split_line("fa_0001  salam ")
        ('fa_0001', 'salam')
    """
    if line[:1] in _BLANKS:  # also the empty line
        return "", ""
    end = next((i for i, char in enumerate(line) if char in _BLANKS), len(line))
    return line[:end], line[end:].strip(_BLANKS)


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
    lines = [f"{key} {table[key]}".rstrip(_BLANKS) + "\n" for key in sorted(table)]
    return write_text(path, "".join(lines))


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
    if nj < 1 or not lines:
        raise ValueError(
            f"Cannot split {len(lines)} lines into {nj} parts: both must be at least 1."
        )
    nj = min(nj, len(lines))
    size, larger = divmod(len(lines), nj)
    parts, begin = [], 0
    for index in range(nj):
        end = begin + size + (index < larger)
        parts.append(list(lines[begin:end]))
        begin = end
    return parts


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
