"""Split a Kaldi table into parts of nearly equal size; print how many there are."""

import argparse
import sys

from espnet_vibevoice.data.kaldi import split_file
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", help="file to split, e.g. data/train/wav.scp")
    parser.add_argument(
        "--nj", type=int, required=True, help="wanted parts; never more than lines"
    )
    parser.add_argument(
        "--out", required=True, help="name of the parts, e.g. logdir/wav.JOB.scp"
    )
    return parser


def main() -> None:
    """Write the parts as JOB = 1 to N and print N."""
    args = get_parser().parse_args()
    if "JOB" not in args.out:
        raise ValueError(f"--out must contain JOB, got {args.out!r}.")
    sys.stdout.write(f"{split_file(args.table, args.nj, args.out)}\n")


if __name__ == "__main__":
    run_command(main)
