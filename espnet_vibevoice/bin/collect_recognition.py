"""Join what the jobs of recognize have heard to text and failures.tsv."""

import argparse
import sys

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.recognition.run import collect_recognition


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wav_scp", required=True, help="wav.scp of the whole set")
    parser.add_argument("--out_dir", required=True, help="folder of the texts")
    parser.add_argument("--nj", type=int, required=True, help="number of parts")
    return parser


def main() -> None:
    """Join and say how many utterances failed."""
    args = get_parser().parse_args()
    failed = collect_recognition(args.wav_scp, args.out_dir, args.nj)
    listing = f", listed in {args.out_dir}/failures.tsv" if failed else ""
    sys.stdout.write(f"{args.out_dir}/text: {failed} utterances failed{listing}\n")


if __name__ == "__main__":
    run_command(main)
