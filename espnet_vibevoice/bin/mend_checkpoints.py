"""Mend checkpoints that were half written when a training was killed (stage 6)."""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path, help="folder with checkpoint.pth")
    return parser


def main() -> None:
    """Mend and say what was done."""
    args = get_parser().parse_args()
    if not (args.experiment / "checkpoint.pth").is_file():
        return  # a first start: torch need not be imported
    from espnet_vibevoice.tts.mending import mend_checkpoints

    for line in mend_checkpoints(args.experiment):
        print(line)


if __name__ == "__main__":
    run_command(main)
