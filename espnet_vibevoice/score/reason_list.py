r"""``failures.tsv``: utterances that a step could not do, and why.

Sample rows::

    utterance	reason
    fa_0007	unreadable: dump/raw/test/fa_0007.wav: 0 bytes

Rows are in the order of utterances; a list with its header alone says that none failed.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_lines

FILE_NAME = "failures.tsv"
_HEADER = "utterance\treason"


def write_reasons(path: Path, reasons: Mapping[str, str]) -> None:
    """Write the list, atomically; a reason becomes one line.

    Args:
        path (Path): File; its folder is created.
        reasons (Mapping): Utterance id to reason.
    """
    rows = (f"{utt_id}\t{' '.join(reasons[utt_id].split())}" for utt_id in reasons)
    write_lines(path, itertools.chain([_HEADER], rows))


def read_reasons(path: Path) -> dict[str, str]:
    """Read the list.

    Returns:
        dict[str, str]: Utterance id to reason; empty if there is no such file.

    Raises:
        ValueError: The file is not such a list, with the line number.
    """
    if not path.is_file():
        return {}
    lines = read_lines(path)
    if lines[:1] != [_HEADER]:
        raise ValueError(f"{path}:1: want the header {_HEADER!r}, got {lines[:1]}.")
    reasons = {}
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) != 2:
            raise ValueError(f"{path}:{number}: want 2 columns, got {len(fields)}.")
        reasons[fields[0]] = fields[1]
    return reasons
