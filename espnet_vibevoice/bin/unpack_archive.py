"""Unpack a tar or zip archive; refuse one that could write outside of its folder."""

import argparse
import sys
from pathlib import Path

from espnet_vibevoice.data.corpora.unpack import DEFAULT_MAX_BYTES, unpack_archive
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("archive", type=Path, help=".tar, .tar.gz, .tgz, .zip, ...")
    parser.add_argument("target", type=Path, help="folder to make")
    parser.add_argument(
        "--max_bytes",
        type=int,
        default=DEFAULT_MAX_BYTES,
        help="refuse what becomes larger than this",
    )
    return parser


def main() -> None:
    """Unpack it, unless that was done before."""
    args = get_parser().parse_args()
    is_new = unpack_archive(args.archive, args.target, args.max_bytes)
    done = "unpacked to" if is_new else "was unpacked before to"
    sys.stdout.write(f"{args.archive}: {done} {args.target}\n")


if __name__ == "__main__":
    run_command(main)
