"""Write Persian text as it is read aloud: lines in, lines out, UTF-8.

Reads files one after another, or standard input, and writes standard output or --out.
Characters without a known reading are dropped; each line that lost some is logged.
"""

import argparse
import collections
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.text.lines import decode_lines, format_dropped, normalize_lines


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="default: standard input")
    parser.add_argument("--out", type=Path, help="file to write, whole or not at all")
    parser.add_argument(
        "--raw-id",
        action="store_true",
        help="keep the first column as it is (an utterance id, as in Kaldi's text)",
    )
    parser.add_argument(
        "--show-unknown",
        action="store_true",
        help="in the end, list dropped characters on standard error: count, code "
        "point, character, name",
    )
    return parser


def _read_all(
    args: argparse.Namespace, dropped: collections.Counter[str]
) -> Iterator[str]:
    """Normalise the lines of all inputs."""
    if not args.files:
        lines = decode_lines(sys.stdin.buffer, "standard input")
        yield from normalize_lines(lines, "standard input", args.raw_id, dropped)
    for path in args.files:
        with open(path, "rb") as file:
            lines = decode_lines(file, str(path))
            yield from normalize_lines(lines, str(path), args.raw_id, dropped)


def main() -> None:
    """Normalise, write, list what was dropped."""
    args = get_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    dropped: collections.Counter[str] = collections.Counter()
    readings = _read_all(args, dropped)
    if args.out is not None:
        write_lines(args.out, readings)
    else:
        for reading in readings:
            sys.stdout.buffer.write(f"{reading}\n".encode())
        sys.stdout.buffer.flush()
    if args.show_unknown:
        sys.stderr.buffer.write(
            "".join(f"{x}\n" for x in format_dropped(dropped)).encode()
        )


if __name__ == "__main__":
    run_command(main)
