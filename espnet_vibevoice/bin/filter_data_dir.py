"""Copy the utterances that pass the limits; list the others in dropped.tsv.

Counts by reason and hours are printed and written to filter_report.txt. Exit status:
0 if no more was dropped than --max_dropped allows, by this and earlier stages; 1 if
more was, if nothing is left or if a table is missing; 2 for wrong options.
"""

import argparse
import math
import sys

from espnet_vibevoice.data.filtering import FilterOptions, filter_data_dir
from espnet_vibevoice.data.quality import QualityLimit
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--source", required=True, help="formatted data directory")
    parser.add_argument("--target", required=True, help="data directory to make")
    parser.add_argument("--fs", type=int, default=24000, help="sampling rate in Hz")
    parser.add_argument(
        "--min_wav_duration", type=float, default=0.0, help="seconds, exclusive"
    )
    parser.add_argument(
        "--max_wav_duration", type=float, default=math.inf, help="seconds, exclusive"
    )
    parser.add_argument(
        "--min_chars_per_sec", type=float, default=-math.inf, help="exclusive"
    )
    parser.add_argument(
        "--max_chars_per_sec", type=float, default=math.inf, help="exclusive"
    )
    parser.add_argument(
        "--max_clipped_share",
        type=float,
        default=0.005,
        help="largest share of a source's samples at full scale",
    )
    parser.add_argument(
        "--quality_limits",
        nargs="*",
        default=[],
        metavar="LIMIT",
        help="limits to tables utt2NAME of the corpus, e.g. quality>=0.8 cer<=0.1",
    )
    parser.add_argument(
        "--held_out",
        nargs="*",
        default=[],
        metavar="DIR",
        help="data directories whose sentences are dropped here, e.g. the test sets",
    )
    parser.add_argument(
        "--max_dropped",
        "--max_dropped_share",
        type=float,
        default=0.01,
        help="fail if more than this share of the set is dropped",
    )
    parser.add_argument(
        "--keep_all",
        action="store_true",
        help="for test sets: drop unusable utterances alone",
    )
    return parser


def main() -> None:
    """Filter and print a summary line and a table."""
    args = get_parser().parse_args()
    options = FilterOptions(
        min_duration_sec=args.min_wav_duration,
        max_duration_sec=args.max_wav_duration,
        min_chars_per_sec=args.min_chars_per_sec,
        max_chars_per_sec=args.max_chars_per_sec,
        max_clipped_share=args.max_clipped_share,
        quality_limits=tuple(map(QualityLimit.parse, args.quality_limits)),
        keep_all=args.keep_all,
    )
    report = filter_data_dir(
        args.source,
        args.target,
        args.fs,
        options,
        held_out=args.held_out,
        max_dropped=args.max_dropped,
    )
    sys.stdout.write(f"{args.target}: {report.describe()}\n{report.format_table()}")


if __name__ == "__main__":
    run_command(main)
