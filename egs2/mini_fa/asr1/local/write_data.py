#!/usr/bin/env python3
"""Write the Kaldi data directories of the recogniser from what was spoken.

Texts are written as scoring compares them: normalised, without punctuation, with the
zero width non-joiner as a character of its own. Reads ``utterances.tsv`` of
``speak.py``.
"""

import argparse
import csv
from pathlib import Path

from espnet_vibevoice.data.data_dir import (
    check_disjoint,
    validate_data_dir,
    write_data_dir,
)
from espnet_vibevoice.data.kaldi import read_lines
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.error_rates import prepare_text

SETS = ("train", "valid", "test", "test_unseen")


def read_utterances(path: Path) -> list[dict[str, str]]:
    """Read the table of utterances: column name to value for each line."""
    rows = csv.reader(read_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def main() -> None:
    """Write the directories; the sets must share no sentence."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--utterances", type=Path, required=True, help="utterances.tsv")
    parser.add_argument("--wav_dir", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, default=Path("data"))
    args = parser.parse_args()
    rows = read_utterances(args.utterances)
    for set_name in SETS:
        tables: dict[str, dict[str, str]] = {"wav.scp": {}, "text": {}, "utt2spk": {}}
        for row in rows:
            if row["set_name"] == set_name:
                utt_id = row["utt_id"]
                tables["wav.scp"][utt_id] = str(args.wav_dir / f"{utt_id}.wav")
                tables["text"][utt_id] = prepare_text(row["text"])
                tables["utt2spk"][utt_id] = row["speaker"]
        write_data_dir(args.data_dir / set_name, tables)
        validate_data_dir(args.data_dir / set_name)
    check_disjoint(*(args.data_dir / name for name in SETS[:3]))
    check_disjoint(args.data_dir / "train", args.data_dir / "test_unseen")


if __name__ == "__main__":
    run_command(main)
