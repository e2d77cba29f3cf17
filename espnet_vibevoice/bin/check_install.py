"""Import every part of the environment and report versions, failures and remedies."""

import argparse
import contextlib
import json
import sys

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.install_check import check_all, format_table, to_json


def get_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m espnet_vibevoice.bin.check_install",
        description="Import every part of the environment and name what fails. "
        "Exit status 1 if a part that is needed fails.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Check, print the report, return 1 if a part failed."""
    args = get_parser().parse_args(argv)
    # Some packages print while they are imported; the report is alone on stdout.
    with contextlib.redirect_stdout(sys.stderr):
        results = check_all()
    summary = to_json(results)
    print(json.dumps(summary, indent=1) if args.json else format_table(results))
    return 0 if summary["ok"] else 1


if __name__ == "__main__":
    run_command(main)
