"""``dropped.tsv``: every utterance that was left out, and why.

Sample rows::

    utterance	reason	value
    fa_0007	too_long	31.200 s
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.kaldi import read_lines

_HEADER = "utterance\treason\tvalue"


class Dropped(NamedTuple):
    """Why an utterance was left out.

    Args:
        reason (str): Short machine-readable reason, e.g. ``too_long``.
        value (str): What was found.
    """

    reason: str
    value: str


def write_dropped(path: str | Path, dropped: Mapping[str, Dropped]) -> None:
    """Write the list, sorted by utterance, atomically."""
    rows = [_HEADER]
    for utt_id in sorted(dropped):
        reason, value = dropped[utt_id]
        rows.append(f"{utt_id}\t{reason}\t{' '.join(value.split())}")
    write_text(path, "\n".join(rows) + "\n")


def read_dropped(path: str | Path) -> dict[str, Dropped]:
    """Read the list.

    Raises:
        ValueError: The file is not such a list, with the line number.
    """
    lines = read_lines(path)
    if lines[:1] != [_HEADER]:
        raise ValueError(f"{path}:1: want the header {_HEADER!r}, got {lines[:1]}.")
    dropped = {}
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) != 3:
            raise ValueError(f"{path}:{number}: want 3 columns, got {len(fields)}.")
        dropped[fields[0]] = Dropped(fields[1], fields[2])
    return dropped


def count_reasons(dropped: Mapping[str, Dropped]) -> dict[str, int]:
    """Number of utterances per reason, the most frequent reason first."""
    counts: dict[str, int] = {}
    for entry in dropped.values():
        counts[entry.reason] = counts.get(entry.reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
