r"""``dropped.tsv``: every utterance that was left out, and why.

Sample rows (a tab within an id is written as ``\t``)::

    utterance	reason	value	limit
    fa_0007	too_long	31.200 s	30 s
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_lines
from espnet_vibevoice.errors import summarize_faults

FILE_NAME = "dropped.tsv"
_HEADER = "utterance\treason\tvalue\tlimit"
_MAX_VALUE_CHARS = 200
_WAYS_OUT = {
    "too_short": "lower --min_wav_duration",
    "too_long": "raise --max_wav_duration (stage 3) or --max_file_sec (stage 2)",
    "too_few_chars_per_sec": "lower --min_chars_per_sec",
    "too_many_chars_per_sec": "raise --max_chars_per_sec",
    "clipped": "raise --max_clipped_share",
    "silent": "lower --min_level",
    "low_match_quality": "lower --min_quality",
    "link_out_of_tree": "name the folder that may be linked to with --audio_root",
}


class Dropped(NamedTuple):
    """Why an utterance was left out.

    Args:
        reason (str): Short machine-readable reason, e.g. ``too_long``.
        value (str): What was found.
        limit (str): What was wanted; empty where there is no figure.
    """

    reason: str
    value: str
    limit: str = ""


def write_dropped(path: str | Path, dropped: Mapping[str, Dropped]) -> None:
    """Write the list, sorted by utterance, atomically."""
    escaped = {utt_id.replace("\t", "\\t"): row for utt_id, row in dropped.items()}
    rows = (_format_row(utt_id, escaped[utt_id]) for utt_id in sorted(escaped))
    write_lines(path, itertools.chain([_HEADER], rows))


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
        if len(fields) != 4:
            raise ValueError(f"{path}:{number}: want 4 columns, got {len(fields)}.")
        dropped[fields[0]] = Dropped(*fields[1:])
    return dropped


def read_dropped_of(data_dir: str | Path) -> dict[str, Dropped]:
    """Read the list of a data directory; one without a list has dropped nothing."""
    path = Path(data_dir) / FILE_NAME
    return read_dropped(path) if path.is_file() else {}


def count_reasons(dropped: Mapping[str, Dropped]) -> dict[str, int]:
    """Number of utterances per reason, the most frequent reason first."""
    counts: dict[str, int] = {}
    for entry in dropped.values():
        counts[entry.reason] = counts.get(entry.reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def check_dropped_share(
    dropped: Mapping[str, Dropped], total: int, max_dropped: float, listing: str | Path
) -> None:
    """Fail if too many utterances were unusable.

    Args:
        dropped (Mapping[str, Dropped]): Utterances that were left out.
        total (int): Utterances that there were.
        max_dropped (float): Share of them that may be left out.
        listing (str | Path): File that lists them all.

    Raises:
        ValueError: Count, limit, the largest reason with its share, the way out, and
            the first ten utterances with their reasons.
    """
    if len(dropped) <= max_dropped * total:
        return
    reason, count = next(iter(count_reasons(dropped).items()))
    faults = [f"{utt}: {d.reason}: {d.value}" for utt, d in sorted(dropped.items())]
    way_out = f"{_WAYS_OUT[reason]}, " if reason in _WAYS_OUT else ""
    raise ValueError(
        f"{len(dropped)} of {total} utterances are unusable, the limit is "
        f"{max_dropped:.2%}: {summarize_faults(faults)}. The largest reason is "
        f"{reason}: {count} ({count / total:.2%}). All are in {listing}: mend or "
        f"remove them, {way_out}or raise --max_dropped."
    )


def _format_row(utt_id: str, entry: Dropped) -> str:
    fields = [" ".join(field.split()) for field in entry]
    if len(fields[1]) > _MAX_VALUE_CHARS:
        fields[1] = fields[1][: _MAX_VALUE_CHARS - 3] + "..."
    return "\t".join([utt_id, *fields])
