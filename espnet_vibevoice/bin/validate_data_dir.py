"""Check Kaldi data directories; fail with what does not match."""

import argparse
import sys

from espnet_vibevoice.data.data_dir import validate_data_dir
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", nargs="+", help="data directories to check")
    return parser


def main() -> None:
    """Check each and say how many utterances it has."""
    for path in get_parser().parse_args().data_dir:
        sys.stdout.write(f"{path}: {validate_data_dir(path)} utterances\n")


if __name__ == "__main__":
    run_command(main)
