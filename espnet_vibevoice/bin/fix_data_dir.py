"""Mend Kaldi data directories in place; name what cannot be mended and drop it.

Byte order marks, CRLF, empty and repeated lines and wrong order are mended. An
utterance goes, and is listed in dropped.tsv with its reason, if its id is given twice
with different values, holds a tab or is not in all tables; if a line of it is not
UTF-8; if its text is empty; if a link takes its audio out of the corpus.

Exit status: 0 if what is left is a valid data directory and no more was dropped than
--max_dropped allows; 1 if more was, if nothing is left or if a table is missing (no
table is changed then); 2 for wrong options.
"""

import argparse
import sys

from espnet_vibevoice.data.repair import repair_data_dir
from espnet_vibevoice.errors import run_command, summarize_faults


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", nargs="+", help="data directories to mend")
    parser.add_argument(
        "--max_dropped",
        type=float,
        default=1.0,
        help="fail if more than this share of a set is dropped (default: 1.0)",
    )
    parser.add_argument(
        "--audio_root",
        default="auto",
        help="folder that links in wav.scp must not leave; auto: the folder that all "
        "audio of a set has in common; none: links may lead anywhere (default: auto)",
    )
    return parser


def main() -> None:
    """Mend and report what was mended and dropped."""
    args = get_parser().parse_args()
    root = None if args.audio_root == "none" else args.audio_root
    for path in args.data_dir:
        report = repair_data_dir(path, args.max_dropped, root)
        for line in report.mended:
            sys.stdout.write(f"mended {line} lines\n")
        faults = [
            f"{utt_id}: {entry.reason}: {entry.value}"
            for utt_id, entry in sorted(report.dropped.items())
        ]
        said = f": {summarize_faults(faults)}" if faults else ""
        sys.stdout.write(f"{path}: dropped {len(faults)} utterances{said}\n")


if __name__ == "__main__":
    run_command(main)
