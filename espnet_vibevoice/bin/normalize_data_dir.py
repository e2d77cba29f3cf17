"""Write the transcripts of data directories as they are read aloud (stage 1).

The raw texts are kept in text.raw. Characters that could not be read are dropped and
listed, by utterance in unknown_characters.tsv and by character in
dropped_characters.tsv; texts of which nothing to speak is left are listed in
no_letters.tsv. Nothing is done twice.
"""

import argparse
import collections
import logging
import sys
from pathlib import Path

from espnet_vibevoice.data.cleaning import (
    CleaningReport,
    clean_data_dir,
    drop_stale_raw,
)
from espnet_vibevoice.data.kaldi import describe_ids
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.text import describe_dropped
from espnet_vibevoice.text.cleaners import CLEANERS

_LOGGER = logging.getLogger(__name__)
_MAX_SHOWN = 20


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dirs", type=Path, nargs="+", help="data directories")
    parser.add_argument(
        "--cleaner", default="none", help=f"who reads the texts: {' | '.join(CLEANERS)}"
    )
    parser.add_argument(
        "--only_drop_stale",
        action="store_true",
        help="do no more than remove a text.raw that belongs to an earlier text, as "
        "is needed where the corpus has been prepared again and is to be checked",
    )
    return parser


def describe(folder: Path, report: CleaningReport) -> str:
    """Say in one line what was done, and log what was lost."""
    for utt_id, lost in list(report.losses.items())[:_MAX_SHOWN]:
        _LOGGER.warning("%s: dropped, no reading is known: %s", utt_id, lost)
    if len(report.losses) > _MAX_SHOWN:
        path = folder / "unknown_characters.tsv"
        _LOGGER.warning("and %d more: %s", len(report.losses) - _MAX_SHOWN, path)
    line = f"{folder}: {report.utterances} texts cleaned, {report.changed} changed"
    if report.dropped:
        most = collections.Counter(dict(report.dropped.most_common(_MAX_SHOWN)))
        line += (
            f"; dropped {report.dropped.total()} characters of {len(report.losses)} "
            f"texts: {describe_dropped(most)}"
        )
    if report.emptied:
        line += f"; nothing to speak is left of {describe_ids(report.emptied)}"
    return line


def main() -> None:
    """Clean each directory and say what was done."""
    args = get_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    for folder in args.data_dirs:
        if args.only_drop_stale:
            if drop_stale_raw(folder):
                sys.stdout.write(f"{folder}: text is new, removed the old text.raw\n")
            continue
        report = clean_data_dir(folder, args.cleaner)
        done = f"{folder}: text is up to date"
        sys.stdout.write((describe(folder, report) if report else done) + "\n")


if __name__ == "__main__":
    run_command(main)
