"""Join the parts that format_wav_scp made to one checked data directory."""

import argparse
import sys
from pathlib import Path

from espnet_vibevoice.data.kaldi import iterate_table
from espnet_vibevoice.data.parts import collect_parts
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--source", required=True, help="data directory formatted")
    parser.add_argument("--out_dir", required=True, help="data directory to complete")
    parser.add_argument("--nj", type=int, required=True, help="number of parts")
    parser.add_argument("--fs", type=int, default=24000, help="sampling rate in Hz")
    parser.add_argument(
        "--max_dropped",
        "--max_dropped_share",
        type=float,
        default=0.01,
        help="fail if more than this share of the set is unusable",
    )
    return parser


def main() -> None:
    """Join and say how many utterances were unusable."""
    args = get_parser().parse_args()
    dropped = collect_parts(args.source, args.out_dir, args.nj, args.max_dropped)
    count = samples = 0
    for _, value in iterate_table(Path(args.out_dir) / "utt2num_samples"):
        count, samples = count + 1, samples + int(value)
    hours = samples / args.fs / 3600
    listing = f", listed in {args.out_dir}/dropped.tsv" if dropped else ""
    sys.stdout.write(
        f"{args.out_dir}: {count} utterances, {hours:.2f} h, "
        f"{len(dropped)} unusable{listing}\n"
    )


if __name__ == "__main__":
    run_command(main)
