"""Write the list of utterances of each decoding job (stage 7); print how many jobs.

What an earlier, interrupted run has decoded is kept and not handed out again, nor is
what it found that cannot be spoken, unless that was everything.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.decoding import divide_decoding


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--text", type=Path, required=True, help="Kaldi text of the set"
    )
    parser.add_argument("--out_dir", type=Path, required=True, help="folder of the set")
    parser.add_argument("--nj", type=int, default=1, help="jobs at most")
    parser.add_argument(
        "--retry_failed",
        action="store_true",
        help="hand out again what could not be spoken",
    )
    return parser


def main() -> None:
    """Divide and print the number of jobs."""
    args = get_parser().parse_args()
    print(divide_decoding(args.text, args.out_dir, args.nj, args.retry_failed))


if __name__ == "__main__":
    run_command(main)
