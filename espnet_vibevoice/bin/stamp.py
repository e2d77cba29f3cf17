"""Ask whether work is up to date, or record that it is done.

``check`` exits 0 if STAMP exists and options and inputs are as recorded, else it
prints the reasons and exits 1.
"""

import argparse
import sys

from espnet_vibevoice.data.stamp import find_changes, write_stamp
from espnet_vibevoice.errors import run_command, summarize_faults


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("check", "write"))
    parser.add_argument("stamp", help="file that records finished work")
    parser.add_argument(
        "--option",
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="what shapes the work",
    )
    parser.add_argument(
        "--input",
        nargs="*",
        action="extend",
        default=[],
        metavar="PATH",
        help="files and folders read by the work",
    )
    parser.add_argument(
        "--output",
        nargs="*",
        action="extend",
        default=[],
        metavar="PATH",
        help="what the work leaves; must exist for it to count as done",
    )
    return parser


def split_options(pairs: list[str]) -> dict[str, str]:
    """Turn ``KEY=VALUE`` words into a dictionary.

    Raises:
        ValueError: A word without ``=``.
    """
    faults = [pair for pair in pairs if "=" not in pair]
    if faults:
        raise ValueError(f"--option wants KEY=VALUE, got {summarize_faults(faults)}.")
    return dict(pair.split("=", 1) for pair in pairs)


def main() -> int:
    """Check or write a stamp."""
    args = get_parser().parse_args()
    options = split_options(args.option)
    if args.action == "write":
        write_stamp(args.stamp, options, args.input)
        return 0
    changes = find_changes(args.stamp, options, args.input, args.output)
    if changes:
        sys.stdout.write(summarize_faults(changes) + "\n")
    return 1 if changes else 0


if __name__ == "__main__":
    run_command(main)
