"""Print one line on a finished training (stage 6)."""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path, help="folder with checkpoint.pth")
    return parser


def main() -> None:
    """Read and print."""
    args = get_parser().parse_args()
    from espnet_vibevoice.tts.training_report import summarize_training

    print(f"{args.experiment}: {summarize_training(args.experiment)}")


if __name__ == "__main__":
    run_command(main)
