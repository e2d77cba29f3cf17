"""Fail if sets of a corpus share utterances or sentences."""

import argparse
import sys

from espnet_vibevoice.data.data_dir import check_disjoint
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", help="data directory of the training set")
    parser.add_argument("others", nargs="+", help="validation and test sets")
    parser.add_argument(
        "--utterances_only",
        action="store_true",
        help="compare ids alone, as before sentences that are shared are filtered out",
    )
    return parser


def main() -> None:
    """Compare all pairs."""
    args = get_parser().parse_args()
    paths = [args.train, *args.others]
    check_disjoint(*paths, compare_texts=not args.utterances_only)
    sys.stdout.write(f"disjoint: {' '.join(paths)}\n")


if __name__ == "__main__":
    run_command(main)
