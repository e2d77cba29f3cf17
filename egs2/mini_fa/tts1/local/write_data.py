#!/usr/bin/env python3
"""Write the Kaldi data directories of mini_fa from what was synthesized.

Reads ``utterances.tsv`` of ``synthesize.py``, for example (columns cut)::

    utt_id             set_name  speaker  variant  ...  text
    fa_f1_train_0001   train     fa_f1    fa+f2    ...  <sentence>
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
from espnet_vibevoice.errors import run_command, summarize_faults
from espnet_vibevoice.text import normalize_persian

SETS = ("train", "valid", "test")
Tables = dict[str, dict[str, str]]


def read_utterances(path: Path) -> list[dict[str, str]]:
    """Read the table of utterances: column name to value for each line."""
    rows = csv.reader(read_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def build_tables(rows: list[dict[str, str]], wav_dir: Path) -> Tables:
    """Make ``wav.scp``, ``text``, ``text.raw`` and ``utt2spk`` of one set.

    Raises:
        FileNotFoundError: If wavs are missing.
    """
    tables: Tables = {"wav.scp": {}, "text": {}, "text.raw": {}, "utt2spk": {}}
    missing = []
    for row in rows:
        utt_id, wav = row["utt_id"], wav_dir / f"{row['utt_id']}.wav"
        if not wav.is_file():
            missing.append(str(wav))
        tables["wav.scp"][utt_id] = str(wav)
        tables["text"][utt_id] = normalize_persian(row["text"])
        tables["text.raw"][utt_id] = row["text"]
        tables["utt2spk"][utt_id] = row["speaker"]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(rows)} wavs are missing: "
            f"{summarize_faults(missing)}. Run local/data.sh again."
        )
    return tables


def main() -> None:
    """Write the directories, check each one and that they share nothing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--utterances", type=Path, required=True, help="utterances.tsv")
    parser.add_argument("--wav_dir", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, default=Path("data"))
    args = parser.parse_args()
    for leftover in args.data_dir.glob("*/.*.tmp"):  # of a run that was killed
        leftover.unlink()
    rows = read_utterances(args.utterances)
    for set_name in SETS:
        chosen = [row for row in rows if row["set_name"] == set_name]
        write_data_dir(args.data_dir / set_name, build_tables(chosen, args.wav_dir))
        validate_data_dir(args.data_dir / set_name)
    check_disjoint(*(args.data_dir / set_name for set_name in SETS))


if __name__ == "__main__":
    run_command(main)
