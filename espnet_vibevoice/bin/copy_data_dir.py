"""Copy a Kaldi data directory, all utterances or those of a list."""

import argparse
import sys

from espnet_vibevoice.data.data_dir import copy_data_dir
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="data directory; is not changed")
    parser.add_argument("target", help="data directory to make or renew")
    parser.add_argument(
        "--utt_list", help="table whose first column names the utterances to keep"
    )
    return parser


def main() -> None:
    """Copy."""
    args = get_parser().parse_args()
    kept = None if args.utt_list is None else read_table(args.utt_list).keys()
    count = copy_data_dir(args.source, args.target, kept)
    sys.stdout.write(f"{args.target}: {count} utterances\n")


if __name__ == "__main__":
    run_command(main)
