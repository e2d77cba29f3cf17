"""Score a decoded test set beside natural and resynthesised speech (stage 7).

Joins references, audio and what recognisers heard, measures the audio, and writes
utterances.tsv, summary.json and meta.json below DECODE_DIR/score. Nothing that is up to
date is computed again. Exit status 0: everything asked for has values; 3: all is
written, but some values are missing, with reasons; 1: nothing could be scored; 2: wrong
options.
"""

import argparse
import logging
import os
import shlex
import sys
from pathlib import Path

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.conf import add_score_options, read_given_conf

STATUS_WITH_GAPS = 3


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data_dir", type=Path, required=True, help="the natural set: dump/raw/SET"
    )
    parser.add_argument(
        "--ceilings", type=Path, required=True, help="folder of dump/ceilings/SET"
    )
    parser.add_argument(
        "--decode_dir", type=Path, required=True, help="exp/TAG/DECODING/SET"
    )
    parser.add_argument(
        "--experiment", type=Path, help="folder whose RESULTS.md is updated"
    )
    parser.add_argument(
        "--report", action="store_true", help="write the listening report as well"
    )
    parser.add_argument("--command", help="command line to put into the record")
    parser.add_argument("--nj", type=int, default=1, help="processes to measure audio")
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    add_score_options(parser)
    return parser


def main() -> int:
    """Score, print a small table, tell what is missing."""
    parser = get_parser()
    args = parser.parse_args()
    if args.nj < 1:
        parser.error(f"argument --nj: got {args.nj}, wanted 1 or more")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    conf = read_given_conf(parser, args)
    from espnet_vibevoice.score.scoring import (
        REPORT,
        ScoreRequest,
        refresh_report,
        score_set,
    )
    from espnet_vibevoice.score.set_files import SetFiles
    from espnet_vibevoice.score.table import format_terminal_table

    files = SetFiles(args.data_dir, args.ceilings, args.decode_dir)
    command = args.command or shlex.join(["python3", "-m", *_name_command()])
    device = "cuda" if args.ngpu else "cpu"
    outcome = score_set(
        ScoreRequest(files, conf, args.experiment, command, args.nj, device)
    )
    state = "is up to date" if outcome.was_up_to_date else "is written"
    print(f"{files.score_dir} {state}")
    print("\n".join(format_terminal_table(outcome.summary)))
    if args.report:
        is_new = refresh_report(files.score_dir, conf.max_utts, args.experiment)
        state = "is written" if is_new else "is up to date"
        print(f"{files.score_dir / REPORT} {state}")
    for gap in outcome.gaps:
        print(f"no value: {gap}", file=sys.stderr)
    return STATUS_WITH_GAPS if outcome.gaps else os.EX_OK


def _name_command() -> list[str]:
    return ["espnet_vibevoice.bin.score", *sys.argv[1:]]


if __name__ == "__main__":
    run_command(main)
