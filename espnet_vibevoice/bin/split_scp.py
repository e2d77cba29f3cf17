"""Split a Kaldi table into parts of nearly equal size; print how many there are."""

import argparse
import sys

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_lines, split_scp
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
    parts = split_scp(read_lines(args.table), args.nj)
    for job, lines in enumerate(parts, start=1):
        write_lines(args.out.replace("JOB", str(job)), lines)
    sys.stdout.write(f"{len(parts)}\n")


if __name__ == "__main__":
    run_command(main)
