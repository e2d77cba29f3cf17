"""Print one line per recogniser: its name, a tab, and the recipe to run first.

The recipe is a folder whose run.sh makes the model; it is named only where the model
is not there.
"""

import argparse
import sys

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.conf import add_score_options, read_given_conf


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_score_options(parser)
    return parser


def main() -> None:
    """Print the lines."""
    parser = get_parser()
    args = parser.parse_args()
    for spec in read_given_conf(parser, args).recognizers:
        needed = spec.recipe if spec.recipe and spec.list_missing_files() else ""
        sys.stdout.write(f"{spec.name}\t{needed}\n")


if __name__ == "__main__":
    run_command(main)
