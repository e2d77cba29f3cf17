"""Copy the utterances that pass the limits; list the others in dropped.tsv."""

import argparse
import math
import sys

from espnet_vibevoice.data.filtering import FilterOptions, filter_data_dir
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
        "--keep_all",
        action="store_true",
        help="for test sets: drop unusable utterances alone",
    )
    return parser


def main() -> None:
    """Filter and print a summary line."""
    args = get_parser().parse_args()
    options = FilterOptions(
        min_duration_sec=args.min_wav_duration,
        max_duration_sec=args.max_wav_duration,
        min_chars_per_sec=args.min_chars_per_sec,
        max_chars_per_sec=args.max_chars_per_sec,
        keep_all=args.keep_all,
    )
    report = filter_data_dir(args.source, args.target, args.fs, options)
    sys.stdout.write(f"{args.target}: {report.describe()}\n")


if __name__ == "__main__":
    run_command(main)
